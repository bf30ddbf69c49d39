"""Gradient methods on the network of `by_hand`, worked out on paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cam_core.targets import Difference, Negative
from cam_core.targets.asking import Target
from cam_core.types import MethodError
from tests.methods.by_hand import IMAGE, Bowl, ask, assert_coefficients, assert_map, linear, pooled


def positions(*weights: float) -> nn.Module:
    """A tail with one weight per channel and position: y_0 = Σ weights · A, in the order A1, A2, A3, rows first."""
    return nn.Sequential(nn.Flatten(), linear([weights, [0.0] * 12], [0.0, 0.0]))


def test_cam() -> None:
    """w = (4, −8, 2); 4 · A1 − 8 · A2."""
    found = ask("cam")
    assert_coefficients(found, 4, -8, 2)
    assert_map(found.map, [[4, 0], [12, 8]])


def test_cam_names_what_stands_in_the_way() -> None:
    hidden = nn.Sequential(pooled(), nn.ReLU(), linear([[1.0, 0.0]], [0.0]))
    with pytest.raises(MethodError, match="ReLU"):
        ask("cam", hidden)
    with pytest.raises(MethodError, match="Linear"):
        ask("cam", positions(*range(12)))
    with pytest.raises(MethodError, match="MaxPool"):
        ask("cam", nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), linear([[1.0, 2.0, 3.0]], [0.0])))


def test_grad_cam() -> None:
    """The same over four positions; its saliency is the ReLU, min-maxed."""
    found = ask("grad-cam")
    assert_coefficients(found, 1, -2, 0.5)
    assert_map(found.map, [[1, 0], [3, 2]])
    assert_map(found.saliency, [[1 / 3, 0], [1, 2 / 3]])


def test_grad_cam_takes_the_mean_over_positions() -> None:
    found = ask("grad-cam", positions(1, 2, 3, 6, 0, 0, 0, -8, 1, 1, 1, 1))
    assert_coefficients(found, 3, -2, 1)


def test_grad_cam_plus_plus() -> None:
    """A1: a = 1 / (2 + 10 · 1) = 1/12, four times 1/12 · 1. A2: ReLU(−2) = 0. A3: a = 1/2, four times 1/2 · 1/2."""
    found = ask("grad-cam++")
    assert_coefficients(found, 1 / 3, 0, 1)
    assert_map(found.map, [[1 / 3, 2 / 3], [1, 4 / 3]])


def test_grad_cam_plus_plus_where_the_gradient_or_the_denominator_is_zero() -> None:
    """A1 sums to 10: at g = −1/5 the denominator 2g² + 10g³ is 0; at g = 0 all is 0. Left is 1 / (2 + 10) at g = 1."""
    found = ask("grad-cam++", positions(-0.2, 0, 0, 1, *[0.0] * 8))
    assert_coefficients(found, 1 / 12, 0, 0)


def test_smooth_grad_cam_plus_plus_of_a_linear_tail_does_not_see_the_noise() -> None:
    assert_coefficients(ask("smooth-grad-cam++", samples=3, sigma=1.0), 1 / 3, 0, 1)


def test_xgrad_cam() -> None:
    """Σ A g / Σ A: 1, −2, and 0 for the dead channel, whatever its gradient."""
    assert_coefficients(ask("xgrad-cam"), 1, -2, 0)


def test_xgrad_cam_weights_gradients_by_activation() -> None:
    """A1: (1·1 + 2·2 + 3·3 + 4·4) / 10 = 3; A2: (1·6 + 1·8) / 2 = 7."""
    assert_coefficients(ask("xgrad-cam", positions(1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9)), 3, 7, 0)


def test_hires_cam() -> None:
    """Elementwise: 1·1 − 1·0, 2·2 − 1·1, 3·3 − 1·0, 4·4 − 1·1; no coefficients."""
    found = ask("hires-cam", positions(1, 2, 3, 4, -1, -1, -1, -1, 5, 5, 5, 5))
    assert_map(found.map, [[1, 3], [9, 15]])
    assert found.coefficients is None


def test_layer_cam() -> None:
    """As HiResCAM, but a negative gradient counts for nothing, also within a channel."""
    found = ask("layer-cam", positions(1, 2, 3, -4, -1, -1, -1, 1, 5, 5, 5, 5))
    assert_map(found.map, [[1, 4], [9, 1]])


def test_shapley_cam_of_a_linear_tail_is_grad_cam() -> None:
    assert_coefficients(ask("shapley-cam"), 1, -2, 0.5)


def test_shapley_cam_halves_the_gradient_of_a_square() -> None:
    """y = (Σ A1)² = 100: g = 2 · 10, H A = 2 · 10, g − H A / 2 = 10. The channel's Shapley value, 100, is 10 · Σ A1."""
    assert_coefficients(ask("shapley-cam", Bowl()), 10, 0, 0)
    assert_coefficients(ask("grad-cam", Bowl()), 20, 0, 0)


def test_finer_cam() -> None:
    """Logits 8, 7, 0, −20, 9: nearest are classes 1 and 4; g = (w_0 − ½ · (w_1 + w_4) / 2) / 4."""
    rows = [(4.0, -8.0, 2.0), (2.0, 4.0, 0.0), (0.0, 0.0, 0.0), (8.0, 8.0, 8.0), (0.0, 2.0, 4.0)]
    tail = pooled(rows, [2.0, 0.0, 0.0, -44.0, 8.0])
    assert_coefficients(ask("finer-cam", tail, gamma=0.5, others=2), 3.5 / 4, -9.5 / 4, 1 / 4)


def test_finer_cam_with_more_others_than_classes_takes_those_there_are() -> None:
    assert_coefficients(ask("finer-cam", others=100, gamma=1.0), 1, -2, 0.5)


def test_negative_maps_are_kept_in_the_map_and_empty_in_the_saliency() -> None:
    found = ask("grad-cam", pooled([(-4.0, 0.0, 0.0), (0.0, 0.0, 0.0)], [0.0, 0.0]))
    assert_map(found.map, [[-1, -2], [-3, -4]])
    assert not found.saliency.any()
    assert "nowhere positive: no position speaks for this class, and" in found.warnings[0]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Negative(0), "no position speaks against this class, and the heatmap is empty"),
        (Difference(1, 0), "no position speaks for what is explained, and the heatmap is empty"),
    ],
)
def test_a_map_that_is_nowhere_positive_says_what_was_asked(target: Target, said: str) -> None:
    """y_0 = mean of 4 · A1, y_1 = 0: both −y_0 and y_1 − y_0 have the gradient −1 at A1."""
    tail = pooled([(4.0, 0.0, 0.0), (0.0, 0.0, 0.0)], [0.0, 0.0])
    found = ask("grad-cam", tail, target=target)
    assert_map(found.map, [[-1, -2], [-3, -4]])
    assert any(said in warning for warning in found.warnings)


def test_constant_maps_are_empty_and_say_so() -> None:
    found = ask("grad-cam", image=torch.ones(3, 2, 2) * IMAGE.mean(dim=(1, 2), keepdim=True))
    assert not found.saliency.any()
    assert any("constant" in warning for warning in found.warnings)
