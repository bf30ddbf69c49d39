"""PyPI `torchcam` 0.5.0: with its choices in place of the paper's, the literal formula is its map.

Where it deviates from the papers (the product follows the papers):

- Grad-CAM++ never divides: `alpha[mask].div_(…)` divides the copy that boolean indexing makes, so that a = g².
- Smooth Grad-CAM++ takes Σ_ab (A_k · D3) in place of (Σ_ab A_k) · D3, adds 1e-8, and weights with the ReLU of the last
  noisy gradient in place of the mean one, and the map is of the last noisy image's activations.
- XGrad-CAM adds 1e-8 to the sum of the activations.
- The Score-CAM family normalises each activation before upsampling it, not after.
- IS-CAM adds its path up on the way: the factors are 1/n, 3/n, 6/n, …, not 1/n, 2/n, 3/n, …
- Refine-CAM normalises each map before upsampling it, adds 1e-8 to its range, and stands on the Grad-CAM++ above.
- CAM, Grad-CAM, LayerCAM, and Finer-CAM on Grad-CAM agree.
- Activations are kept without a copy: where an in-place ReLU follows the layer (DenseNet's `features`) it weights the
  overwritten values. `repaired` puts a copy behind the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torchcam import methods as peer

from tests import literal
from tests.literal.network import logit, weighted
from tests.oracles.repair import repaired
from tests.oracles.scenes import EARLY, LATE, NETWORKS, Formula, Scene, large_ones_slow, layers_of_all, scene, visible

SIZE, SMALL = 96, 64
TOLERANCE = 1e-3  # after normalisation
NOISE_SEED = 3


def peer_map(scene: Scene, method: type[Any], **options: Any) -> Tensor:
    """(h, w), not normalised: with small gradients the 1e-8 that it adds to the range would be most of it."""
    with method(scene.net.module, scene.net.layer, **options) as extractor, repaired([scene.net.layer]):
        scores = scene.net.module(scene.x.double().requires_grad_())
        torch.manual_seed(NOISE_SEED)
        return extractor(scene.target, scores, normalized=False)[0][0].detach()


def noise(*size: int, std: float) -> Tensor:
    """What its global generator yields after `torch.manual_seed`."""
    torch.manual_seed(NOISE_SEED)
    return torch.distributions.normal.Normal(0, std).sample(torch.Size(size)).double()


def assert_same(view: Scene, method: type[Any], formula: Formula, **options: Any) -> None:
    view, expected = visible(view, formula)
    assert_near(peer_map(view, method, **options), expected.map)


def assert_near(found: Tensor, raw: Tensor) -> None:
    assert raw.max() > 0
    difference = literal.min_max(found.double().clamp(min=0)) - literal.min_max(raw.clamp(min=0))
    assert float(difference.abs().max()) <= TOLERANCE


def with_score(method: Callable[..., literal.LiteralMap], **constants: Any) -> Formula:
    return lambda s: method(s.net, s.x.double(), logit(s.target), **constants)


GRADIENT_METHODS: dict[str, tuple[type[Any], Formula]] = {
    "grad-cam": (peer.GradCAM, with_score(literal.grad_cam)),
    "grad-cam++": (peer.GradCAMpp, with_score(literal.grad_cam_plus_plus, divide=False)),
    "xgrad-cam": (peer.XGradCAM, with_score(literal.xgrad_cam, epsilon=1e-8)),
    "layer-cam": (peer.LayerCAM, with_score(literal.layer_cam)),
    "finer-cam": (peer.FinerCAM, lambda s: literal.finer_cam(s.net, s.x.double(), s.target)),
}


@pytest.mark.parametrize("key", GRADIENT_METHODS)
@pytest.mark.parametrize(("network", "layer"), layers_of_all())
def test_gradient_methods(key: str, network: str, layer: str) -> None:
    method, formula = GRADIENT_METHODS[key]
    view = scene(network, layer, SIZE)
    assert_same(view, method, formula)


def test_cam() -> None:
    view = scene("resnet18", "layer4", SIZE)
    with peer.CAM(view.net.module, "layer4", "fc") as extractor:
        view.net.logits(view.x)
        found = extractor(view.target, normalized=False)[0][0]
    assert_near(found, literal.cam(view.net, view.x, view.target, view.net.module.fc).map)


def smooth_grad_cam_plus_plus(view: Scene) -> literal.LiteralMap:
    samples = [noise(1, *view.x.shape[1:], std=0.3)]
    samples += [torch.distributions.normal.Normal(0, 0.3).sample(view.x.shape).double() for _ in range(3)]
    coefficients = literal.smooth_grad_cam_plus_plus(
        view.net,
        view.x.double(),
        logit(view.target),
        torch.cat(samples),
        epsilon=1e-8,
        cubes_inside_the_sum=True,
        last_gradient=True,
    ).coefficients
    assert coefficients is not None
    return weighted(coefficients, view.net.activations(view.x + samples[-1])[0])


@pytest.mark.parametrize("network", NETWORKS)
def test_smooth_grad_cam_plus_plus(network: str) -> None:
    assert_same(scene(network, LATE[network], SIZE), peer.SmoothGradCAMpp, smooth_grad_cam_plus_plus)


def score_cam(view: Scene) -> literal.LiteralMap:
    return literal.score_cam(view.net, view.x.double(), view.target, literal.masks_before_upsampling)


def ss_cam(view: Scene) -> literal.LiteralMap:
    channels = len(view.net.activations(view.x)[0])
    one = noise(channels, *view.size, std=2.0)
    two = torch.distributions.normal.Normal(0, 2.0).sample(one.shape).double()
    masks = literal.masks_before_upsampling
    return literal.ss_cam(view.net, view.x.double(), view.target, torch.stack([one, two]), masks)


def is_cam(view: Scene) -> literal.LiteralMap:
    path = [1 / 3, 1 / 3 + 2 / 3, 1 / 3 + 2 / 3 + 3 / 3]
    return literal.is_cam(view.net, view.x.double(), view.target, path, literal.masks_before_upsampling)


MASKING_METHODS: dict[str, tuple[type[Any], dict[str, int], Formula]] = {
    "score-cam": (peer.ScoreCAM, {}, score_cam),
    "ss-cam": (peer.SSCAM, {"num_samples": 2}, ss_cam),
    "is-cam": (peer.ISCAM, {"num_samples": 3}, is_cam),
}


@pytest.mark.slow
@pytest.mark.parametrize("key", MASKING_METHODS)
@pytest.mark.parametrize("network", large_ones_slow("resnet18", "vgg11", "densenet121"))
def test_masking_methods_at_an_early_layer(key: str, network: str) -> None:
    method, options, formula = MASKING_METHODS[key]
    view = scene(network, EARLY[network], SMALL)
    assert_same(view, method, formula, **options)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v3_large"])
def test_score_cam_at_a_late_layer(network: str) -> None:
    assert_same(scene(network, LATE[network], SMALL), peer.ScoreCAM, score_cam)


@pytest.mark.parametrize("network", ["resnet18", "densenet121"])
def test_refine_cam(network: str) -> None:
    view = scene(network, LATE[network], SIZE)
    nets = [view.net.at(layer[network]) for layer in (EARLY, LATE)]
    layers = [net.layer for net in nets]
    with peer.RefineCAM(view.net.module, layers) as extractor, repaired(layers):
        scores = view.net.module(view.x.double().requires_grad_())
        found = extractor(view.target, scores, normalized=False)[0][0].detach()
    score = logit(view.target)
    maps = [literal.grad_cam_plus_plus(net, view.x.double(), score, divide=False).map for net in nets]
    assert_near(found, literal.refine_cam(maps, tuple(maps[0].shape), normalise_first=True, epsilon=1e-8).map)
