"""Weights from files: read without running code, and made to fit a network or refused with the reason."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cam_core.types import WeightsError

StateDict: TypeAlias = dict[str, Tensor]

_WRAPPERS: Final = ("state_dict", "model_state_dict", "model")
_PREFIXES: Final = ("module.", "_orig_mod.")  # left by DataParallel and by torch.compile
_SHOWN: Final = 3  # offending weights named in a message

# Old checkpoints of torchvision's DenseNets name the parts of a dense layer with a dot, which module names cannot have.
_DOTTED: Final = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


class UnfitError(WeightsError):
    """Weights of another network.

    Attributes:
        misshapen, missing, unknown: the names of those that have another shape in the network, that the network has
            alone, and that are there alone.
    """

    def __init__(self, message: str, misshapen: Sequence[str], missing: Sequence[str], unknown: Sequence[str]) -> None:
        super().__init__(message)
        self.misshapen, self.missing, self.unknown = tuple(misshapen), tuple(missing), tuple(unknown)


def read_state_dict(path: str | Path) -> StateDict:
    """The weights in a `.safetensors` file, or in a `.pt`/`.pth` file that holds tensors alone.

    Code in the file is never run. A state dict inside {"state_dict": …} is unwrapped, and a "module." in front of every
    name is taken off.

    Raises:
        WeightsError: no such file; not a weights file, or a damaged one; a pickle that holds more than tensors.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise WeightsError(f"there is no weights file {str(path)!r}; weights are 'default', 'random' or a file's path")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickle(file)
    state = _unwrap(content)
    if not state:
        raise WeightsError(f"{file.name} holds no weights: expected a state dict, that is, tensors by name")
    return state


def _read_safetensors(file: Path) -> Any:
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{file.name} is damaged, or no safetensors file ({_first_line(error)})") from error


def _read_pickle(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise WeightsError(f"{file.name} is damaged, or no weights file ({_first_line(error)})") from error
        raise WeightsError(
            f"{file.name} holds more than tensors: it asks to run {refused.group(1)}, which was refused. "
            "Save the weights alone: torch.save(model.state_dict(), path), or as .safetensors"
        ) from error
    # What a damaged file makes the readers raise differs by where the damage is.
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, LookupError, ValueError, TypeError) as error:
        raise WeightsError(f"{file.name} is damaged, or no weights file ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _unwrap(content: Any) -> StateDict:
    if not isinstance(content, Mapping):
        return {}
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            return _unwrap(content[wrapper])
    if not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()):
        return {}
    state = dict(content)
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def classifier_name(module: nn.Module, classes: int) -> str | None:
    """The name of the layer that yields the logits: the last linear layer or convolution with `classes` outputs."""
    heads = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear | nn.Conv2d) and part.weight.shape[0] == classes
    ]
    return heads[-1] if heads else None


def count_classes(state: Mapping[str, Tensor], module: nn.Module, classes: int) -> int:
    """How many classes `state` tells apart, where `module` tells apart `classes` and is otherwise the same network."""
    key = f"{classifier_name(module, classes)}.weight"
    own = module.state_dict()
    fits = key in state and key in own and state[key].shape[1:] == own[key].shape[1:]
    return int(state[key].shape[0]) if fits else classes


def load_weights(module: nn.Module, state: Mapping[str, Tensor], what: str, auxiliary: tuple[str, ...] = ()) -> None:
    """Copy `state` into `module`, in place: every weight, or none and an error.

    Args:
        what: how messages refer to the weights: a file's name.
        auxiliary: beginnings of names that may be passed over.
    Raises:
        WeightsError: names or shapes differ, or a value is NaN or infinite; the first few are named.
    """
    module.load_state_dict(fitting(module, state, what, auxiliary))


def fitting(
    module: nn.Module, state: Mapping[str, Tensor], what: str, auxiliary: tuple[str, ...] = ()
) -> OrderedDict[str, Tensor]:
    """The weights in `state` as `module`, whose shapes alone are looked at, loads them: see `load_weights`."""
    expected = module.state_dict()
    weights = _renamed(state, expected)
    weights = {key: value for key, value in weights.items() if key in expected or not key.startswith(auxiliary)}
    for key, value in expected.items():
        if key.endswith("num_batches_tracked"):  # absent from old files; only training reads it
            weights.setdefault(key, value)
    _check_fit(weights, expected, what)
    _check_finite(weights, what)
    complete = OrderedDict(weights)
    # The format versions of the network's own parts: some refuse a state dict without them, as safetensors files are.
    complete._metadata = getattr(expected, "_metadata", None)  # type: ignore[attr-defined]
    return complete


def _renamed(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> StateDict:
    names = {key: _DOTTED.sub(r"\1\2", key) for key in state}
    return {names[key] if names[key] in expected else key: value for key, value in state.items()}


def _check_fit(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    misshapen = [key for key in expected if key in weights and weights[key].shape != expected[key].shape]
    shapes = [f"{key} is {_shape(weights[key])} there and {_shape(expected[key])} in the network" for key in misshapen]
    missing = [key for key in expected if key not in weights]
    unknown = [key for key in weights if key not in expected]
    problems = [
        _several(entries, text)
        for entries, text in ((shapes, "of another shape"), (missing, "missing"), (unknown, "unknown to the network"))
        if entries
    ]
    if problems:
        message = f"the weights in {what} do not fit this network: {'; '.join(problems)}"
        raise UnfitError(message, misshapen, missing, unknown)


def _check_finite(weights: Mapping[str, Tensor], what: str) -> None:
    broken = [key for key, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise WeightsError(f"the weights in {what} are not finite: {_several(broken, 'with NaN or infinite values')}")


def _several(entries: list[str], text: str) -> str:
    more = f", and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return f"{len(entries)} {text} ({_listed(entries[:_SHOWN])}{more})"


def _listed(entries: Iterable[str]) -> str:
    return ", ".join(entries)


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"
