"""The report of maps side by side: agreement, top classes and scales, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cam_core import Explanation
from cam_core.analysis.comparison import comparison_report, drawn_maps
from cam_core.models.classifier import Prediction

RAMP = np.array([[-2.0, 0.0], [1.0, 4.0]], dtype=np.float32)
PREDICTIONS = [Prediction(index, f"class {index}", float(9 - index), 0.5 / (1 + index)) for index in range(8)]


def explanation(method: str, raw: np.ndarray) -> Explanation:
    return Explanation(method, "tiny", "conv", 6, "class 6", 5.0, 0.9, raw.astype(np.float32), raw)


def test_agreement_is_of_every_two_maps() -> None:
    """Ranks of (1, 2, 3, 4) and (1, 2, 4, 3): 1 − 6 · 2 / (4 · 15) = 0.8."""
    swapped = np.array([[-2.0, 0.0], [4.0, 1.0]])
    maps = [explanation("grad-cam", RAMP), explanation("lift-cam", swapped), explanation("cam", -RAMP)]
    report = comparison_report(maps, PREDICTIONS, 6)
    assert report.titles == ("Grad-CAM", "LIFT-CAM", "CAM") and report.maps == tuple(maps)
    assert report.agreement is not None
    np.testing.assert_allclose(report.agreement, [[1, 0.8, -1], [0.8, 1, -0.8], [-1, -0.8, 1]], atol=1e-6)
    assert [(one, other) for one, other, _ in report.pairs] == [
        ("Grad-CAM", "LIFT-CAM"),
        ("Grad-CAM", "CAM"),
        ("LIFT-CAM", "CAM"),
    ]
    assert [value for _, _, value in report.pairs] == pytest.approx([0.8, -1, -0.8])


@pytest.mark.parametrize("count", [0, 1])
def test_it_takes_two_to_agree(count: int) -> None:
    report = comparison_report([explanation("cam", RAMP)] * count, PREDICTIONS, 6)
    assert report.agreement is None and report.pairs == []


@pytest.mark.parametrize(("target", "top"), [(6, [0, 1, 2, 3, 4, 6]), (2, [0, 1, 2, 3, 4])])
def test_the_explained_class_is_always_among_the_top(target: int, top: list[int]) -> None:
    assert [prediction.index for prediction in comparison_report([], PREDICTIONS, target).top] == top


def test_every_map_has_its_own_scale_or_all_share_one() -> None:
    maps = [explanation("grad-cam", RAMP), explanation("lift-cam", 2 * RAMP)]
    assert [drawn.limits for drawn in drawn_maps(maps, (2, 2))] == [(0, 4), (0, 8)]
    assert [drawn.limits for drawn in drawn_maps(maps, (2, 2), shared=True)] == [(0, 8), (0, 8)]
    assert drawn_maps(maps, (2, 2))[0].values.tolist() == [[0, 0], [1, 4]]


def test_a_sign_is_drawn_where_the_method_has_one_and_kinds_share_no_scale() -> None:
    maps = [explanation("grad-cam", RAMP), explanation("random", 9 * abs(RAMP)), explanation("lift-cam", -2 * RAMP)]
    drawn = drawn_maps(maps, (2, 2), signed=True, shared=True)
    assert [one.signed for one in drawn] == [True, False, True]
    assert [one.limits for one in drawn] == [(-8, 8), (0, 36), (-8, 8)]
    assert drawn[0].values.tolist() == RAMP.tolist()


def test_ranks_have_one_range_whatever_the_unit_and_show_a_sign_where_there_is_one() -> None:
    maps = [explanation("grad-cam", RAMP), explanation("lift-cam", RAMP * 1e3), explanation("score-cam", RAMP)]
    drawn = drawn_maps(maps, (2, 2), signed=True, ranked=True)
    assert [made.limits for made in drawn] == [(-100, 100), (-100, 100), (0, 100)]
    assert {made.unit for made in drawn} == {" %"}
    for made in drawn[:2]:
        np.testing.assert_array_equal(made.values, [[-75, 0], [50, 100]])
    np.testing.assert_array_equal(drawn[2].values, [[0, 0], [75, 100]])
