"""Who leads: the best mean, and those that it is not significantly better than."""

from __future__ import annotations

import pytest

from cam_core.evaluation.report.leading import difference, lead, mean_ranks, rank_of
from cam_core.evaluation.scores import Column
from cam_core.evaluation.statistics import compare_runs
from tests.evaluation.report.made import DROPS, results

GRAD, LIFT, RANDOM = (Column(method, 0, "a") for method in ("grad-cam", "lift-cam", "random"))


def test_the_best_leads_and_whom_it_does_not_beat_is_level() -> None:
    (comparison,) = compare_runs({"a": results(DROPS).table})
    leading = lead(comparison, "a")
    assert leading.best == GRAD, "mean 13.5 of a drop, 13.875 and 77.5 for the others"
    assert leading.level == (LIFT,), "2, −2, 2, −2, 3, −1, 2, −1: chance does that often"
    assert lead(comparison, "b").best is None


def test_a_control_never_leads_and_is_level_where_it_is_as_good() -> None:
    values = {("grad-cam", "average-drop"): [3.0, 5, 4], ("random", "average-drop"): [2.0, 5, 4]}
    (comparison,) = compare_runs({"a": results(values).table})
    assert lead(comparison, "a").best == GRAD and lead(comparison, "a").level == (RANDOM,)
    (alone,) = compare_runs({"a": results({("grad-cam", "average-drop"): [3.0, 5, 4]}).table})
    assert lead(alone, "a").best is None, "nobody to be better than"


def test_a_difference_is_turned_where_it_is_asked_for_the_other_way() -> None:
    (comparison,) = compare_runs({"a": results(DROPS).table})
    one, other = difference(comparison, GRAD, RANDOM), difference(comparison, RANDOM, GRAD)
    assert one is not None and other is not None
    assert one.interval.mean == pytest.approx(13.5 - 77.5) and other.interval.mean == pytest.approx(77.5 - 13.5)
    assert (other.interval.low, other.interval.high) == (-one.interval.high, -one.interval.low)
    assert (one.first, one.second, one.p, one.adjusted) == (other.second, other.first, other.p, other.adjusted)
    assert comparison.better(one) == comparison.better(other) == GRAD
    # All eight differences have one sign: 2 of 2⁸ patterns are as extreme. Two of three pairs are as sure as that.
    assert one.p == pytest.approx(2 / 256) and one.adjusted == pytest.approx(3 * 2 / 256)
    assert difference(comparison, GRAD, Column("cam", 0, "a")) is None


def test_mean_ranks_are_over_metrics_and_whoever_lacks_one_has_none() -> None:
    values = {
        ("grad-cam", "average-drop"): [1.0, 2.0],
        ("lift-cam", "average-drop"): [2.0, 1.0],
        ("grad-cam", "average-gain"): [5.0, 5.0],
        ("lift-cam", "average-gain"): [4.0, 5.0],
    }
    ranks = mean_ranks(compare_runs({"a": results(values).table}))
    # Drop: 1, 2 and 2, 1. Gain, higher is better: 1, 1.5 and 2, 1.5.
    assert rank_of(ranks, GRAD) == pytest.approx((1.5 + 1.25) / 2)
    assert rank_of(ranks, LIFT) == pytest.approx((1.5 + 1.75) / 2)
    never = mean_ranks(compare_runs({"a": results(values | {("lift-cam", "average-gain"): [None, None]}).table}))
    assert rank_of(never, GRAD) is None
