"""Any image classifier as people bring it: explained as the network under it is, and left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from cam_core import Classifier, explain, explain_batch
from tests.fingerprints import fingerprint
from tests.models.brought.as_brought import KINDS, SIZE, Kind, cleared, images_for
from tests.token_networks import TOKENS, token_images, token_module

TARGET = 1


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    with cleared():
        yield


def classifier(kind: Kind, module: nn.Module, **options: Any) -> Classifier:
    return Classifier(module, input_size=SIZE, device="cpu", **kind.options, **options)


def decision(kind: Kind, module: nn.Module) -> list[Tensor]:
    """All tensors that the module returns: a class or a state that was changed would change them."""
    images = images_for(kind, 2).to(next(module.parameters()).dtype).requires_grad_()
    return [value for value in tree_leaves(module(images)) if isinstance(value, Tensor)]


def literal_grad_cam(kind: Kind, image: Tensor) -> np.ndarray[Any, Any]:
    """Σ_k (mean of ∂y/∂A_k) A_k of the network under it, in float64 and by a hook of our own."""
    network = kind.plain().double().eval()
    kept: list[Tensor] = []
    network.get_submodule(kind.layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    if not kind.traced:
        network.float()
    like = next(network.parameters())
    score = kind.score(network, image[None].to(like.dtype))[0, TARGET]
    (gradient,) = torch.autograd.grad(score, kept[0])
    return np.asarray((gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1)[0].detach())


@pytest.mark.parametrize("name", KINDS)
def test_is_explained_as_the_network_under_it(name: str) -> None:
    kind = KINDS[name]
    module = kind.bring()
    # A network in training changes when it runs, a compiled one takes long to, and an exported one is no module.
    runs = isinstance(module, nn.Module) and not module.training and "compiled" not in name
    decided = decision(kind, module) if runs else []
    before = fingerprint(module) if "exported" not in name else None
    image = images_for(kind, 1)[0]
    clf = classifier(kind, module)
    layer = kind.own_layer
    explanation = explain(clf, image, method="grad-cam", layer=layer, target=TARGET)
    expected = literal_grad_cam(kind, image)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(explanation.map, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert clf.split(layer).halves.traced == kind.traced
    assert (fingerprint(module) if "exported" not in name else None) == before
    assert all(map(torch.equal, decision(kind, module) if runs else [], decided))


@pytest.mark.parametrize("name", KINDS)
def test_default_layer_is_found_and_images_do_not_mix(name: str) -> None:
    kind = KINDS[name]
    clf = classifier(kind, kind.bring())
    images = images_for(kind, 3)
    together = explain_batch(clf, list(images), method="grad-cam", targets=[TARGET] * 3)
    alone = explain(clf, images[2], method="grad-cam", target=TARGET)
    assert together[2].layer == clf.default_layer == next(layer.name for layer in clf.layers if layer.default)
    np.testing.assert_allclose(together[2].map, alone.map, atol=1e-5)
    scores = kind.score(kind.plain(), images).double()
    np.testing.assert_allclose(clf.logits(images), scores.detach(), rtol=1e-4, atol=1e-4)


def exported(module: nn.Module, images: Tensor) -> Any:
    return torch.export.export(module, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


@pytest.mark.parametrize("bring", [torch.jit.trace, pytest.param(exported, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", ["grad-cam", "lift-cam"])
def test_a_transformer_as_a_program_has_its_class_token_and_its_patches(bring: Any, method: str) -> None:
    module, images = token_module("vit"), token_images("vit", 2)
    clf, plain = (
        Classifier(each, input_size=TOKENS["vit"].size, device="cpu") for each in (bring(module, images), module)
    )
    layer = TOKENS["vit"].default
    assert clf.default_layer == layer and clf.split(layer).halves.traced
    ours, expected = (explain(each, images[0], method=method, layer=layer, target=1).map for each in (clf, plain))
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())
