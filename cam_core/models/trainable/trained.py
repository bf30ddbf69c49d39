"""Trained networks, those that come along and one's own: from a checkpoint to something `load_model` knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from torch import nn

from cam_core.images import ASSETS
from cam_core.models.trainable.checkpoints import (
    SUFFIX,
    Trainable,
    build_from_card,
    card_path,
    check_untouched,
    preprocessing_of,
    read_card,
)
from cam_core.models.trainable.vit import VIT, last_norm
from cam_core.models.zoo.architecture import Architecture
from cam_core.models.zoo.weights import StateDict, read_state_dict
from cam_core.types import ModelError, Progress

ARCHITECTURE_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {"lfi": "LFI-CAM", "abn": "Attention branch network", "baseline": "Baseline"}
)
"""Those that the LFI-CAM page compares and trains."""

_TITLES: Final = {**ARCHITECTURE_TITLES, VIT: "Vision transformer"}


@dataclass(frozen=True)
class TrainedNetwork:
    """A checkpoint with its card, not yet built.

    Attributes:
        key: its name for `load_model`: that of a digit network, or the path.
        path: of the weights.
        card: see `cam_core.models.trainable.checkpoints.save_checkpoint`.
    """

    key: str
    path: Path
    card: Mapping[str, Any]

    @property
    def arch(self) -> str:
        """One of "lfi", "baseline", "abn", "vit"."""
        return str(self.card["arch"])

    @property
    def title(self) -> str:
        """ "LFI-CAM, resnet20, digits"."""
        return f"{_TITLES.get(self.arch, self.arch)}, {self.card['backbone']}, {self.card['data']}"

    @property
    def default_layer(self) -> str:
        """The layer explained where none is named: see the networks' own."""
        if self.arch == VIT:
            return last_norm(int(self.card["options"]["depth"]))
        return "features" if self.arch == "baseline" else "attended"

    @property
    def megabytes(self) -> float:
        """Size of the weights file, 2²⁰ bytes."""
        return self.path.stat().st_size / (1 << 20)

    @property
    def parameters(self) -> int:
        """How many weights: float32 ones, as all of these are."""
        return self.path.stat().st_size // 4

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) that the network sees."""
        return preprocessing_of(self.card).input_size

    def architecture(self) -> Architecture:
        """The architecture that `load_model` builds.

        Raises:
            ModelError: the card describes no network.
        """
        build = partial(build_from_card, self.card, card_path(self.path).name)
        outline: Trainable = build()
        return Architecture(
            name=self.key,
            build=lambda classes: build(classes=classes),
            classes=int(self.card["classes"]),
            official=self._weights,
            preprocessing=preprocessing_of(self.card),
            layers=outline.layers,
            default_layer=outline.default_layer,
            labels=tuple(self.card["labels"]),
        )

    def _weights(self, _module: nn.Module, _progress: Progress | None) -> StateDict:
        check_untouched(self.path, self.card)
        return read_state_dict(self.path)


_FOLDER: Final = ASSETS / "models"
DIGIT_NETWORKS: Final[Mapping[str, Path]] = MappingProxyType(
    {f"{arch}_digits": _FOLDER / f"{arch}_digits{SUFFIX}" for arch in ("lfi", "abn", "baseline", VIT)}
)
"""The networks that come along, by their name for `load_model`: trained on digits pasted into photos, 64 × 64."""


def is_checkpoint(name: str) -> bool:
    """Whether `load_model` takes the name for a trained network's: a digit network, or a checkpoint's path."""
    return name in DIGIT_NETWORKS or name.endswith(SUFFIX)


def find_trained(name: str) -> TrainedNetwork:
    """A digit network by name, or any checkpoint by its path.

    Raises:
        ModelError: weights or card are missing, or the card is none.
    """
    path = DIGIT_NETWORKS.get(name, Path(name).expanduser())
    if not path.is_file():
        arch = name.partition("_")[0]
        command = "scripts.train_vit" if arch == VIT else f"cam_core train --arch {arch}"
        again = f"; train it by: python -m {command}" if name in DIGIT_NETWORKS else ""
        raise ModelError(f"there is no checkpoint {path.name!r} in {path.parent}{again}")
    return TrainedNetwork(name, path, read_card(card_path(path)))


def digit_networks() -> dict[str, TrainedNetwork]:
    """Those of the digit networks that are here, by name."""
    return {name: find_trained(name) for name, path in DIGIT_NETWORKS.items() if path.is_file()}
