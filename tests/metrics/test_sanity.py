"""Sparseness, max-sensitivity and infidelity: by hand and against captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.metrics import infidelity, sensitivity_max
from torch import Tensor

from cam_core import evaluate, explain
from cam_core.metrics.sanity import _squares
from cam_core.run import Run
from tests.metrics.scenes import coloured, plane, random_maps, scene, weighted


def sparseness(saliency: Tensor) -> float:
    return evaluate(weighted(plane(a1=1)), coloured(torch.zeros(4, 4)), saliency, "sparseness", target=0).value


def test_gini_by_hand() -> None:
    assert sparseness(plane(a1=1)) == pytest.approx(15 / 16)  # all on one of n pixels: (n − 1) / n
    assert sparseness(plane(a1=1, d4=1)) == pytest.approx(14 / 16)
    assert sparseness(torch.ones(4, 4)) == pytest.approx(0, abs=1e-12)
    assert sparseness(torch.zeros(4, 4)) == 0


def test_gini_is_half_the_relative_mean_difference() -> None:
    values = random_maps(1)[0, :4, :4]
    differences = np.abs(np.subtract.outer(values.flatten(), values.flatten())).mean()
    assert sparseness(values) == pytest.approx(differences / 2 / float(values.mean()))


def smooth(image: Tensor) -> Tensor:
    """A "method": how bright, squashed to (0, 1)."""
    return image.mean(0).sigmoid()


def test_a_method_that_ignores_the_image_is_insensitive() -> None:
    clf, images, maps, _ = scene(count=1)
    assert evaluate(clf, images[0], maps[0], "max-sensitivity", explain_again=lambda image: maps[0]).value == 0


def test_max_sensitivity_equals_captum() -> None:
    """Given the same noise."""
    clf, images, _, targets = scene(count=1)
    generator = torch.Generator().manual_seed(5)
    noise = [(2 * torch.rand(3, 16, 16, generator=generator, dtype=torch.float64) - 1) * 0.3 for _ in range(4)]
    draws = iter(noise)

    def explain_all(x: Tensor | tuple[Tensor]) -> Tensor | tuple[Tensor]:
        """As captum's methods do: a tuple for a tuple."""
        maps = torch.stack([smooth(image) for image in (x[0] if isinstance(x, tuple) else x)])
        return (maps,) if isinstance(x, tuple) else maps

    expected = sensitivity_max(
        explain_all,
        images.double(),
        perturb_func=lambda x, radius: x + next(draws),
        n_perturb_samples=4,
        max_examples_per_batch=1,
    )
    image = images[0].double()
    result = evaluate(
        clf,
        image,
        smooth(image),
        "max-sensitivity",
        targets[0],
        explain_again=smooth,
        samples=4,
        radius=0.3,
        seed=5,
        precision="float64",
    )
    assert result.value == pytest.approx(float(expected), rel=1e-6)
    assert result.extras["changes"].shape == (4,)
    assert result.value == result.extras["changes"].max() > 0.01


def test_max_sensitivity_of_a_zero_map_is_not_divided() -> None:
    clf, images, _, _ = scene(count=1)
    half = torch.full((16, 16), 0.5)
    result = evaluate(clf, images[0], torch.zeros(16, 16), "max-sensitivity", explain_again=lambda image: half)
    assert result.value == pytest.approx(8)  # √256 · ½


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
    found = evaluate(weighted(weights), image, knowing, "infidelity", target=0, **params)
    assert found.value == pytest.approx(0, abs=1e-10)
    assert evaluate(weighted(weights), image, 1 - knowing, "infidelity", target=0, **params).value > 1e-3


def test_infidelity_of_a_zero_map_is_the_mean_squared_drop() -> None:
    clf, images, _, targets = scene(count=1)
    result = evaluate(clf, images[0], torch.zeros(16, 16), "infidelity", targets[0], samples=20)
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
    result = evaluate(clf, images[0], maps[0], "infidelity", targets[0], samples=30, score=score, seed=2)
    assert result.value == pytest.approx(float(expected), rel=1e-3)


def test_an_explanation_brings_all_that_is_needed() -> None:
    clf, images, _, _ = scene(count=1)
    result = evaluate(clf, images[0], explain(clf, images[0], "grad-cam"), "max-sensitivity", samples=3, radius=0.1)
    assert 0 < result.value < 1
