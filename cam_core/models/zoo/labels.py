"""Names of classes."""

from __future__ import annotations

from functools import cache

from torchvision.models import ResNet18_Weights

IMAGENET_CLASSES = 1000


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 ImageNet class names in torchvision's spelling; "crane" and "maillot" each name two classes."""
    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def labels_for(classes: int) -> list[str]:
    """ImageNet's names for 1000 classes, "class 0", "class 1", … for any other number."""
    if classes == IMAGENET_CLASSES:
        return list(imagenet_labels())
    return [f"class {index}" for index in range(classes)]
