"""Images in memory, as bytes, with their labels: for a network to be trained and evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from cam_core.declarations.lazy import lazy
from cam_core.images import Preprocessing

Pixels: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]
Masks: TypeAlias = npt.NDArray[np.bool_]

HELD_OUT = 0.2
"""The share of images that a network is evaluated on, where nothing else decides it."""

_PREVIEWS = 8


@dataclass(frozen=True)
class ImageSet:
    """N images of one size.

    Attributes:
        images: (N, 3, S, S) uint8, RGB.
        labels: (N,) int64, indices of classes.
        masks: (N, S, S), true on the object that the label names; None where nobody drew it.
    """

    images: Pixels
    labels: Labels
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def picture(self, index: int) -> Image.Image:
        """One of them, to be shown."""
        return Image.fromarray(np.ascontiguousarray(self.images[index].transpose(1, 2, 0)))

    def head(self, count: int | None) -> ImageSet:
        """The first `count` images; all of them for None."""
        masks = None if self.masks is None else self.masks[:count]
        return ImageSet(self.images[:count], self.labels[:count], masks)


@dataclass(frozen=True)
class TrainingData:
    """A set to learn from and a distinct one to be evaluated on.

    Attributes:
        name: as `open_data` was told; of a folder "folder " with the last part of its path.
        classes: one name per class.
        flip: whether a mirrored image shows the same class.
        facts: what else decides the data, for the checkpoint's card; plain values.
    """

    name: str
    classes: tuple[str, ...]
    train: ImageSet
    held_out: ImageSet
    flip: bool
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """S: width and height of every image, pixels."""
        return int(self.train.images.shape[-1])

    @lazy
    def preprocessing(self) -> Preprocessing:
        """From a photo to what a network trained on this data expects: mean and deviation are those of `train`."""
        pixels = self.train.images
        mean = pixels.mean((0, 2, 3)) / 255
        deviation = np.maximum(pixels.std((0, 2, 3), dtype=np.float32) / 255, 1 / 255)
        return Preprocessing(
            input_size=(self.size, self.size),
            resize=self.size,
            mean=tuple(round(float(value), 4) for value in mean),
            std=tuple(round(float(value), 4) for value in deviation),
        )

    @lazy
    def previews(self) -> ImageSet:
        """A few held-out images, of as many classes as can be had, whose attention maps are shown as training goes."""
        labels = self.held_out.labels
        repeats = np.zeros(len(labels), dtype=np.int64)  # how many of the same class come before
        for label in np.unique(labels):
            repeats[labels == label] = np.arange((labels == label).sum())
        places = np.argsort(repeats, kind="stable")[:_PREVIEWS]
        masks = None if self.held_out.masks is None else self.held_out.masks[places]
        return ImageSet(self.held_out.images[places], labels[places], masks)
