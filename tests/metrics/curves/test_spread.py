"""The random control's band and spread, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cam_core import explain
from cam_core.metrics.curves.perturbation import Kind
from cam_core.metrics.curves.points import Curve, CurvePoint
from cam_core.metrics.curves.spread import CONTROL_MAPS, Spread, band, left_at_baseline, random_control, spread
from cam_core.types import MetricError
from tests.tiny import tiny_classifier, tiny_images


def curve(values: dict[int, float], kind: Kind = "deletion", total: int = 3) -> Curve:
    made = Curve("random", kind)
    for index, value in values.items():
        made.add(CurvePoint("random", kind, index, total, index / (total - 1), value))
    return made


def test_control_is_one_map_a_seed_at_the_layer() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)[0]
    found = random_control(clf, image, "features.1", 2, seed=3, count=2)
    assert list(found) == ["random (seed 3)", "random (seed 4)"]
    for seed, one in zip((3, 4), found.values(), strict=True):
        expected = explain(clf, image, method="random", layer="features.1", target=2, seed=seed)
        assert (one.method, one.layer, one.target, one.seed) == ("random", "features.1", 2, seed)
        assert np.array_equal(one.map, expected.map)
    assert len(random_control(clf, image, None, 2)) == CONTROL_MAPS
    assert random_control(clf, image, "features.1", 2, count=0) == {}


def test_band_has_the_points_that_all_curves_have() -> None:
    found = band([curve({0: 1.0, 1: 0.5, 2: 0.0}), curve({2: 0.4, 0: 0.8})])
    assert found.count == 2
    assert found.fractions.tolist() == [0.0, 1.0]
    assert found.low.tolist() == [0.8, 0.0]
    assert found.mean == pytest.approx([0.9, 0.2])
    assert found.high.tolist() == [1.0, 0.4]


def test_no_curves_make_no_band() -> None:
    with pytest.raises(MetricError, match="at least one curve"):
        band([])
    assert spread([]) is None


def test_spread_of_areas() -> None:
    areas = spread([curve({0: 1.0, 1: 0.5, 2: 0.0}), curve({0: 1.0, 2: 0.6})])
    assert areas == Spread(pytest.approx(0.65), 0.5, 0.8, 2)
    assert spread([curve({0: 1.0, 2: 0.6}), curve({0: 1.0})]) is None


@pytest.mark.parametrize(
    ("area", "kind", "verdict"),
    [
        (0.1, "deletion", "better"),
        (0.9, "deletion", "worse"),
        (0.9, "insertion", "better"),
        (0.1, "insertion", "worse"),
        (0.5, "insertion", "within"),
        (0.4, "deletion", "within"),
        (math.nan, "deletion", "within"),
    ],
)
def test_verdict_knows_which_way_is_better(area: float, kind: Kind, verdict: str) -> None:
    assert Spread(0.5, 0.4, 0.6, 5).verdict(area, kind) == verdict


def test_what_the_baseline_leaves_of_the_score() -> None:
    assert left_at_baseline(curve({0: 0.8, 2: 0.2})) == pytest.approx(0.25)
    assert left_at_baseline(curve({0: 0.6, 2: 0.8}, "insertion")) == pytest.approx(0.75)
    assert left_at_baseline(curve({0: 0.8, 1: 0.2})) is None
    assert left_at_baseline(curve({0: 0.0, 2: 0.2})) is None
