"""Max-sensitivity: by hand and against captum."""

from __future__ import annotations

import pytest
import torch
from captum.metrics import sensitivity_max
from torch import Tensor

from cam_core import evaluate, explain
from tests.metrics.scenes import scene


def smooth(image: Tensor) -> Tensor:
    """A "method": how bright, squashed to (0, 1)."""
    return image.mean(0).sigmoid()


def test_a_method_that_ignores_the_image_is_insensitive() -> None:
    clf, images, maps, _ = scene(count=1)
    assert evaluate(clf, images[0], maps[0], metric="max-sensitivity", explain_again=lambda image: maps[0]).value == 0


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
        metric="max-sensitivity",
        target=targets[0],
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
    result = evaluate(clf, images[0], torch.zeros(16, 16), metric="max-sensitivity", explain_again=lambda image: half)
    assert result.value == pytest.approx(8)  # √256 · ½


def test_an_explanation_brings_all_that_is_needed() -> None:
    clf, images, _, _ = scene(count=1)
    result = evaluate(
        clf, images[0], explain(clf, images[0], method="grad-cam"), metric="max-sensitivity", samples=3, radius=0.1
    )
    assert 0 < result.value < 1
