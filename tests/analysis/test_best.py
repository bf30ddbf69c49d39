"""Who wins, by hand."""

from __future__ import annotations

from cam_core import METRICS
from cam_core.analysis.best import best_of
from cam_core.metrics.curves.spread import control_name


def test_the_best_is_no_control_and_nobody_where_all_are_equal() -> None:
    drop, gain = METRICS["average-drop"], METRICS["average-gain"]
    values = {"grad-cam": 3.0, "lift-cam": 5.0, "fake-cam": 0.0, control_name(0): 1.0}
    assert best_of(values, drop) == {"grad-cam"}
    assert best_of(values, gain) == {"lift-cam"}
    assert best_of({"grad-cam": 0.0, "lift-cam": 0.0, "fake-cam": 9.0}, gain) == set()
    assert best_of({"grad-cam": 1.0, "lift-cam": float("nan")}, gain) == set()


def test_a_map_from_elsewhere_can_be_the_best() -> None:
    assert best_of({"grad-cam": 3.0, "mine": 1.0, control_name(0): 0.0}, METRICS["average-drop"]) == {"mine"}


def test_what_is_written_alike_is_equally_good() -> None:
    drop = METRICS["average-drop"]
    values = {"grad-cam": 0.9912, "lift-cam": 0.9914, "cam": 2.0}
    assert best_of(values, drop, lambda value: f"{value:.2f}") == {"grad-cam", "lift-cam"}
    assert best_of({"grad-cam": 1.2e-4, "lift-cam": 1.3e-4}, drop, lambda value: f"{value:.2f}") == set()
