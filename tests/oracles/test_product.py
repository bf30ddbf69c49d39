"""The product equals the literal formula of the paper, in float64 to 1e-6, on four architectures and a photo.

Compared are the raw map and the coefficients, relative to the largest absolute value of each. The product runs in
`precision="float64"`, so that the bound is on the formula; in float32 the same comparison has a bound on the rounding.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from cam_core import METHODS, explain
from cam_core.types import Explanation
from tests import literal
from tests.literal.activation_cams import blend_normalised
from tests.literal.network import logit
from tests.oracles.formulas import CHEAP, COSTLY, LIFT_LAYERS, black, score_cam, tail_layers
from tests.oracles.scenes import EARLY, LATE, NETWORKS, Formula, Scene, deviation, large_ones_slow, scene, visible

EXACT = 1e-6  # an Explanation holds float32, which rounds to 6e-8
# float32 behind a late layer. XGrad-CAM divides by sums over positions that nearly cancel: measured, up to 7e-4.
# Ablation-CAM subtracts logits that differ little: measured, up to 2e-4.
ROUNDED, CANCELLED = 1e-4, 5e-3
# float32 behind an early layer: values that lie next to zero fall on the other side of a ReLU, or another element of a
# window is the largest, and the gradient jumps. A plain backward pass deviates as much; measured, up to 4e-2.
JUMPING = 0.15
# The denominator of Smooth Grad-CAM++ passes through zero: near that, rounding decides.
UNBOUNDED = float("inf")
SIZE, SMALL = 96, 64

# The quickest to vary stands first, so that one cut network after another is made, used and dropped.
cheap = pytest.mark.parametrize("key", [key for key in METHODS if key in CHEAP])
costly = pytest.mark.parametrize("key", [key for key in METHODS if key in COSTLY])
everywhere = pytest.mark.parametrize("network", NETWORKS)


def assert_equal(found: Explanation, expected: literal.LiteralMap, bound: float) -> None:
    assert deviation(found.map, expected.map) <= bound
    assert (found.coefficients is None) == (expected.coefficients is None)
    if found.coefficients is not None and expected.coefficients is not None:
        assert deviation(found.coefficients, expected.coefficients) <= bound


def assert_method(key: str, formula: Formula, view: Scene, rounded: float, **params: Any) -> None:
    view, expected = visible(view, formula)
    found = view.explain(key, **params)
    assert_equal(found, expected, EXACT)
    assert np.abs(found.saliency - literal.saliency(expected.map, view.size).numpy()).max() <= EXACT
    assert_equal(view.explain(key, precision="float32", **params), expected, rounded)


@cheap
@everywhere
def test_cheap_methods_at_a_late_layer(key: str, network: str) -> None:
    rounded = CANCELLED if key == "xgrad-cam" else ROUNDED
    assert_method(key, CHEAP[key], scene(network, LATE[network], SIZE), rounded)


@cheap
@pytest.mark.parametrize("network", large_ones_slow("vgg11", "densenet121"))
def test_cheap_methods_at_an_early_layer(key: str, network: str) -> None:
    rounded = UNBOUNDED if key == "smooth-grad-cam++" else JUMPING
    assert_method(key, CHEAP[key], scene(network, EARLY[network], SIZE), rounded)


@pytest.mark.slow
@costly
@pytest.mark.parametrize("network", large_ones_slow("resnet18", "vgg11", "densenet121"))
def test_costly_methods_at_an_early_layer(key: str, network: str) -> None:
    formula, params = COSTLY[key]
    assert_method(key, formula, scene(network, EARLY[network], SMALL), ROUNDED, **params)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["score-cam", "ablation-cam"])
@everywhere
def test_costly_methods_at_a_late_layer(key: str, network: str) -> None:
    formula, params = COSTLY[key]
    rounded = CANCELLED if key == "ablation-cam" else ROUNDED
    assert_method(key, formula, scene(network, LATE[network], SMALL), rounded, **params)


@pytest.mark.parametrize("mask_space", ["normalized", "pixel"])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_score_cam_with_its_options(score: str, mask_space: str) -> None:
    view = scene("mobilenet_v3_large", EARLY["mobilenet_v3_large"], SMALL)
    formula = partial(score_cam, score=score, mask_space=mask_space)
    assert_method("score-cam", formula, view, ROUNDED, score=score, mask_space=mask_space)


@everywhere
def test_lift_cam_by_the_rescale_rule(network: str) -> None:
    view = scene(network, LIFT_LAYERS[network], SIZE)
    tail, acts = tail_layers(network, view.net.module), view.net.activations(view.x)[0]
    assert_method("lift-cam", lambda s: literal.lift_cam(tail, acts, s.target), view, ROUNDED)


def test_cam() -> None:
    view = scene("resnet18", "layer4", SIZE)
    assert_method("cam", lambda s: literal.cam(s.net, s.x, s.target, s.net.module.fc), view, ROUNDED)


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v3_large"])
def test_refine_cam(network: str) -> None:
    view = scene(network, LATE[network], SIZE)
    layers = [EARLY[network], LATE[network]]
    score = logit(view.target)
    maps = [literal.grad_cam_plus_plus(view.net.at(layer), view.x.double(), score).map for layer in layers]
    found = explain(view.clf, view.x[0], method="refine-cam", layer=layers, target=view.target, precision="float64")
    assert_equal(found, literal.refine_cam(maps, (maps[0].shape[0], maps[0].shape[1])), EXACT)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask_space": "normalized"},
        {"objective": "difference"},
        {"normalisation": "max"},
        {"normalisation": "sigmoid"},
        {"learning_rate": 3.0},  # too fast: it falls
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "default",
)
def test_opti_cam(options: dict[str, Any]) -> None:
    view = scene("mobilenet_v3_large", EARLY["mobilenet_v3_large"], SMALL)
    found = view.explain("opti-cam", steps=12, **options)
    expected, trace = literal.opti_cam(
        view.net,
        view.x.double(),
        view.target,
        blend_normalised if options.get("mask_space") == "normalized" else black(view),
        iterations=12,
        rate=options.get("learning_rate", 0.1),
        normalisation=options.get("normalisation", "min-max"),
        difference=options.get("objective") == "difference",
    )
    assert len(trace) == len(found.extras["trace"])
    assert deviation(found.extras["trace"], trace) <= EXACT
    assert_equal(found, expected, EXACT)


def test_no_method_is_without_an_oracle() -> None:
    """Every expected method is registered, and every registered method is compared with something written apart."""
    here = {"cam", "refine-cam", "lift-cam", "opti-cam"}
    by_hand = {"lrp-cam", "lime-cam", "shap-cam", "shap", "owen-cam", "random", "fake-cam", "lfi-cam"}
    assert set(METHODS) == {*CHEAP, *COSTLY, *here, *by_hand}
