"""The best and the worst images, and what has no value."""

from __future__ import annotations

from cam_core.evaluation.report.images import extremes, missing
from tests.evaluation.report.made import DROPS, results


def names(scores: tuple) -> list[str]:
    return [score.image for score in scores]


def test_the_best_are_the_lowest_where_lower_is_better() -> None:
    best, worst = extremes(results(DROPS), "lift-cam", "average-drop")
    assert names(best) == ["1.jpg", "3.jpg", "0.jpg"] and [score.value for score in best] == [9, 11, 12]
    assert names(worst) == ["6.jpg", "4.jpg", "7.jpg"]
    assert (best[0].sha256, best[0].target, best[0].label, best[0].probability) == ("sha 1", 1, "cat", 0.5)


def test_the_best_are_the_highest_where_higher_is_better() -> None:
    best, worst = extremes(
        results({("grad-cam", "average-gain"): [3.0, None, 9.0, 1.0]}), "grad-cam", "average-gain", 1
    )
    assert (names(best), names(worst)) == (["2.jpg"], ["3.jpg"])


def test_no_image_is_among_both() -> None:
    best, worst = extremes(results({("grad-cam", "average-drop"): [3.0, 1.0, 2.0]}), "grad-cam", "average-drop")
    assert (names(best), names(worst)) == (["1.jpg", "2.jpg"], ["0.jpg"])
    assert extremes(results(DROPS), "cam", "average-drop") == ((), ())


def test_missing_values_are_counted_by_reason_and_named() -> None:
    values = {("grad-cam", "average-drop"): [1.0, None, None], ("random", "average-drop"): [None, None, 2.0]}
    (only,) = missing([results(values)])
    assert (only.reason, only.count) == ("it is broken", 4)
    assert set(only.images) == {"0.jpg", "1.jpg", "2.jpg"} and only.methods == ("random", "grad-cam")
    assert missing([results(DROPS)]) == ()
