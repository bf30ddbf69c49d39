"""Methods that mask the image or ablate channels, on the network of `by_hand`, worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods.by_hand import BIAS, IMAGE, Bowl, ask, assert_coefficients, assert_map, pooled


def softmax(*scores: float) -> list[float]:
    powers = np.exp(scores)
    return list(powers / powers.sum())


def test_score_cam() -> None:
    """Masks: 0 1/3 2/3 1; 0 1 0 1; and 0 for the constant channel. No upsampling: the layer is as large as the image.

    x · u_1: A1 0 2/3 2 4, mean 5/3; A2 0 1/3 0 1, mean 1/3: 4 · 5/3 − 8 · 1/3 = 4.
    x · u_2: A1 0 2 0 4, mean 3/2; A2 0 1 0 1, mean 1/2: 4 · 3/2 − 8 · 1/2 = 2.
    The bias is in every score and in the baseline's, the score of the constant channel: 4, 2, 0.
    """
    found = ask("score-cam")
    assert_coefficients(found, *softmax(4, 2, 0))
    one, two, _ = softmax(4, 2, 0)
    assert_map(found.map, [[one, 2 * one + two], [3 * one, 4 * one + two]])


def test_score_cam_by_probability() -> None:
    """p = 1 / (1 + exp(−y)), for the other logit is 0: y = 4, 2 and 0 with the bias left out."""
    probabilities = [1 / (1 + np.exp(-y)) for y in (4, 2, 0)]
    assert_coefficients(ask("score-cam", pooled(bias=(0.0, 0.0)), score="probability"), *softmax(*probabilities))


def test_score_cam_masks_are_min_maxed_after_upsampling() -> None:
    """On 4 × 4 the channel 0 1 / 0 1, upsampled along a row, is 0 1/4 3/4 1: its extremes are hit, and stay."""
    image = torch.zeros(3, 4, 4)
    image[0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    tail = torch.nn.Sequential(torch.nn.Flatten(2), torch.nn.AdaptiveAvgPool1d(1), pooled_flat())
    found = ask("score-cam", tail, image)
    assert_coefficients(found, *softmax(4 * 0.5, 0, 0))


def pooled_flat() -> torch.nn.Module:
    """For (B, 3, 1): flatten and the usual linear layer without bias."""
    return torch.nn.Sequential(torch.nn.Flatten(), pooled(bias=(0.0, 0.0))[2])


def test_is_cam_averages_over_the_path() -> None:
    """Scores are linear in the mask here: at 1/2 and 1 of it, the mean is 3/4 of 4, 2, 0."""
    assert_coefficients(ask("is-cam", steps=2), *softmax(3, 1.5, 0))


def test_ss_cam_without_noise_is_score_cam() -> None:
    assert_coefficients(ask("ss-cam", samples=2, sigma=0.0), *softmax(4, 2, 0))


def test_ss_cam_averages_its_noise_away() -> None:
    """Scores are linear in the mask, so the mean over the noise tends to Score-CAM's."""
    found = ask("ss-cam", samples=256, sigma=0.1)
    np.testing.assert_allclose(found.coefficients, softmax(4, 2, 0), atol=0.01)


def test_ablation_cam() -> None:
    """y = 8; without A1 −2, without A2 12, without A3 8: drops of 10, −4, 0, over 8."""
    found = ask("ablation-cam")
    assert_coefficients(found, 10 / 8, -4 / 8, 0)
    assert not found.warnings


def test_ablation_cam_of_a_curved_tail() -> None:
    """(Σ A1)² falls from 100 to 0."""
    assert_coefficients(ask("ablation-cam", Bowl()), 1, 0, 0)


@pytest.mark.parametrize("bias", [-6.0, -12.0])
def test_ablation_cam_of_a_score_that_is_not_positive_keeps_the_drop(bias: float) -> None:
    """y = 0 and −6: dividing would fail, or turn every sign."""
    found = ask("ablation-cam", pooled(bias=(bias, 0.0)))
    assert_coefficients(found, 10, -4, 0)
    assert any("not fractions" in warning for warning in found.warnings)


def test_opti_cam_starts_from_equal_weights() -> None:
    """After one step the map is still that of the start: the mean of the channels."""
    found = ask("opti-cam", steps=1)
    assert_coefficients(found, 1 / 3, 1 / 3, 1 / 3)
    assert_map(found.map, [[1 / 3, 1], [1, 5 / 3]])


def test_opti_cam_objective_is_the_logit_of_the_masked_image() -> None:
    """The mean map 1 3 3 5 (thirds) as a mask: 0 1/2 1/2 1. A1 0 1 1.5 4, mean 13/8; A2 0 1/2 0 1, mean 3/8."""
    trace = ask("opti-cam", steps=1).extras["trace"]
    np.testing.assert_allclose(trace, [4 * 13 / 8 - 8 * 3 / 8 + BIAS[0]], rtol=1e-5)


def test_opti_cam_climbs() -> None:
    trace = ask("opti-cam", steps=20, learning_rate=0.01).extras["trace"]
    assert (np.diff(trace) > 0).all()


def test_opti_cam_of_one_living_channel_has_one_map() -> None:
    """Whatever its weight, min-max makes the same mask of it: there is nothing to climb."""
    image = IMAGE.clone()
    image[1:] = 0
    found = ask("opti-cam", image=image, steps=5)
    assert np.ptp(found.extras["trace"]) < 1e-5
    assert_map(found.saliency, [[0, 1 / 3], [2 / 3, 1]])
