"""The vision transformer that comes along: as accurate as its card says, cut where it should be, and explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cam_core import Classifier, explain, load_model, methods_at
from cam_core.models.trainable.checkpoints import load_checkpoint, read_card
from cam_core.models.trainable.trained import DIGIT_NETWORKS, find_trained
from cam_core.models.trainable.vit import VitRecipe, build_vit
from cam_core.training import DigitsSet
from cam_core.training.batches import evaluation_batches
from cam_core.training.digits import gallery_digits
from cam_core.types import ModelError
from scripts.train_vit import Settings

NAME = "vit_digits"
PATH = DIGIT_NETWORKS[NAME]


@pytest.fixture(scope="module")
def clf() -> Classifier:
    return load_model(NAME, device="cpu")


def test_held_out_accuracy_is_that_of_the_card_and_well_above_nine_in_ten(clf: Classifier) -> None:
    data, right = DigitsSet("held-out"), 0
    network, card = load_checkpoint(PATH)
    with torch.no_grad():
        for images, labels in evaluation_batches(data, clf.preprocessing, 250):
            right += int((network(images).argmax(1) == labels).sum())
    # Another processor rounds otherwise, and an image or two may tip over.
    assert right / len(data) == pytest.approx(card["accuracy"], abs=0.005)
    assert card["accuracy"] > 0.92


def test_the_script_says_how_it_was_trained() -> None:
    training = read_card(PATH.with_suffix(".json"))["training"]
    assert {name: training[name] for name in vars(Settings())} == vars(Settings())


def test_the_layer_is_the_norm_before_the_last_attention(clf: Classifier) -> None:
    listed = find_trained(NAME)
    assert [layer.name for layer in clf.layers if layer.default] == [listed.default_layer] == [clf.default_layer]
    assert clf.default_layer == "blocks.3.norm1"
    assert [layer.name for layer in clf.layers] == ["stem", "blocks.0", "blocks.1", "blocks.2", clf.default_layer]
    assert {(layer.height, layer.width) for layer in clf.layers} == {(8, 8)}
    parameters = sum(parameter.numel() for parameter in clf.module.parameters())
    assert parameters < 300_000 and listed.parameters == pytest.approx(parameters, rel=0.05)


def test_the_halves_make_the_network_at_every_layer(clf: Classifier) -> None:
    images = torch.stack([clf.preprocess(image) for image in list(gallery_digits().values())[:3]])
    with torch.no_grad():
        expected = clf.module(images)
        for layer in clf.layers:
            net = clf.split(layer.name)
            assert net.halves.traced
            found = net.tail(net.head(images))
            assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


@pytest.mark.parametrize("layer", ["blocks.1", "blocks.3.norm1"])
def test_lift_cam_is_complete_there(clf: Classifier, layer: str) -> None:
    """The channels' contributions sum to the logit less that of the same tail without them, worked out apart."""
    image = gallery_digits()["7"]
    found = explain(clf, image, method="lift-cam", layer=layer)
    net = clf.split(layer)
    with torch.no_grad():
        acts = net.head(clf.as_batch(image))
        change = (net.tail(acts) - net.tail(torch.zeros_like(acts)))[0, found.target]
    assert float(np.sum(found.coefficients, dtype=np.float64)) == pytest.approx(float(change), rel=1e-3)
    assert not found.warnings


def test_digits_of_the_gallery_are_recognised_and_explained(clf: Classifier) -> None:
    digits = gallery_digits()
    named = [clf.predict(image, top=1)[0].label for image in digits.values()]
    assert sum(label == name for label, name in zip(named, digits, strict=True)) >= 8
    reasons = methods_at(clf)
    assert [reasons[key] for key in ("grad-cam", "lift-cam", "owen-cam", "shap-cam", "shap")] == [""] * 5
    found = explain(clf, digits["3"], method="grad-cam", target="3")
    assert found.map.shape == (8, 8) and found.saliency.shape == (64, 64) and found.saliency.max() == 1


def test_recipes_that_cannot_be_built_are_refused() -> None:
    with pytest.raises(ModelError, match="size=60 must be a multiple of 8 pixels"):
        VitRecipe(10, size=60)
    with pytest.raises(ModelError, match="width=64 of heads=5"):
        VitRecipe(10, heads=5)
    with pytest.raises(ModelError, match="all of these must be at least 1"):
        VitRecipe(10, depth=0)


def test_the_same_seed_gives_the_same_weights_and_torchs_own_state_stays() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build_vit(VitRecipe(3, size=16, width=8, depth=1), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(one.positions, other.positions)
    assert not torch.equal(one.blocks[0].attention.qkv.weight, other.blocks[0].attention.qkv.weight)
