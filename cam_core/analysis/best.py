"""Which of several maps a metric calls the best."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

from cam_core.methods import METHODS
from cam_core.metrics import Metric


def best_of(values: Mapping[str, float], metric: Metric) -> set[str]:
    """The names of the best, controls apart; empty where there is nothing to choose from.

    Args:
        values: the metric's value by the map's name; NaN where it could not be computed. A name that is no method's is
            a control's.
    """
    known = {name: value for name, value in values.items() if not isnan(value) and not _is_control(name)}
    if len(set(known.values())) < 2:
        return set()
    winning = (max if metric.direction == "higher" else min)(known.values())
    return {name for name, value in known.items() if value == winning}


def _is_control(name: str) -> bool:
    return name not in METHODS or METHODS[name].control
