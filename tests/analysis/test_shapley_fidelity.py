"""Similarity to SHAP: by hand, against scipy, with a noise ceiling that is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cam_core import explain
from cam_core.analysis.shapley_fidelity import (
    ShapReference,
    Similarity,
    fidelity,
    reference_from_samples,
    shap_reference,
    similarity,
    summarise,
)
from cam_core.shapley import ChannelGame, Game, exact
from cam_core.types import MetricError
from tests.tiny import tiny_classifier, tiny_images


def reference(phi: list[float], live: list[bool] | None = None) -> ShapReference:
    values = np.array(phi)
    mask = np.ones(len(phi), dtype=bool) if live is None else np.array(live)
    return ShapReference(values, np.zeros_like(values), mask, np.stack([values, values]), exact=True)


def test_likeness_by_hand() -> None:
    """(3, 4, 0) and (4, 3, 0): cosine 24/25; of three pairs of ranks two agree and one does not."""
    found = similarity([3, 4, 0], [4, 3, 0], top=1)
    assert found == Similarity(pytest.approx(24 / 25), pytest.approx(0.5), pytest.approx(1 / 3), 0.0)
    assert similarity([3, 4, 0], [4, 3, 0], top=2).overlap == 1
    assert similarity([0, -9, 1], [0, 8, 2], top=1).overlap == 1, "largest in magnitude"


def test_likeness_does_not_depend_on_units() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 40))
    one, other = similarity(a, b), similarity(1e-6 * a, 300 * b)
    assert one.cosine == pytest.approx(other.cosine)
    assert (one.spearman, one.kendall, one.overlap) == pytest.approx((other.spearman, other.kendall, other.overlap))


def test_undefined_is_zero() -> None:
    assert similarity([0, 0, 0], [1, 2, -3]) == Similarity(0, 0, 0, 0)
    assert similarity([], []) == Similarity(0, 0, 0, 0)
    constant = similarity([2, 2, 2], [1, 2, -4])
    assert (constant.spearman, constant.kendall) == (0, 0)
    assert constant.cosine == pytest.approx(-1 / math.sqrt(3 * 21))


def test_both_readings_of_a_coefficient() -> None:
    """Logits per unit of activation become logits when multiplied by the mean activation."""
    found = fidelity([1.0, 2.0, 3.0], [2.0, 1.0, 0.5], reference([2.0, 2.0, 1.5]))
    assert found.contributions.cosine == pytest.approx(1)
    assert found.coefficients.cosine == pytest.approx(10.5 / math.sqrt(14 * 10.25))


def test_dead_channels_have_no_say() -> None:
    found = fidelity([1.0, 2.0, 99.0], [1.0, 1.0, 0.0], reference([1.0, 2.0, 0.0], live=[True, True, False]))
    assert found.coefficients.cosine == pytest.approx(1)


def test_other_layers_coefficients_are_refused() -> None:
    with pytest.raises(MetricError, match="same layer"):
        fidelity([1.0, 2.0], [1.0, 1.0], reference([1.0, 2.0, 3.0]))


def test_reference_of_a_pooled_linear_tail_is_exact_and_methods_meet_it() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)
    net = clf.split("features.3")
    acts = net.head(image).detach()
    found = shap_reference(ChannelGame(net.sample(0), acts, 1), torch.Generator())
    assert found.exact and found.ceiling == pytest.approx(1) and not found.stderr.any()
    means = acts.mean((0, 2, 3)).numpy()

    def of(method: str) -> tuple[float, float]:
        alpha = explain(clf, image[0], method=method, layer="features.3", target=1).coefficients
        both = fidelity(alpha, means, found)
        return both.coefficients.cosine, both.contributions.cosine

    assert of("lift-cam")[0] == pytest.approx(1, abs=1e-6)
    assert (of("grad-cam")[1], of("cam")[1]) == pytest.approx((1, 1), abs=1e-6)
    assert of("grad-cam")[0] < 0.999 and of("lift-cam")[1] < 0.999


def noisy(seed: int, pairs: int = 20, size: int = 60) -> tuple[ShapReference, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=size)
    return reference_from_samples(truth + 4 * generator.normal(size=(pairs, size)), np.ones(size, dtype=bool)), truth


def test_ceiling_is_the_cosine_of_the_truth_and_corrects_for_half_the_data() -> None:
    found = [noisy(seed) for seed in range(40)]
    attained = np.mean([similarity(truth, one.phi).cosine for one, truth in found])
    assert np.mean([one.ceiling for one, _ in found]) == pytest.approx(attained, abs=0.02)
    assert np.mean([one.split_half.cosine for one, _ in found]) < attained - 0.2


def test_halves_make_up_the_reference() -> None:
    one, _ = noisy(0)
    np.testing.assert_allclose(one.halves.mean(0), one.phi)
    assert one.stderr.mean() == pytest.approx(4 / math.sqrt(20), rel=0.1)


def test_reference_from_permutations_is_near_the_exact_values() -> None:
    net = tiny_classifier("residual").split("relu1")
    acts = net.head(tiny_images(1)).detach()
    acts[0, 3] = 0
    found = shap_reference(ChannelGame(net.sample(0), acts, 1), torch.Generator().manual_seed(0), pairs=60)
    truth = exact(ChannelGame(net.sample(0), acts, 1)).phi.numpy()
    assert not found.exact and found.live.tolist() == [True] * 3 + [False] + [True] * 4
    assert (np.abs(found.phi - truth) <= 4 * found.stderr + 1e-6).all()
    assert similarity(found.phi, truth).cosine > 0.99


def test_one_repetition_cannot_be_halved() -> None:
    with pytest.raises(MetricError, match="two repetitions"):
        shap_reference(Game(lambda z: z.sum(1) ** 2, 30), torch.Generator(), pairs=1)


def test_summary_over_images_has_intervals() -> None:
    values = [Similarity(c, c / 2, c / 3, 0.5) for c in np.linspace(0.5, 0.9, 12)]
    found = summarise(values)
    assert set(found) == {"cosine", "spearman", "kendall", "overlap"}
    assert found["cosine"].mean == pytest.approx(0.7) and found["cosine"].low < 0.7 < found["cosine"].high
    assert found["overlap"].low == found["overlap"].high == 0.5 and found["overlap"].count == 12
