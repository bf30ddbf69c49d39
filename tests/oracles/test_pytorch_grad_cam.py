"""PyPI `grad-cam`: with its constants in place of the paper's, the literal formula is its map.

Where it deviates from the papers (the product follows the papers):

- Grad-CAM++ adds 1e-6 to the denominator, which swamps it where gradients are small.
- XGrad-CAM adds 1e-7 to the sum of the activations.
- Eigen-CAM and Eigen-Grad-CAM leave the sign to the singular value decomposition.
- Score-CAM upsamples with aligned corners and adds 1e-8 to the range of each mask.
- Ablation-CAM replaces a channel by 0 only where the smallest activation is exactly 0. Elsewhere it takes the smallest
  value of the *batch of copies* less 1e7, and the copies hold the channels ablated before: the n-th channel of a batch
  is set to the minimum − n · 1e7. It also divides by y_c whatever its sign.
- Refine-CAM multiplies maps at the size of the image, whatever the layers' sizes.
- ShapleyCAM needs trainable parameters, even where its answer does not depend on them, and fails on hard-sigmoid, whose
  second derivative torch does not know. Finer-CAM weights the look-alike classes by their probability: not compared.
- Activations are kept without a copy: where an in-place ReLU follows the layer (DenseNet's `features`) it weights the
  overwritten values. `repaired` puts a copy behind the layer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam as peer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from tests import literal
from tests.literal.gradient_cams import twice_differentiable
from tests.literal.network import logit
from tests.oracles.repair import repaired
from tests.oracles.scenes import EARLY, LATE, NETWORKS, Formula, Scene, large_ones_slow, layers_of_all, scene, visible

SIZE, SMALL = 96, 64
TOLERANCE = 1e-3  # after normalisation; it keeps scores in float32 and resizes with OpenCV
ABLATION_BATCH = 32


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its progress bars cannot be turned off by an argument."""
    for name in ("score_cam", "ablation_cam"):
        monkeypatch.setattr(sys.modules[f"pytorch_grad_cam.{name}"].tqdm, "tqdm", lambda steps: steps)


def peer_map(scene: Scene, method: type[Any], **options: Any) -> np.ndarray:
    """(H, W) in [0, 1]."""
    layer = scene.net.layer
    with method(scene.net.module, [layer], **options) as cam, repaired([layer]):
        return cam(scene.x.double().requires_grad_(), [ClassifierOutputTarget(scene.target)])[0]


def assert_same(view: Scene, method: type[Any], formula: Formula) -> None:
    view, expected = visible(view, formula)
    found = peer_map(view, method)
    assert np.abs(found - literal.saliency(expected.map, view.size).numpy()).max() <= TOLERANCE


def with_score(method: Callable[..., literal.LiteralMap], **constants: Any) -> Formula:
    return lambda s: method(s.net, s.x.double(), logit(s.target), **constants)


GRADIENT_METHODS: dict[str, tuple[type[Any], Formula]] = {
    "grad-cam": (peer.GradCAM, with_score(literal.grad_cam)),
    "grad-cam++": (peer.GradCAMPlusPlus, with_score(literal.grad_cam_plus_plus, epsilon=1e-6)),
    "xgrad-cam": (peer.XGradCAM, with_score(literal.xgrad_cam, epsilon=1e-7)),
    "hires-cam": (peer.HiResCAM, with_score(literal.hires_cam)),
    "layer-cam": (peer.LayerCAM, with_score(literal.layer_cam)),
}


@pytest.mark.parametrize("key", GRADIENT_METHODS)
@pytest.mark.parametrize(("network", "layer"), layers_of_all())
def test_gradient_methods(key: str, network: str, layer: str) -> None:
    method, formula = GRADIENT_METHODS[key]
    view = scene(network, layer, SIZE)
    assert_same(view, method, formula)


@pytest.mark.parametrize(("network", "layer"), layers_of_all())
def test_shapley_cam(network: str, layer: str) -> None:
    view = scene(network, layer, SIZE)
    view.net.module.requires_grad_(True)
    try:
        with twice_differentiable(view.net.module):
            assert_same(view, peer.ShapleyCAM, with_score(literal.shapley_cam))
    finally:
        view.net.module.requires_grad_(False)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("method", "formula"),
    [
        (peer.EigenCAM, lambda s: literal.eigen_cam(s.net, s.x.double())),
        (peer.EigenGradCAM, with_score(literal.eigen_grad_cam)),
    ],
    ids=["eigen-cam", "eigen-grad-cam"],
)
def test_eigen_methods_up_to_their_sign(method: type[Any], formula: Formula, network: str) -> None:
    view = scene(network, LATE[network], SIZE)
    found, raw = peer_map(view, method), formula(view).map
    differences = [np.abs(found - literal.saliency(sign * raw, view.size).numpy()).max() for sign in (1, -1)]
    assert min(differences) <= TOLERANCE < max(differences)


def score_cam(view: Scene) -> literal.LiteralMap:
    masks = partial(literal.masks_after_upsampling, align_corners=True, epsilon=1e-8)
    return literal.score_cam(view.net, view.x.double(), view.target, masks)


def ablated(acts: Tensor, channel: int) -> float:
    return 0.0 if acts.min() == 0 else float(acts.min()) - (channel % ABLATION_BATCH + 1) * 1e7


def ablation_cam(view: Scene) -> literal.LiteralMap:
    return literal.ablation_cam(view.net, view.x.double(), view.target, ablated, always_divide=True)


MASKING_METHODS: dict[str, tuple[type[Any], Formula]] = {
    "score-cam": (peer.ScoreCAM, score_cam),
    "ablation-cam": (peer.AblationCAM, ablation_cam),
}


@pytest.mark.slow
@pytest.mark.parametrize("key", MASKING_METHODS)
@pytest.mark.parametrize("network", large_ones_slow("vgg11", "densenet121"))
def test_masking_methods_at_an_early_layer(key: str, network: str) -> None:
    method, formula = MASKING_METHODS[key]
    view = scene(network, EARLY[network], SMALL)
    assert_same(view, method, formula)


@pytest.mark.slow
@pytest.mark.parametrize("key", MASKING_METHODS)
@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v3_large"])
def test_masking_methods_at_a_late_layer(key: str, network: str) -> None:
    method, formula = MASKING_METHODS[key]
    view = scene(network, LATE[network], SMALL)
    assert_same(view, method, formula)


@pytest.mark.parametrize("network", ["resnet18", "densenet121"])
def test_refine_cam(network: str) -> None:
    layers = [EARLY[network], LATE[network]]
    view = scene(network, LATE[network], SIZE)
    cam = peer.RefineCAM(view.net.module, [view.net.at(layer).layer for layer in layers])
    with repaired([view.net.at(layer).layer for layer in layers]):
        found = cam(view.x.double().requires_grad_(), [ClassifierOutputTarget(view.target)])[0]
    for base in cam.base_cam_per_layer:
        base.activations_and_grads.release()
    maps = [
        literal.grad_cam_plus_plus(view.net.at(layer), view.x.double(), logit(view.target), epsilon=1e-6).map
        for layer in layers
    ]
    expected = literal.refine_cam(maps, view.size).map
    assert expected.max() > 0
    assert np.abs(found - literal.min_max(expected).numpy()).max() <= TOLERANCE
