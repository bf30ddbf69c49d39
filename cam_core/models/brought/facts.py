"""What a module says of itself: how many channels its images have, and how its classes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from cam_core.images import IMAGENET_MEAN, IMAGENET_STD, Fit, Preprocessing

_POSITIVE = "positive"


def framing(
    module: nn.Module,
    input_size: tuple[int, int],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    fit: Fit,
) -> Preprocessing:
    """How photos become images of `module`: what is not said is taken from its first convolution, and from ImageNet.

    Raises:
        ModelError: mean and std are not one number per channel each, or there is no such fit.
    """
    given = std if mean is None else mean
    usual_mean, usual_std = usual_statistics(_input_channels(module) if given is None else len(given))
    return Preprocessing(
        input_size=input_size,
        resize=max(input_size) * 256 // 224,
        mean=usual_mean if mean is None else tuple(mean),
        std=usual_std if std is None else tuple(std),
        fit=fit,
    )


def _input_channels(module: nn.Module) -> int:
    """Channels that the first convolution takes; 3 where there is none."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def usual_statistics(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std: ImageNet's; for grey its average over the colours; else 0 and 1, which change nothing."""
    if channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    if channels == 1:
        return (round(sum(IMAGENET_MEAN) / 3, 3),), (round(sum(IMAGENET_STD) / 3, 3),)
    return (0.0,) * channels, (1.0,) * channels


def own_labels(module: nn.Module) -> list[str] | None:
    """The class names in the configuration that transformers' networks carry; None where it has none of its own."""
    for part in module.modules():
        names = getattr(getattr(part, "config", None), "id2label", None)
        if isinstance(names, Mapping) and names:
            labels = [str(names.get(index, names.get(str(index), ""))) for index in range(len(names))]
            if not all(labels):  # it counts in a way of its own
                return None
            placeholders = [f"LABEL_{index}" for index in range(len(labels))]
            return None if labels == placeholders else labels
    return None


def side_labels(given: Sequence[str] | None) -> list[str]:
    """Names of the two sides of one score: of both, or of the positive one, or of none."""
    if given is not None and len(given) == 2:
        return list(given)
    positive = given[0] if given is not None and len(given) == 1 else _POSITIVE
    return ["negative" if positive == _POSITIVE else f"not {positive}", positive]
