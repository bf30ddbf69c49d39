"""The random control, and how far its curves scatter: the band that a curve has to leave to say anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image
from torch import Tensor

from cam_core.explain import Layer, explain
from cam_core.metrics.base import Values
from cam_core.metrics.curves.perturbation import Kind
from cam_core.metrics.curves.points import Curve
from cam_core.models.classifier import Classifier
from cam_core.targets.asking import Target
from cam_core.types import Explanation, MetricError

CONTROL: Final = "random"
"""The method that every curve is compared with: a map that knows nothing."""

CONTROL_MAPS: Final = 5
"""The number of its maps, where nothing else is asked for."""


def control_name(seed: int) -> str:
    """The name of the random map of a seed, also in tables that people take away."""
    return f"{CONTROL} (seed {seed})"


def is_control(name: str) -> bool:
    """Whether it is such a name."""
    return name.startswith(f"{CONTROL} (seed ")


def control_seeds(seed: int, count: int = CONTROL_MAPS) -> range:
    """The seeds of the control of what was computed with `seed`: that one and those after it."""
    return range(seed, seed + count)


def random_control(
    clf: Classifier,
    image: Image.Image | Tensor,
    layer: Layer,
    target: Target,
    *,
    seed: int = 0,
    count: int = CONTROL_MAPS,
    precision: str = "float32",
) -> dict[str, Explanation]:
    """The control's maps by name, one per seed.

    Args:
        layer: that of the maps they stand beside, since noise is the finer the larger its layer's map is; None for the
            network's default.
        target: what the curves are of, such as a class index.
    Raises:
        LayerError: no such layer.
    """
    return {
        control_name(control_seed): explain(
            clf, image, method=CONTROL, layer=layer, target=target, seed=control_seed, precision=precision
        )
        for control_seed in control_seeds(seed, count)
    }


@dataclass(frozen=True)
class Band:
    """Curves of one kind, point by point, where all of them are known.

    Attributes:
        count: number of curves.
        fractions: (n,), ascending.
        low, mean, high: (n,) lowest, mean and highest value.
    """

    count: int
    fractions: Values
    low: Values
    mean: Values
    high: Values


Verdict = Literal["better", "within", "worse"]
"""How an area stands to those of the control: better than all of them, within their range, or worse than all."""


@dataclass(frozen=True)
class Spread:
    """Mean, lowest and highest of the areas under `count` curves."""

    mean: float
    low: float
    high: float
    count: int

    def verdict(self, area: float, kind: Kind) -> Verdict:
        """The place of an area among these.

        A map is better where its class's score falls fast (deletion) or rises fast (insertion).
        """
        if self.low <= area <= self.high or np.isnan(area):
            return "within"
        return "better" if (area < self.low) == (kind == "deletion") else "worse"


def band(curves: Sequence[Curve]) -> Band:
    """The band of curves that share their fractions; it has the points that all of them have by now.

    Raises:
        MetricError: no curves.
    """
    if not curves:
        raise MetricError("a band needs at least one curve")
    shared = sorted(set.intersection(*(set(curve.points) for curve in curves)))
    fractions = np.array([curves[0].points[index].fraction for index in shared])
    values = np.array([[curve.points[index].value for index in shared] for curve in curves])
    return Band(len(curves), fractions, values.min(0), values.mean(0), values.max(0))


def left_at_baseline(curve: Curve) -> float | None:
    """The baseline's share of the score that the untouched image has; None while one of the two is unknown.

    Near 1, what replaces the pixels keeps the class: deletion has nothing to take, insertion nothing to bring.
    """
    first, last = curve.points.get(0), curve.points.get(curve.total - 1)
    if first is None or last is None:
        return None
    untouched, baseline = (first, last) if curve.kind == "deletion" else (last, first)
    return baseline.value / untouched.value if untouched.value > 0 else None


def spread(curves: Iterable[Curve]) -> Spread | None:
    """The spread of the areas under the curves; None before each has two points."""
    areas = np.array([curve.auc for curve in curves])
    if not areas.size or np.isnan(areas).any():
        return None
    return Spread(float(areas.mean()), float(areas.min()), float(areas.max()), len(areas))
