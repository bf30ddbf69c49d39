"""Hybrids, whose convolutions hand feature maps to attention and take them back: the halves still make the network."""

from __future__ import annotations

import copy

import pytest
import timm
import torch

from cam_core import Classifier
from cam_core.models.classifier import LayerInfo
from cam_core.models.zoo.random_weights import calibrate

# Their decisions are made on feature maps, or, as LeViT's, on tokens.
LARGE = (("mobilevit_xxs", 64), ("edgenext_xx_small", 128), ("efficientformer_l1", 224), ("levit_128s", 224))


def hybrid(name: str, side: int, **options: object) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = timm.create_model(name, num_classes=7, **options)
        calibrate(module, (side, side), seed=0)
    return Classifier(module.eval(), input_size=(side, side), device="cpu")


def assert_halves_make_the_network(clf: Classifier, layers: list[LayerInfo], precision: str = "float32") -> None:
    dtype = getattr(torch, precision)
    images = torch.randn(2, 3, *clf.input_size, generator=torch.Generator().manual_seed(5)).to(dtype)
    with torch.no_grad():
        expected = copy.deepcopy(clf.module).to(dtype)(images)
        for layer in layers:
            net = clf.split(layer.name, precision)
            acts = net.head(images)
            assert acts.shape[1:] == (layer.channels, layer.height, layer.width)
            assert float((net.tail(acts) - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_the_halves_of_a_small_hybrid_make_the_network() -> None:
    clf = hybrid("test_coatnet", 64, img_size=64)
    names = [layer.name for layer in clf.layers]
    attentive = names.index("stages.2")  # convolutions before it, attention in it and behind it
    assert_halves_make_the_network(clf, [clf.layers[attentive]])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), LARGE)
def test_the_halves_of_a_hybrid_make_the_network_at_every_third_layer(name: str, side: int) -> None:
    clf = hybrid(name, side)
    assert len(clf.layers) > 2
    # With random weights LeViT's logits in float32 are 6 % away from its own in float64: nothing to compare with.
    precision = "float64" if name.startswith("levit") else "float32"
    assert_halves_make_the_network(clf, clf.layers[::3] + clf.layers[-1:], precision)
