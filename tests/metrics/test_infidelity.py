"""Infidelity: by hand and against captum."""

from __future__ import annotations

import pytest
import torch
from captum.metrics import infidelity
from torch import Tensor

from cam_core import evaluate
from cam_core.metrics.infidelity import _squares
from cam_core.run import Run
from tests.metrics.scenes import coloured, random_maps, scene, weighted


def test_squares_are_whole_and_everywhere() -> None:
    squares = _squares((8, 12), 500, 0.25, Run(seed=1))
    assert (squares.sum((1, 2)) == 4).all()
    assert (squares.sum(0) > 0).all()


def test_infidelity_of_a_map_that_knows_the_drops_is_0() -> None:
    """On a linear network with logits as scores, weight × input predicts every drop."""
    weights = random_maps(1)[0, :4, :4]
    image = coloured(torch.ones(4, 4))
    knowing = weights / weights.max()
    params = {"samples": 50, "side": 0.5, "score": "logit"}
    found = evaluate(weighted(weights), image, knowing, metric="infidelity", target=0, **params)
    assert found.value == pytest.approx(0, abs=1e-10)
    assert evaluate(weighted(weights), image, 1 - knowing, metric="infidelity", target=0, **params).value > 1e-3


def test_infidelity_of_a_zero_map_is_the_mean_squared_drop() -> None:
    clf, images, _, targets = scene(count=1)
    result = evaluate(clf, images[0], torch.zeros(16, 16), metric="infidelity", target=targets[0], samples=20)
    assert result.value == pytest.approx((result.extras["drops"] ** 2).mean())


@pytest.mark.parametrize("score", ["probability", "logit"])
def test_infidelity_equals_captum(score: str) -> None:
    """With a square's indicator as the perturbation that the map is multiplied with, and its optimal scale."""
    clf, images, maps, targets = scene(count=1)
    squares = _squares((16, 16), 30, 0.25, Run(seed=2)).float()

    def remove(x: Tensor) -> tuple[Tensor, Tensor]:
        each = squares.view(30, 1, 16, 16).expand(30, 3, 16, 16)
        return each / 3, x * (1 - each)  # a third a colour: their sum is the map's

    def forward(x: Tensor) -> Tensor:
        logits = clf.module(x)
        return (logits if score == "logit" else logits.softmax(1))[:, targets[0]]

    with torch.no_grad():
        expected = infidelity(
            forward, remove, images, maps[None].expand(1, 3, 16, 16), n_perturb_samples=30, normalize=True
        )
    result = evaluate(clf, images[0], maps[0], metric="infidelity", target=targets[0], samples=30, score=score, seed=2)
    assert result.value == pytest.approx(float(expected), rel=1e-3)
