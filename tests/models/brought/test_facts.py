"""What a classifier takes from the module it is given: labels, channels, names of layers; and one score's two sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cam_core import METHODS, METRICS, Classifier, evaluate, explain
from cam_core.metrics.curves.frames import as_photo
from cam_core.models.tails import pooled_linear
from cam_core.types import LayerError, MethodError
from tests.models.brought.as_brought import KINDS, SIZE, AsTransformers, OneScore, images_for, with_channels
from tests.tiny import tiny, tiny_images


def classifier(module: nn.Module, labels: Sequence[str] | None = None) -> Classifier:
    return Classifier(module, labels, SIZE, device="cpu")


def test_labels_are_the_networks_own() -> None:
    assert classifier(AsTransformers().eval()).labels == ["a", "b", "c", "d", "e"]
    assert classifier(nn.DataParallel(AsTransformers().eval())).labels == ["a", "b", "c", "d", "e"]
    assert classifier(AsTransformers().eval(), list("vwxyz")).labels == list("vwxyz")


@pytest.mark.parametrize(
    "names",
    [{0: "a", 1: "b"}, {index: f"LABEL_{index}" for index in range(5)}, {}, dict(zip("abcde", "abcde", strict=True))],
)
def test_labels_that_name_nothing_are_left(names: dict[Any, str]) -> None:
    network = AsTransformers().eval()
    network.config.id2label = names
    assert classifier(network).labels == [f"class {index}" for index in range(5)]


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        (None, ["negative", "positive"]),
        (["cat"], ["not cat", "cat"]),
        (["positive"], ["negative", "positive"]),
        (["healthy", "ill"], ["healthy", "ill"]),
    ],
)
@pytest.mark.parametrize("row", [True, False])
def test_one_score_has_two_sides(given: list[str] | None, labels: list[str], row: bool) -> None:
    network, image = OneScore(row).eval(), tiny_images(1)
    score = float(network(image))
    clf = classifier(network, given)
    assert clf.labels == labels
    predictions = {prediction.index: prediction for prediction in clf.predict(image)}
    assert predictions[1].probability == pytest.approx(1 / (1 + np.exp(-score)), rel=1e-5)
    assert [predictions[side].logit for side in (0, 1)] == pytest.approx([-score / 2, score / 2], rel=1e-5)
    assert clf.predict(image)[0].label == labels[int(score > 0)]


@pytest.mark.parametrize("side", [0, 1])
def test_closed_forms_know_one_score(side: int) -> None:
    """CAM's weights, and the exact Shapley values, are those of the last layer: ±w/2."""
    network, image = OneScore(row=False).eval(), tiny_images(1)[0]
    explanation = explain(classifier(network), image, method="cam", layer="features.3", target=side)
    weights = network.fc.weight[0].detach() * (0.5 if side else -0.5)
    np.testing.assert_allclose(explanation.coefficients, weights, rtol=1e-6)
    tail = pooled_linear(classifier(network).split("features.3").halves)
    assert tail.bias is not None
    np.testing.assert_allclose(tail.bias[side].detach(), network.fc.bias.item() * (0.5 if side else -0.5), rtol=1e-6)


def test_names_through_a_wrapper_are_taken_with_and_without_it() -> None:
    module = nn.DataParallel(tiny("plain"))
    clf = Classifier(module, input_size=SIZE, device="cpu", default_layer="module.features.1")
    assert clf.default_layer == "features.1"
    image = tiny_images(1)[0]
    maps = [explain(clf, image, method="grad-cam", layer=name).map for name in ("module.features", "features")]
    np.testing.assert_array_equal(*maps)
    with pytest.raises(LayerError, match=r"no layer 'module\.nowhere'|no layer 'nowhere'"):
        clf.split("module.nowhere")


@pytest.mark.parametrize("name", ["features.3", "features._orig_mod.3"])
def test_names_through_a_wrapped_part(name: str) -> None:
    module = KINDS["a part of it compiled"].bring()
    clf = Classifier(module, input_size=SIZE, device="cpu", default_layer=name)
    assert clf.default_layer == "features.3"
    assert clf.layers[-1].name == "features.3" and clf.split(name).halves.traced
    with pytest.raises(LayerError, match=r"no layer 'features\.9'; did you mean features\.[0-3],"):
        Classifier(module, input_size=SIZE, device="cpu", default_layer="features.9").split()


@pytest.mark.parametrize(
    ("channels", "mean", "std"),
    [(1, (0.449,), (0.226,)), (3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), (6, (0.0,) * 6, (1.0,) * 6)],
)
def test_channels_are_those_of_the_first_convolution(
    channels: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    clf = classifier(with_channels(channels))
    assert clf.input_shape == (channels, *SIZE)
    assert (clf.preprocessing.mean, clf.preprocessing.std) == (mean, std)


def test_mean_says_how_many_channels_there_are() -> None:
    clf = Classifier(with_channels(1), input_size=SIZE, mean=(0.1307,), std=(0.3081,), device="cpu")
    assert (clf.preprocessing.mean, clf.preprocessing.std) == ((0.1307,), (0.3081,))


@pytest.mark.parametrize("name", ["grey images", "six channels", "one score (B, 1)"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_them(name: str, method: str) -> None:
    kind = KINDS[name]
    clf, image = classifier(kind.bring()), images_for(kind, 1)[0]
    try:
        explanation = explain(clf, image, method=method, target=1)
    except MethodError as reason:  # as for a network of three channels
        with pytest.raises(MethodError, match="^" + str(reason)[:20]):
            explain(classifier(tiny("plain")), tiny_images(1)[0], method=method, target=1)
        return
    assert explanation.saliency.shape == SIZE and np.isfinite(explanation.map).all()


@pytest.mark.parametrize("name", ["grey images", "six channels", "one score (B,)", "DataParallel", "half precision"])
@pytest.mark.parametrize("metric", [key for key in METRICS if not METRICS[key].needs])
def test_every_metric_takes_them(name: str, metric: str) -> None:
    kind = KINDS[name]
    clf, image = classifier(kind.bring()), images_for(kind, 1)[0]
    explanation = explain(clf, image, method="grad-cam", target=1)
    assert isinstance(evaluate(clf, image, explanation, metric=metric).value, float)


def test_randomisation_is_of_the_network_that_is_explained() -> None:
    """Wrapped or not, the same weights are redrawn in the same order."""
    image = tiny_images(1)[0]
    values = []
    for name in ("as it should be", "DataParallel", "dict of logits"):
        clf = classifier(KINDS[name].bring())
        explanation = explain(clf, image, method="grad-cam", layer="features.3", target=1)
        values.append(evaluate(clf, image, explanation, metric="parameter-randomisation").value)
    assert values[0] == values[1] == values[2]


def test_pictures_of_other_channels_are_grey() -> None:
    picture = as_photo(classifier(with_channels(6)), torch.rand(6, *SIZE))
    assert picture.mode == "RGB" and picture.getextrema()[0] == picture.getextrema()[1]
