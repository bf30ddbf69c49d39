"""The architecture of a named network: all that is needed to make a classifier of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from cam_core.images import Preprocessing
from cam_core.models.split.watching import LayerShape
from cam_core.models.zoo.weights import StateDict
from cam_core.types import Progress


@dataclass(frozen=True)
class Architecture:
    """A network by name, not yet built.

    Attributes:
        build: number of classes → a new module on the CPU; its weights are drawn from whatever randomness is in force.
        classes: how many the official weights tell apart.
        official: (a module as built, progress) → the official weights, fetched where they are missing.
        layers, default_layer: as `Classifier` takes them; of a token network, the default is found with its weights.
        auxiliary: beginnings of the names of weights that only training uses.
        labels: the names of its classes; ImageNet's where there are none.
    """

    name: str
    build: Callable[[int], nn.Module]
    classes: int
    official: Callable[[nn.Module, Progress | None], StateDict]
    preprocessing: Preprocessing
    layers: tuple[tuple[str, str], ...]
    default_layer: str | None
    auxiliary: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def plain_labels(
    shapes: Sequence[LayerShape], input_size: tuple[int, int], default: str | None
) -> tuple[tuple[str, str], ...]:
    """(module name, plain label) of layers that nobody described: "1/8 resolution", and "last" for the last.

    The blocks of a token network, which has no default yet, are described by their names alone.
    """
    if default is None:
        return tuple((shape[0], "") for shape in shapes)
    shrinkage = [round(input_size[0] / height) for _, _, height, _ in shapes[:-1]]
    labels = [f"1/{factor} resolution" if factor > 1 else "full resolution" for factor in shrinkage]
    return tuple(zip([shape[0] for shape in shapes], [*labels, "last"], strict=True))
