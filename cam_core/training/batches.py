"""Shuffled, lightly augmented batches; the same seed and epoch give the same batches, whatever came before."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from cam_core.images import Preprocessing
from cam_core.training.image_sets import ImageSet

_SHIFT = 16  # an image moves by at most its side divided by this
_CONTRAST = 0.2
_BRIGHTNESS = 0.1  # of the range of pixels


def chunks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `total`."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def batch_count(total: int, size: int) -> int:
    """The number of batches that `training_batches` yields; the last one may be smaller, but not a single image.

    Batch norm in training needs two values per channel, which one image may not have.
    """
    whole, left_over = divmod(total, size)
    return whole + (left_over > 1)


def training_batches(
    data: ImageSet, preprocessing: Preprocessing, size: int, generator: torch.Generator, *, augment: bool, flip: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: images (B, 3, S, S) float32, normalised, and labels (B,) int64, on the CPU.

    Args:
        generator: decides the order and every change.
        augment: move each image by up to a sixteenth of its side (the border is mirrored), and change its contrast and
            brightness.
        flip: mirror every second image, where `augment`.
    """
    order = torch.randperm(len(data), generator=generator).numpy()
    for index in range(batch_count(len(data), size)):
        places = order[index * size : (index + 1) * size]
        pixels, labels = torch.from_numpy(data.images[places]), torch.from_numpy(data.labels[places])
        if augment:
            pixels = _moved(pixels, flip, generator)
        pixels = pixels.float() / 255
        if augment:
            pixels = _recoloured(pixels, generator)
        yield preprocessing.normalise(pixels), labels


def evaluation_batches(data: ImageSet, preprocessing: Preprocessing, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All images in order, unchanged: (B, 3, S, S) float32, normalised, and labels (B,) int64, on the CPU."""
    for part in chunks(len(data), size):
        # Copied, because a tensor must not share memory that is read-only.
        pixels, labels = torch.from_numpy(data.images[part].copy()), torch.from_numpy(data.labels[part].copy())
        yield preprocessing.normalise(pixels.float() / 255), labels


def _moved(images: Tensor, flip: bool, generator: torch.Generator) -> Tensor:
    """Each image (B, 3, S, S) by its own whole number of pixels, and mirrored by chance."""
    count, _, height, width = images.shape
    reach = max(1, height // _SHIFT)
    padded = functional.pad(images.float(), [reach] * 4, mode="reflect").to(torch.uint8)
    down, across = torch.randint(2 * reach + 1, (2, count, 1), generator=generator)
    rows, columns = torch.arange(height) + down, torch.arange(width) + across
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    everyone = torch.arange(count)[:, None, None]
    return padded.permute(0, 2, 3, 1)[everyone, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _recoloured(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Another contrast and brightness for each image (B, 3, S, S)."""
    contrast, brightness = 2 * torch.rand(2, len(pixels), 1, 1, 1, generator=generator) - 1
    changed: Tensor = (pixels - 0.5) * (1 + _CONTRAST * contrast) + 0.5 + _BRIGHTNESS * brightness
    return changed
