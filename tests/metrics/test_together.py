"""Several metrics of one map together: as one by one, but what they share goes through the network once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from cam_core import METRICS, evaluate, explain
from cam_core.metrics import confidence, evaluate_many, road
from tests.metrics.scenes import scene

TOGETHER = [key for key, entry in METRICS.items() if not entry.expensive and not entry.needs]
TOGETHER += ["road", "road-morf", "road-lerf", "coherency", "adcc", "arcc"]


def test_values_are_those_of_one_by_one() -> None:
    clf, images, _, _ = scene("squeeze-excite", count=1)
    made = explain(clf, images[0], method="grad-cam")
    alone = {key: evaluate(clf, images[0], made, metric=key) for key in TOGETHER}
    for order in (TOGETHER, TOGETHER[::-1]):
        results = list(evaluate_many(clf, images[0], made, metrics=order))
        assert [result.metric for result in results] == order
        for result in results:
            assert result.value == pytest.approx(alone[result.metric].value, abs=1e-6, rel=1e-6)
            assert result.warnings == alone[result.metric].warnings
            for name, values in alone[result.metric].extras.items():
                np.testing.assert_allclose(result.extras[name], values, atol=1e-6, rtol=1e-6)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures went to the network, call by call."""
    counts: list[int] = []

    def counting(right: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def scores(net: object, pictures: object, target: Tensor, *arguments: Any, **options: Any) -> Tensor:
            counts.append(len(target))
            return right(net, pictures, target, *arguments, **options)

        return scores

    for module in (confidence, road):
        monkeypatch.setattr(module, "picture_scores", counting(module.picture_scores))
    return counts


def test_what_metrics_share_is_scored_once_and_at_once(scored: list[int]) -> None:
    clf, images, maps, _ = scene(count=1)
    keys = ["complexity", "average-drop", "average-increase", "average-gain", "average-drop-in-deletion"]
    list(evaluate_many(clf, images[0], maps[0], metrics=keys))
    assert scored == [2], "under the mask, and under one minus the mask"


def test_the_masked_picture_of_adcc_is_that_of_average_drop(scored: list[int]) -> None:
    clf, images, _, _ = scene(count=1)
    made = explain(clf, images[0], method="grad-cam")
    list(evaluate_many(clf, images[0], made, metrics=["adcc", "average-drop"]))
    assert scored == [1]


def test_both_orders_of_road_are_scored_once(scored: list[int]) -> None:
    clf, images, maps, _ = scene(count=1)
    list(evaluate_many(clf, images[0], maps[0], metrics=["road-lerf", "road", "road-morf"]))
    assert scored == [9, 9]


def test_another_mask_is_another_picture() -> None:
    clf, images, maps, targets = scene(count=1)
    batch = confidence.masked({"keep_top": 1.0, "mask": "soft", "mask_space": "normalized"})
    assert batch == confidence.Masked(confidence.Masking())
    assert batch != confidence.masked({"keep_top": 0.5, "mask": "soft", "mask_space": "normalized"})
    values = {
        keep: evaluate(clf, images[0], maps[0], metric="average-drop", target=targets[0], keep_top=keep).extras["after"]
        for keep in (1.0, 0.5)
    }
    assert values[1.0] != values[0.5]
