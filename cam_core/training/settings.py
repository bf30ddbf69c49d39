"""The settings of training: one record that decides every number of a run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cam_core.models.trainable.backbones import is_cifar_style
from cam_core.models.trainable.lfi import ARCHITECTURES
from cam_core.training.errors import TrainingError

SCHEDULES: Final = ("cosine", "step")
_PLACE: Final = ("out", "device", "patience")  # where and how long, not what: they change no weight of an epoch


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one run; the same ones, with the same number of threads, give the same network on one machine.

    Attributes:
        out: folder of this run alone; a run that was broken off there goes on.
        arch: "lfi", "baseline" or "abn".
        backbone: see `cam_core.models.trainable.backbones.build_backbone`.
        data: "digits", "cifar10", "cifar100", "stl10", or a folder with one folder of images per class.
        size: width and height of the images in pixels; the data's own where omitted.
        count: how many training images; see `open_data`.
        data_seed: of the built-in set's composition and of the held-out share of a folder.
        seed: of weights, order of images and augmentation.
        learning_rate: at its highest; it warms up over the first twentieth of all steps.
        schedule: "cosine" falls to zero, "step" to a tenth at one half and again at three quarters of the epochs.
        augment: shift, contrast, brightness, and mirroring where the data allows it.
        stem_stride: of the first convolution; where omitted, 2 for a CIFAR-style backbone on images of 48 pixels or
            more, and 1 otherwise.
        fin_relu, frozen, pretrained: see `build_network`.
        amp: mixed precision on a GPU; on a CPU everything is float32.
        device: "auto", "cpu", "cuda", "mps".
        patience: end after so many epochs without a better held-out accuracy; 0 for never.
    """

    out: Path
    arch: str = "lfi"
    backbone: str = "resnet8"
    data: str = "digits"
    size: int | None = None
    count: int | None = None
    data_seed: int = 0
    seed: int = 0
    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    augment: bool = True
    stem_stride: int | None = None
    fin_relu: str | None = None
    frozen: bool = False
    pretrained: bool | None = None
    amp: bool = True
    device: str = "auto"
    patience: int = 0

    def __post_init__(self) -> None:
        """Raises TrainingError: a value out of range."""
        object.__setattr__(self, "out", Path(self.out).expanduser())
        _one_of("arch", self.arch, ARCHITECTURES)
        _one_of("schedule", self.schedule, SCHEDULES)
        for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 0), ("seed", 0), ("data_seed", 0)):
            value = getattr(self, name)
            if value < least:
                raise TrainingError(f"{name}={value} must be at least {least}")
        if self.count is not None and self.count < 2:
            raise TrainingError(f"count={self.count} must be at least 2")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise TrainingError(f"learning_rate={self.learning_rate} must be a positive number")
        if not 0 <= self.momentum < 1 or not 0 <= self.weight_decay < 1:
            raise TrainingError(
                f"momentum={self.momentum} and weight_decay={self.weight_decay} must be at least 0 and below 1"
            )

    @property
    def decisive(self) -> dict[str, Any]:
        """Everything that decides the weights, as plain values: what a run must agree in to be resumed."""
        return {name: value for name, value in asdict(self).items() if name not in _PLACE}

    def stride(self, size: int) -> int:
        """Of the first convolution, for images of `size` pixels."""
        if self.stem_stride is not None:
            return self.stem_stride
        return 2 if size >= 48 and is_cifar_style(self.backbone) else 1


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise TrainingError(f"{name}={value!r} is not one of {', '.join(known)}")
