"""The state that a run needs to go on where it was broken off, in one file that cannot run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cam_core.files import write_whole
from cam_core.training.errors import TrainingError
from cam_core.training.reports import EpochReport

FORMAT: Final = "1"
_WEIGHTS, _MOMENTUM = "weights/", "momentum/"


@dataclass
class RunState:
    """Between two epochs.

    Attributes:
        settings: those that decide the weights; what a run is resumed with must agree.
        data: digest of the data.
        history: one report per epoch that is done, without maps.
        tensors: weights, buffers and momentum by name; empty before anything was saved.
    """

    settings: dict[str, Any]
    data: str
    history: list[EpochReport] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best(self) -> EpochReport | None:
        """The epoch whose network is kept."""
        return next((report for report in reversed(self.history) if report.best), None)


def save_state(path: Path, state: RunState, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Write the state in one step, so that a run that is broken off meanwhile finds the one before."""
    tensors = {_WEIGHTS + name: value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        momentum = optimiser.state[parameter].get("momentum_buffer")
        if momentum is not None:
            tensors[_MOMENTUM + name] = momentum
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    history = [asdict(report) for report in state.history]
    record = {"format": FORMAT, "settings": state.settings, "data": state.data, "history": history}
    metadata = {"state": json.dumps(record)}
    write_whole(path, lambda draft: save_file(plain, draft, metadata))


def load_state(path: Path) -> RunState:
    """The state of a run.

    Raises:
        TrainingError: the file is damaged, or none of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']!r}, not {FORMAT!r}")
        history = [EpochReport(**report) for report in record["history"]]
        return RunState(dict(record["settings"]), str(record["data"]), history, tensors)
    except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise TrainingError(
            f"the run in {path.parent} cannot be resumed: {path.name} is damaged ({error}). Begin anew in another "
            "folder, or delete this one"
        ) from error


def check_same(saved: RunState, current: RunState, folder: Path) -> None:
    """Whether the run that was saved is the one that is asked for.

    Raises:
        TrainingError: other settings, or other data.
    """
    names = sorted(saved.settings.keys() | current.settings.keys())
    differing = [
        f"{name}={saved.settings.get(name)!r} there, {current.settings.get(name)!r} here"
        for name in names
        if saved.settings.get(name) != current.settings.get(name)
    ]
    if saved.data != current.data:
        differing.append("the data itself has changed")
    if differing:
        raise TrainingError(
            f"{folder} holds another run: {'; '.join(differing)}. Choose another folder, or the same settings"
        )


def restore(state: RunState, network: nn.Module, optimiser: torch.optim.Optimizer, path: Path) -> None:
    """Put the tensors of a state where they came from.

    Raises:
        TrainingError: names or shapes do not fit the network.
    """
    weights = _under(_WEIGHTS, state.tensors)
    momentum = _under(_MOMENTUM, state.tensors)
    try:
        network.load_state_dict(weights)
        for name, parameter in network.named_parameters():
            if name in momentum:
                buffer = torch.empty_like(parameter)  # with the parameter's place and memory format
                optimiser.state[parameter]["momentum_buffer"] = buffer.copy_(momentum[name])
    except RuntimeError as error:
        raise TrainingError(
            f"the run in {path.parent} cannot be resumed: {path.name} does not fit the network "
            f"({str(error).splitlines()[0]}). Begin anew in another folder, or delete this one"
        ) from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
