"""PyPI `grad-cam` with its `reshape_transform`: at token layers its gradient methods give the same maps.

Its maps are compared before upsampling, each divided by its largest value: it resizes with OpenCV. In float64,
because a layer norm makes HiResCAM's sum over the channels vanish but for its epsilon. XGrad-CAM adds 1e-7
to the sum of the activations; Grad-CAM++ 1e-6 to its denominator, which swamps it here: it is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam as peer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from cam_core import explain
from tests.token_networks import TOKENS, token_classifier, token_images

METHODS = {
    "grad-cam": peer.GradCAM,
    "xgrad-cam": peer.XGradCAM,
    "hires-cam": peer.HiResCAM,
    "layer-cam": peer.LayerCAM,
}
LAYERS = [
    ("vit", "blocks.2.norm1"),
    ("vit", "blocks.1"),
    ("wide with registers", "blocks.0"),
    ("deit", "blocks.2.norm1"),
    ("beit", "blocks.1"),
    ("swin", "layers.0"),
    ("swin", "layers.1"),
    ("untraceable", "layers.0"),
]


def reshape(extra: int, height: int, width: int) -> Callable[[Tensor], Tensor]:
    """As its documentation writes it: without the class token, (B, D, h, w); of Swin, a permutation."""

    def transform(output: Tensor) -> Tensor:
        if output.ndim == 4:
            return output.transpose(2, 3).transpose(1, 2)
        result = output[:, extra:].reshape(output.shape[0], height, width, output.shape[2])
        return result.transpose(2, 3).transpose(1, 2)

    return transform


def peer_map(method: type[Any], key: str, layer: str, image: Tensor, target: int) -> np.ndarray:
    """(h, w), positive, before upsampling."""
    network = TOKENS[key]
    height, width = next((h, w) for name, _, h, w in network.layers if name == layer)
    module = token_classifier(key).module.double()
    transform = reshape(network.extra, height, width)
    with method(module, [module.get_submodule(layer)], reshape_transform=transform) as cam:
        cam.compute_cam_per_layer = lambda *args: _raw(cam, *args)
        cam.aggregate_multi_layers = lambda per_layer: per_layer[0]
        found: np.ndarray = cam(image.double().requires_grad_(), [ClassifierOutputTarget(target)])
    return found


def _raw(cam: Any, image: Tensor, targets: list[Any], _eigen: bool) -> list[np.ndarray]:
    (acts,), (grads,) = (
        [value.detach().numpy() for value in kept]
        for kept in (cam.activations_and_grads.activations, cam.activations_and_grads.gradients)
    )
    maps = cam.get_cam_image(image, cam.target_layers[0], targets, acts, grads, False)
    return [np.maximum(maps, 0)[0]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("key", "layer"), LAYERS)
def test_gradient_methods(method: str, key: str, layer: str) -> None:
    image = token_images(key, 1)
    clf = token_classifier(key)
    target = int(clf.logits(image)[0].argmax())
    ours = explain(clf, image[0], method=method, layer=layer, target=target, precision="float64")
    found = np.maximum(ours.map, 0)
    expected = peer_map(METHODS[method], key, layer, image, target)
    assert found.max() > 0
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), atol=1e-4)
