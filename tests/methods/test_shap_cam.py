"""Shap-CAM, SHAP and Owen-CAM: worked out on paper, and equal to every subset tried out by the literal version."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cam_core import Classifier, explain
from tests import literal
from tests.methods.by_hand import Bowl, ask, assert_coefficients, assert_map
from tests.tiny import TINY, tiny, tiny_classifier, tiny_images

BASELINES = ("channel_mean", "global_mean", "zero")
# At 8 × 8 these have 2 × 2 positions at their last layers: 16 coalitions.
NETWORKS = ("plain", "residual", "dense", "squeeze-excite", "reused-relu", "untraceable")
# At most eight channels: 256 coalitions. The last layer of the dense network has twelve.
EIGHT_CHANNELS = [(key, layer) for key in TINY for layer in TINY[key].layers if layer != "norm"]
SMALL = torch.nn.functional.interpolate(tiny_images(1), (8, 8), mode="bilinear")


def small(network: str, layer: str) -> Classifier:
    return Classifier(tiny(network), input_size=(8, 8), default_layer=layer, device="cpu")


def test_position_game_of_a_linear_tail() -> None:
    """Against the channels' means it is additive: phi = (A1 − 5/2) − 2 (A2 − 1/2), and sums to 0."""
    assert_map(ask("shap-cam", score="logit").map, [[-0.5, -1.5], [1.5, 0.5]])


def test_position_game_against_zero() -> None:
    """phi = A1 − 2 A2, which sums to 6 = y(A) − y(0): Grad-CAM's map."""
    found = ask("shap-cam", score="logit", baseline="zero")
    assert_map(found.map, [[1, 0], [3, 2]])
    assert_map(found.map, ask("grad-cam").map.tolist())


def test_position_game_of_a_square() -> None:
    """y = (Σ A1)² = 100: each position gets its value times the sum, 10."""
    assert_map(ask("shap-cam", Bowl(), score="logit", baseline="zero").map, [[10, 20], [30, 40]])


def test_map_times_mean_activation() -> None:
    """Mean activations over the three channels: 1/3, 1, 1, 5/3."""
    found = ask("shap-cam", score="logit", map="phi-activation")
    assert_map(found.map, [[-0.5 / 3, -1.5], [1.5, 2.5 / 3]])


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("network", NETWORKS)
def test_shap_cam_equals_every_coalition_tried_out(network: str, baseline: str, score: str) -> None:
    layer = TINY[network].layers[-1]
    net = literal.Hooked(tiny(network), layer)
    expected = literal.shap_cam(net, SMALL, 1, baseline=baseline, probability=score == "probability").map
    found = explain(
        small(network, layer),
        SMALL[0],
        method="shap-cam",
        target=1,
        precision="float64",
        baseline=baseline,
        score=score,
    )
    assert_near(found.map, expected)


@pytest.mark.parametrize(("network", "layer"), EIGHT_CHANNELS)
def test_shap_equals_every_coalition_tried_out(network: str, layer: str) -> None:
    image = tiny_images(1)
    net = literal.Hooked(tiny(network), layer)
    phi = literal.shapley_values(literal.channel_game(net, image, 2), net.activations(image).shape[1])
    found = explain(tiny_classifier(network), image[0], method="shap", layer=layer, target=2, precision="float64")
    assert found.coefficients is not None
    assert_near(found.coefficients, phi)


def test_shap_by_hand() -> None:
    """Linear: w_k · mean A_k. A square of one channel's sum: that channel gets all of it."""
    assert_coefficients(ask("shap"), 10, -4, 0)
    assert_coefficients(ask("shap", Bowl()), 100, 0, 0)


def test_owen_cam_of_a_linear_tail() -> None:
    """The gradient of a linear game is the same at every point of the cube: any sample of it is exact."""
    assert_coefficients(ask("owen-cam"), 10, -4, 0)


@pytest.mark.parametrize("method", ["shap", "shap-cam"])
def test_efficiency(method: str) -> None:
    """Σ phi = v(all) − v(none), also where orders are sampled: every single order adds up."""
    image, layer = tiny_images(1), "features.1"  # 6 channels and 64 positions: far too many subsets
    net = literal.Hooked(tiny("max-pool"), layer)
    acts = net.activations(image)
    absent = torch.zeros_like(acts) if method == "shap" else acts.mean(dim=(2, 3), keepdim=True).expand_as(acts)
    before, after = (net.logits_from(a, image)[0, 1] for a in (absent, acts))
    options = {} if method == "shap" else {"score": "logit", "permutations": 4}
    clf = tiny_classifier("max-pool")
    found = explain(clf, image[0], method=method, layer=layer, target=1, precision="float64", **options)
    values = found.map if found.coefficients is None else found.coefficients
    assert float(values.sum(dtype=np.float64)) == pytest.approx(float(after - before), rel=1e-4)


def assert_near(found: np.ndarray, expected: torch.Tensor) -> None:
    assert expected.abs().max() > 0
    assert np.abs(found - expected.numpy()).max() <= 1e-6 * float(expected.abs().max())
