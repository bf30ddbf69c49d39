"""From a data set's name to images in memory: the built-in digits, a folder of photos, or a set of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torchvision

from cam_core.models.zoo.downloads import hub_folder, reason_of
from cam_core.training.digits import CLASSES, DigitsSet, split_photos
from cam_core.training.errors import TrainingError
from cam_core.training.folders import open_folder
from cam_core.training.image_sets import ImageSet, TrainingData

BUILT_IN: Final = "digits"
DOWNLOADED: Final = ("cifar10", "cifar100", "stl10")
_DIGITS_SIZE: Final = 64
_DIGITS_COUNT: Final = 6000  # half of the digits are used twice, elsewhere: less of it is learnt by heart


def open_data(name: str, *, size: int | None = None, seed: int = 0, count: int | None = None) -> TrainingData:
    """The data of that name, ready in memory.

    Args:
        name: "digits", one of `DOWNLOADED`, or the path of a folder with one folder of images per class.
        size: width and height of the images in pixels; the data's own where omitted. Those of torchvision keep theirs.
        seed: of the digits' composition, and of the share of a folder that is held out.
        count: how many training images; all where omitted, 6000 of the digits. These may be more than the 4000 digits:
            some are then used again, elsewhere.
    Raises:
        TrainingError: no such data, nothing to learn from, or a download that failed.
        ImageError: a file of the folder is no image.
    """
    if name == BUILT_IN:
        return _digits(size or _DIGITS_SIZE, seed, count)
    if name in DOWNLOADED:
        return _shortened(_downloaded(name, size), count)
    if not Path(name).expanduser().is_dir():
        raise TrainingError(
            f"there is no data {name!r}: choose {BUILT_IN}, {', '.join(DOWNLOADED)}, or a folder that holds one folder "
            "of images per class"
        )
    return _shortened(open_folder(Path(name).expanduser(), size or _DIGITS_SIZE, seed), count)


def _digits(size: int, seed: int, count: int | None) -> TrainingData:
    return TrainingData(
        name=BUILT_IN,
        classes=CLASSES,
        train=DigitsSet("train", size, seed, count or _DIGITS_COUNT),
        held_out=DigitsSet("held-out", size, seed),
        flip=False,
        facts={"held-out photos": list(split_photos(seed, "held-out"))},
    )


def _shortened(data: TrainingData, count: int | None) -> TrainingData:
    """`data` with `count` of its training images, evenly from beginning to end."""
    if count is None or count >= len(data.train):
        return data
    places = np.linspace(0, len(data.train) - 1, count).round().astype(np.int64)
    train = ImageSet(data.train.images[places], data.train.labels[places])
    return TrainingData(data.name, data.classes, train, data.held_out, data.flip, data.facts)


def _downloaded(name: str, size: int | None) -> TrainingData:
    """CIFAR or STL-10 as torchvision has them, at their own size, with their own test set held out."""
    makers: dict[str, Callable[[Path, bool], Any]] = {
        "cifar10": lambda root, train: torchvision.datasets.CIFAR10(root, train=train, download=True),
        "cifar100": lambda root, train: torchvision.datasets.CIFAR100(root, train=train, download=True),
        "stl10": lambda root, train: torchvision.datasets.STL10(
            root, split="train" if train else "test", download=True
        ),
    }
    root = hub_folder().parent / "datasets"
    try:
        root.mkdir(parents=True, exist_ok=True)
        train, test = (makers[name](root, part) for part in (True, False))
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"{name} is not on this machine and could not be downloaded ({reason_of(error)}); connect to the network, "
            f"put its archive into {root}, or train on the built-in data: {BUILT_IN}"
        ) from error
    sets = [_from_torchvision(part) for part in (train, test)]
    own = int(sets[0].images.shape[-1])
    if size not in (None, own):
        raise TrainingError(f"size={size}: the images of {name} are {own} pixels wide and stay so")
    return TrainingData(name, tuple(train.classes), sets[0], sets[1], flip=True)


def _from_torchvision(part: Any) -> ImageSet:
    """CIFAR keeps (N, S, S, 3) and `targets`, STL-10 (N, 3, S, S) and `labels`."""
    if hasattr(part, "targets"):
        return ImageSet(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)), np.asarray(part.targets, dtype=np.int64))
    return ImageSet(part.data, np.asarray(part.labels, dtype=np.int64))
