"""LIFT-CAM: worked out on paper, its axioms, and exact Shapley values where the tail is affine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from cam_core import explain
from tests import literal
from tests.methods.by_hand import ask, assert_coefficients, assert_map, linear, pooled
from tests.tiny import TINY, tiny, tiny_classifier, tiny_images

EVERYWHERE = [
    (key, layer) for key, network in TINY.items() for layer in network.layers if (key, layer) != ("lfi", "features")
]
RANDOM = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
AFFINE = [(key, layer) for key, network in TINY.items() for layer in network.pooled_linear]


def hidden(weights: tuple[float, float, float], bias: float) -> nn.Module:
    """y_0 = ReLU(weights · means + bias), y_1 = 0."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear([weights], [bias]), nn.ReLU(), linear([[1.0], [0.0]], [0.0, 0.0])
    )


def curved(change: Callable[[torch.Tensor], object]) -> nn.Module:
    """Convolution, max-pool and two kinds of non-linearity; `change` edits the convolution's weight (4, 3, 3, 3)."""
    torch.manual_seed(1)
    first = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        first.bias.fill_(0.5)
        change(first.weight)
    hidden_layer = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2))
    return nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), *hidden_layer)


def test_pooled_linear_tail() -> None:
    """alpha_k = w_k · mean A_k = 4 · 5/2, −8 · 1/2, 2 · 0."""
    found = ask("lift-cam")
    assert_coefficients(found, 10, -4, 0)
    assert_map(found.map, [[10, 16], [30, 36]])


def test_rescale_through_a_relu() -> None:
    """z = 4 · 5/2 − 8 · 1/2 − 3 = 3 from −3: ReLU rises by 3 over a change of 6, so half of 10 and of −4."""
    assert_coefficients(ask("lift-cam", hidden((4.0, -8.0, 2.0), -3.0)), 5, -2, 0)


def test_gradient_where_nothing_changes() -> None:
    """2 · 5/2 − 10 · 1/2 = 0: z stays at 1, where the slope of the ReLU is 1."""
    assert_coefficients(ask("lift-cam", hidden((2.0, -10.0, 0.0), 1.0)), 5, -5, 0)


def test_max_pool_gives_all_to_the_largest() -> None:
    """From a reference of 0 the largest element is the largest all the way: y = 4 · 4 − 8 · 1."""
    tail = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), linear([(4.0, -8.0, 2.0), (0.0, 0.0, 0.0)], [2.0, 0.0]))
    assert_coefficients(ask("lift-cam", tail), 16, -8, 0)


@pytest.mark.parametrize(("network", "layer"), EVERYWHERE)
def test_completeness(network: str, layer: str) -> None:
    """Σ alpha = y(A) − y(0), behind every construction."""
    clf, net = tiny_classifier(network), literal.Hooked(tiny(network), layer)
    for image in tiny_images(3):
        acts = net.activations(image[None])
        change = net.logits_from(acts, image[None]) - net.logits_from(torch.zeros_like(acts), image[None])
        for target in (0, 3):
            found = explain(clf, image, method="lift-cam", layer=layer, target=target, precision="float64")
            assert found.coefficients is not None
            scale = max(float(np.abs(found.coefficients).sum()), 1e-3)
            assert found.coefficients.sum() == pytest.approx(float(change[0, target]), abs=1e-6 * scale)


def test_dummy() -> None:
    """A channel that the tail does not look at gets exactly nothing."""
    found = ask("lift-cam", curved(lambda weight: weight[:, 1].zero_()), RANDOM)
    assert found.coefficients is not None
    assert found.coefficients[1] == 0
    assert found.coefficients[0] != 0 and found.coefficients[2] != 0


def test_symmetry() -> None:
    """Two channels that are equal and that the tail treats alike get the same."""
    image = RANDOM.clone()
    image[2] = image[0]
    found = ask("lift-cam", curved(lambda weight: weight[:, 2].copy_(weight[:, 0])), image)
    assert found.coefficients is not None
    assert found.coefficients[2] == pytest.approx(found.coefficients[0], rel=1e-5)
    assert found.coefficients[0] != pytest.approx(found.coefficients[1], rel=1e-2)


def test_the_bias_of_the_tail_does_not_appear() -> None:
    assert_coefficients(ask("lift-cam", pooled(bias=(100.0, 3.0))), 10, -4, 0)


def test_scaling_the_tail_scales_the_coefficients_and_leaves_the_picture() -> None:
    once, thrice = ask("lift-cam"), ask("lift-cam", pooled([(12.0, -24.0, 6.0), (0.0, 0.0, 0.0)]))
    assert_coefficients(thrice, 30, -12, 0)
    np.testing.assert_allclose(thrice.saliency, once.saliency, atol=1e-6)


@pytest.mark.parametrize(("network", "layer"), AFFINE)
def test_equals_brute_force_shapley_values_behind_an_affine_tail(network: str, layer: str) -> None:
    image = tiny_images(1)
    net = literal.Hooked(tiny(network), layer)
    channels = net.activations(image).shape[1]
    phi = literal.shapley_values(literal.channel_game(net, image, 2), channels)
    found = explain(tiny_classifier(network), image[0], method="lift-cam", layer=layer, target=2, precision="float64")
    np.testing.assert_allclose(found.coefficients, phi, atol=1e-5 * float(phi.abs().max()))


def test_is_nearer_to_shapley_values_than_grad_cam_behind_a_nonlinear_tail() -> None:
    """The paper's claim, on VGG in small: eight channels, max-pool and a hidden layer; mean cosine over six cases."""
    layer, image = "features.3", tiny_images(1)
    cosines: dict[str, list[float]] = {"lift-cam": [], "grad-cam": []}
    for seed in (0, 1):
        net, clf = literal.Hooked(tiny("max-pool", seed), layer), tiny_classifier("max-pool", seed)
        for target in (0, 1, 2):
            phi = literal.shapley_values(literal.channel_game(net, image, target), 8).numpy()
            for method, found in cosines.items():
                alpha = explain(clf, image[0], method=method, layer=layer, target=target).coefficients
                assert alpha is not None
                found.append(float(alpha @ phi / np.linalg.norm(alpha) / np.linalg.norm(phi)))
    assert np.mean(cosines["lift-cam"]) > 0.8
    assert np.mean(cosines["lift-cam"]) > np.mean(cosines["grad-cam"]) + 0.1
