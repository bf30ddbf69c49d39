"""Which of several maps a metric calls the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isnan

from cam_core.methods import METHODS
from cam_core.metrics import Metric
from cam_core.metrics.curves.spread import is_control


def best_of(values: Mapping[str, float], metric: Metric, written: Callable[[float], str] = repr) -> set[str]:
    """The names of the best, controls apart; empty where there is nothing to choose from.

    What is written alike is alike: all that look like the best one are best, and where all do, none is.

    Args:
        values: the metric's value by the map's name; NaN where it could not be computed. Controls are the methods that
            are, and the maps of `random_control`.
        written: a value as the reader sees it.
    """
    known = contestants(values)
    if len(set(map(written, known.values()))) < 2:
        return set()
    winning = written((max if metric.direction == "higher" else min)(known.values()))
    return {name for name, value in known.items() if written(value) == winning}


def contestants(values: Mapping[str, float]) -> dict[str, float]:
    """Those of the values that can be the best: known, and no control's."""
    return {name: value for name, value in values.items() if not isnan(value) and not _is_control(name)}


def _is_control(name: str) -> bool:
    return is_control(name) or (name in METHODS and METHODS[name].control)
