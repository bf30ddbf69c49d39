"""The built-in set: handwritten digits among clutter on photos, whose object masks are known. Nothing is downloaded.

A digit of MNIST is pasted at a random place, scale, rotation and colour on a crop of a free photo, among fragments of
other digits. The held-out part has digits and photos of its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cam_core.images import ASSETS, SAMPLES, load_image
from cam_core.training.batches import chunks
from cam_core.training.errors import TrainingError
from cam_core.training.image_sets import HELD_OUT, ImageSet, Labels, Masks, Pixels

Split: TypeAlias = Literal["train", "held-out"]
SPLITS: Final = ("train", "held-out")
CLASSES: Final = tuple("0123456789")
DIGITS: Final = ASSETS / "digits" / "digits.npz"
CHUNK: Final = 125
"""Images are composed so many at a time: a set of whole chunks is the beginning of every longer one."""

_PHOTO_SIDE: Final = 160  # shorter side of a photo, pixels, before it is cropped
_CROP: Final = (0.4, 1.0)  # side of a crop in shorter sides of the photo
_DIGIT: Final = (0.48, 0.75)  # side of the digit's box in sides of the image
_TURN: Final = 0.2  # radians
_FRAGMENTS: Final = 3  # distractors per image
_FRAGMENT: Final = 12  # side of the piece of a digit that a distractor shows, of 28 pixels
_CONTRAST: Final = 0.32  # least distance of a digit's colour from what lies behind it, of at most √3
_MARGIN: Final = 3  # pixels between the digit and any fragment, of an image of 64
_COLOURS: Final = 8  # colours drawn for a digit; the first with enough contrast is taken
_DIM: Final = 0.4  # of the photo: its brightest point; all strokes are brighter than most of it
_LIGHT: Final = (0.6, 1.0)  # of each channel of a stroke's colour

Floats = npt.NDArray[np.float32]


class DigitsSet(ImageSet):
    """The digits of one split, composed once per set of arguments and then kept in memory; arrays are read-only.

    Args:
        split: "train" (4,000 digits) or "held-out" (1,000 others, on other photos).
        size: S, width and height in pixels, from 32 to 256.
        seed: of the split and of all compositions.
        count: how many images; each digit of the split once where omitted. More than there are digits use them again,
            each time elsewhere.
    Raises:
        TrainingError: no such split, or a size or count out of range.
    """

    def __init__(self, split: Split = "train", size: int = 64, seed: int = 0, count: int | None = None) -> None:
        if split not in SPLITS:
            raise TrainingError(f"split={split!r} is not one of {', '.join(SPLITS)}")
        if not 32 <= size <= 256:
            raise TrainingError(f"size={size} is not between 32 and 256 pixels")
        if count is not None and count < 1:
            raise TrainingError(f"count={count} must be at least 1")
        composed = _composed(split, size, seed, count)
        super().__init__(composed.images, composed.labels, composed.masks)


@lru_cache(maxsize=1)
def gallery_digits() -> dict[str, Image.Image]:
    """One held-out image of each class that no network has learnt from, by the digit's name."""
    data = DigitsSet("held-out", count=CHUNK)
    return {name: data.picture(place) for name, place in _of_gallery(data).items()}


@lru_cache(maxsize=1)
def gallery_masks() -> dict[str, Masks]:
    """Where the digit is in each image of `gallery_digits`: (S, S), by the same name."""
    data = DigitsSet("held-out", count=CHUNK)
    assert data.masks is not None, "the set draws its digits itself"
    return {name: data.masks[place] for name, place in _of_gallery(data).items()}


def _of_gallery(data: DigitsSet) -> dict[str, int]:
    """The place of the first image of each class."""
    return {name: int((data.labels == label).argmax()) for label, name in enumerate(CLASSES)}


def split_digits(seed: int, split: Split) -> Labels:
    """Indices of the split's digits among all of `DIGITS`; the same share of every class, in random order."""
    _, labels = _all_digits()
    generator = np.random.default_rng([seed, 0])
    parts = []
    for label in range(len(CLASSES)):
        own = generator.permutation(np.flatnonzero(labels == label))
        held_out = round(HELD_OUT * len(own))
        parts.append(own[:held_out] if split == "held-out" else own[held_out:])
    return np.asarray(generator.permutation(np.concatenate(parts)), dtype=np.int64)


def split_photos(seed: int, split: Split) -> tuple[str, ...]:
    """Names of the split's photos, relative to the assets. Collages are left out: they repeat other photos."""
    collages = {sample.path for sample in SAMPLES if sample.collage}
    files = [path for folder in ("eval", "samples") for path in sorted((ASSETS / folder).glob("*.jpg"))]
    names = [path.relative_to(ASSETS).as_posix() for path in files if path not in collages]
    order = np.random.default_rng([seed, 1]).permutation(len(names))
    held_out = round(HELD_OUT * len(names))
    places = order[:held_out] if split == "held-out" else order[held_out:]
    return tuple(names[index] for index in sorted(places))


@lru_cache(maxsize=6)
def _composed(split: Split, size: int, seed: int, count: int | None) -> ImageSet:
    """All images of a split; a shorter set is the beginning of a longer one up to the last whole chunk."""
    digits, labels = _all_digits()
    order = split_digits(seed, split)
    total = len(order) if count is None else count
    places = np.resize(order, total)
    photos = [_photo(name) for name in split_photos(seed, split)]
    images = np.empty((total, 3, size, size), dtype=np.uint8)
    masks = np.empty((total, size, size), dtype=bool)
    for part in chunks(total, CHUNK):
        generator = np.random.default_rng([seed, 2 + SPLITS.index(split), part.start])
        distractors = digits[generator.choice(order, (_FRAGMENTS, part.stop - part.start))]
        pixels, mask = _compose(digits[places[part]], distractors, photos, size, generator)
        images[part], masks[part] = pixels, mask
    image_labels = labels[places].astype(np.int64)
    for array in (images, masks, image_labels):
        array.flags.writeable = False
    return ImageSet(images, image_labels, masks)


@lru_cache(maxsize=1)
def _all_digits() -> tuple[Pixels, Labels]:
    """(5000, 28, 28) uint8 and (5000,) int64."""
    try:
        with np.load(DIGITS, allow_pickle=False) as file:
            return file["images"], file["labels"].astype(np.int64)
    except (OSError, KeyError, ValueError) as error:
        raise TrainingError(
            f"cannot read the built-in digits {DIGITS.name} ({error}); install the project again"
        ) from error


def _photo(name: str) -> Tensor:
    """(1, 3, H, W) in [0, 1], its shorter side `_PHOTO_SIDE` pixels."""
    photo = load_image(ASSETS / name)
    scale = _PHOTO_SIDE / min(photo.size)
    small = photo.resize((round(photo.width * scale), round(photo.height * scale)))
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None] / 255


def _compose(
    digits: Pixels, distractors: Pixels, photos: list[Tensor], size: int, generator: np.random.Generator
) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Paste `digits` (n, 28, 28) on photos, among fragments of `distractors` (fragments, n, 28, 28).

    Returns:
        (n, 3, size, size) uint8, and the digits' masks (n, size, size).
    """
    canvas = _DIM * _backgrounds(len(digits), photos, size, generator)
    opacity = _placed(digits, size, _DIGIT, 0.9, _TURN, generator)
    mask = opacity > 0.5
    margin = round(_MARGIN * size / 64)
    clear = functional.max_pool2d(mask.float(), 2 * margin + 1, stride=1, padding=margin)
    for pieces in distractors:
        fragments = _placed(_fragments(pieces, generator), size, _DIGIT, 1.1, np.pi, generator) * (1 - clear)
        canvas = torch.lerp(canvas, _colours(len(digits), generator)[0], fragments)
    behind = (canvas * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp(min=1)
    colour = _standing_out(_colours(len(digits), generator, _COLOURS), behind)
    canvas = torch.lerp(canvas, colour, opacity)
    return (canvas * 255).round().to(torch.uint8).numpy(), mask[:, 0].numpy()


def _backgrounds(count: int, photos: list[Tensor], size: int, generator: np.random.Generator) -> Tensor:
    """(count, 3, size, size): a crop of a photo for each image, of random place and size, mirrored or not."""
    canvas = torch.empty(count, 3, size, size)
    which = generator.integers(len(photos), size=count)
    side = generator.uniform(*_CROP, count) * _PHOTO_SIDE
    mirrored = generator.choice([-1.0, 1.0], count)
    place = generator.uniform(-1, 1, (count, 2))
    for index, photo in enumerate(photos):
        own = np.flatnonzero(which == index)
        if not len(own):
            continue
        height, width = photo.shape[2:]
        across, down = side[own] / width, side[own] / height
        affine = np.zeros((len(own), 2, 3), dtype=np.float32)
        affine[:, 0, 0], affine[:, 1, 1] = across * mirrored[own], down
        affine[:, 0, 2], affine[:, 1, 2] = place[own, 0] * (1 - across), place[own, 1] * (1 - down)
        canvas[own] = _sample(photo.expand(len(own), -1, -1, -1), affine, size)
    return canvas


def _fragments(digits: Pixels, generator: np.random.Generator) -> Pixels:
    """Of each digit (n, 28, 28) a square piece, black around it: strokes without what would make them a digit."""
    count, side = len(digits), digits.shape[-1]
    corner = generator.integers(4, side - 4 - _FRAGMENT + 1, (count, 2, 1))
    inside = (np.arange(side) >= corner) & (np.arange(side) < corner + _FRAGMENT)  # (n, 2, side)
    return digits * (inside[:, 0, :, None] & inside[:, 1, None, :])


def _placed(
    digits: Pixels, size: int, sides: tuple[float, float], reach: float, turn: float, generator: np.random.Generator
) -> Tensor:
    """Opacities (n, 1, size, size) of digits (n, 28, 28), scaled, turned and moved at random.

    Args:
        sides: range of the digit's box in sides of the image.
        reach: how far its centre moves: at 1 the box just touches the image's border, beyond it is cut off.
        turn: greatest rotation, radians.
    """
    count = len(digits)
    scale = generator.uniform(*sides, count)
    angle = generator.uniform(-turn, turn, count)
    centre = generator.uniform(-1, 1, (count, 2)) * reach * (1 - scale)[:, None]
    # From a pixel of the image to one of the digit: move back, turn back, scale back.
    rows = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], 1).reshape(count, 2, 2)
    linear = rows / scale[:, None, None]
    affine = np.concatenate([linear, -linear @ centre[:, :, None]], 2).astype(np.float32)
    return _sample(torch.from_numpy(digits)[:, None] / 255, affine, size)


def _sample(images: Tensor, affine: Floats, size: int) -> Tensor:
    """Images (n, C, h, w) through an affine map of coordinates (n, 2, 3) → (n, C, size, size); zero outside."""
    shape = [len(images), images.shape[1], size, size]
    grid = functional.affine_grid(torch.from_numpy(affine), shape, align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _colours(count: int, generator: np.random.Generator, choices: int = 1) -> Tensor:
    """(choices, count, 3, 1, 1) in `_LIGHT`."""
    return torch.from_numpy(generator.uniform(*_LIGHT, (choices, count, 3, 1, 1)).astype(np.float32))


def _standing_out(colours: Tensor, behind: Tensor) -> Tensor:
    """Of the colours (choices, n, 3, 1, 1) for each image the first that differs from `behind` (n, 3, 1, 1) enough.

    Where none does, the one that differs most.
    """
    distance = (colours - behind).square().sum(2, keepdim=True).sqrt()
    enough = torch.where(distance >= _CONTRAST, 2.0, distance)  # the first of the largest is taken
    first = enough.argmax(0, keepdim=True).expand(-1, -1, 3, -1, -1)
    return colours.gather(0, first)[0]
