"""A folder of photos, one folder per class, as training data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from cam_core.images import EXTENSIONS, Preprocessing, load_image
from cam_core.training.errors import TrainingError
from cam_core.training.image_sets import HELD_OUT, ImageSet, TrainingData

_SIZES: Final = (16, 512)  # pixels
_MEMORY: Final = 4 << 30  # bytes that all photos together may take

Photos = list[tuple[Path, int]]
"""Files with the index of their class."""


def open_folder(folder: Path, size: int, seed: int) -> TrainingData:
    """Photos by class, the shorter side scaled to `size`, the middle square of it kept.

    Args:
        folder: one folder per class, named as the class; deeper folders count for the class they are in. Of every
            class a fifth of the photos is held out, at least one. Where `folder` consists of "train" and "val" (or
            "test"), each with these folders, it is split already.
        seed: of the choice of what is held out.
    Raises:
        TrainingError: fewer than two classes, a class with too few photos, more photos than fit in memory.
        ImageError: a file with an image's ending is none.
    """
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise TrainingError(f"size={size} is not between {_SIZES[0]} and {_SIZES[1]} pixels")
    parts = _divided(folder)
    if parts is None:
        classes, photos = _listed(folder)
        train, held_out = _split(photos, len(classes), seed)
    else:
        classes, train = _listed(parts[0])
        held_out_classes, held_out = _listed(parts[1])
        if held_out_classes != classes:
            raise TrainingError(
                f"{parts[0]} and {parts[1]} hold different classes: {_differing(classes, held_out_classes)}"
            )
    _check_memory(len(train) + len(held_out), size)
    return TrainingData(
        name=f"folder {folder.resolve().name}",  # whatever it is called, it is no set that has a name of its own
        classes=classes,
        train=_read(train, size),
        held_out=_read(held_out, size),
        flip=True,
        facts={"photos": len(train) + len(held_out)},
    )


def _divided(folder: Path) -> tuple[Path, Path] | None:
    """The two parts of a folder that consists of nothing but a training and a held-out part."""
    names = {child.name for child in _folders(folder)}
    for held_out in ("val", "test"):
        if names == {"train", held_out}:
            return folder / "train", folder / held_out
    return None


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _listed(folder: Path) -> tuple[tuple[str, ...], Photos]:
    """Names of the classes, and the photos of each."""
    files_of = {child.name: _photos_in(child) for child in _folders(folder)}
    classes = tuple(name for name, files in files_of.items() if files)
    if len(classes) < 2:
        raise TrainingError(
            f"{folder} holds {len(classes)} folders with images, at least 2 are needed: one folder per class, in "
            f"them images ({', '.join(EXTENSIONS)})"
        )
    for name in classes:
        if len(files_of[name]) < 2:
            raise TrainingError(f"the class {name!r} in {folder} has a single image; each needs at least 2")
    return classes, [(file, index) for index, name in enumerate(classes) for file in files_of[name]]


def _photos_in(folder: Path) -> list[Path]:
    files = (
        file
        for file in folder.rglob("*")
        if file.suffix.lower().removeprefix(".") in EXTENSIONS and not file.name.startswith(".")
    )
    return sorted(file for file in files if file.is_file())


def _split(photos: Photos, classes: int, seed: int) -> tuple[Photos, Photos]:
    generator = np.random.default_rng(seed)
    train: Photos = []
    held_out: Photos = []
    for label in range(classes):
        own = [photo for photo in photos if photo[1] == label]
        order = generator.permutation(len(own))
        first = max(1, round(HELD_OUT * len(own)))
        held_out += [own[index] for index in sorted(order[:first])]
        train += [own[index] for index in sorted(order[first:])]
    return train, held_out


def _differing(first: Sequence[str], second: Sequence[str]) -> str:
    return ", ".join(sorted(set(first) ^ set(second)))


def _check_memory(count: int, size: int) -> None:
    needed = count * 3 * size * size
    if needed > _MEMORY:
        fits = int((_MEMORY / (3 * count)) ** 0.5)
        raise TrainingError(
            f"{count} images of {size} × {size} pixels take {needed / 2**30:.1f} GB of memory, {_MEMORY >> 30} GB are "
            f"allowed; {fits} pixels would fit"
        )


def _read(photos: Photos, size: int) -> ImageSet:
    frame = Preprocessing(input_size=(size, size), resize=size)
    images = np.empty((len(photos), 3, size, size), dtype=np.uint8)
    for place, (file, _) in enumerate(photos):
        images[place] = np.asarray(frame.frame(load_image(file))).transpose(2, 0, 1)
    return ImageSet(images, np.array([label for _, label in photos], dtype=np.int64))
