"""Names of classes."""

from __future__ import annotations

from functools import cache

from timm.data import ImageNetInfo
from torchvision.models import ResNet18_Weights

from cam_core.types import ModelError

IMAGENET_CLASSES = 1000
_LONGEST = 200  # characters of one name


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 ImageNet class names in torchvision's spelling; "crane" and "maillot" each name two classes."""
    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The WordNet numbers of the 1000 ImageNet classes, "n01440764" first: in the order of `imagenet_labels`."""
    return tuple(ImageNetInfo().label_names())


def labels_for(classes: int) -> list[str]:
    """ImageNet's names for 1000 classes, "class 0", "class 1", … for any other number."""
    if classes == IMAGENET_CLASSES:
        return list(imagenet_labels())
    return [f"class {index}" for index in range(classes)]


def read_labels(text: bytes, classes: int) -> tuple[str, ...]:
    """The names of so many classes from a text in UTF-8, one per line in the order of the classes.

    Raises:
        ModelError: no such text, or another number of names.
    """
    try:
        lines = [line.strip() for line in text.decode("utf-8-sig").rstrip().splitlines()]
    except UnicodeDecodeError as error:
        raise ModelError("the labels are no text in UTF-8: save them as plain text, one label per line") from error
    if len(lines) != classes:
        raise ModelError(f"the network tells apart {classes:,} classes, and the labels have {len(lines):,} lines")
    unfit = next((number for number, line in enumerate(lines, 1) if not 0 < len(line) <= _LONGEST), None)
    if unfit is not None:
        raise ModelError(f"line {unfit} of the labels is empty, or longer than {_LONGEST} characters")
    return tuple(lines)
