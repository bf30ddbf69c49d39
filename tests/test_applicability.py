"""Which methods work at a layer: what is said beforehand is what happens."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from torch import Tensor, nn

from cam_core import METHODS, Classifier, explain, methods_at
from cam_core.applicability import coinciding
from cam_core.types import LayerError, MethodError
from tests.tiny import TINY, tiny_classifier, tiny_images


def refusal(clf: Classifier, image: Tensor, key: str, layer: str) -> str:
    """The message with which the method refuses; "" where it does not."""
    try:
        explain(clf, image, method=key, layer=layer)
    except MethodError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("network", "layer"), [(key, layer) for key in TINY for layer in TINY[key].layers])
def test_a_reason_is_given_where_the_method_refuses_and_nowhere_else(network: str, layer: str) -> None:
    clf, image = tiny_classifier(network), tiny_images(1)[0]
    reasons = methods_at(clf, layer)
    assert list(reasons) == list(METHODS)
    for key, reason in reasons.items():
        if METHODS[key].expensive or METHODS[key].multi_layer:
            assert not reason or METHODS[key].multi_layer
            continue
        assert reason == refusal(clf, image, key, layer)


def test_a_method_over_several_resolutions_needs_several() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    clf = Classifier(module, input_size=(8, 8), device="cpu")
    reason = methods_at(clf)["refine-cam"]
    with pytest.raises(MethodError, match="at least two layers"):
        explain(clf, tiny_images(1)[0][:, :8, :8], method="refine-cam")
    assert "several resolutions" in reason


def test_a_layer_that_does_not_exist_is_named() -> None:
    with pytest.raises(LayerError, match="'nowhere'"):
        methods_at(tiny_classifier("plain"), "nowhere")


ALIKE = (("cam", "grad-cam", "xgrad-cam", "hires-cam", "shapley-cam"), ("shap", "owen-cam", "ablation-cam", "lift-cam"))
OTHERS = {"grad-cam++", "layer-cam", "eigen-grad-cam", "finer-cam", "score-cam", "opti-cam", "shap-cam"}


def saliencies(clf: Classifier, layer: str, keys: tuple[str, ...]) -> list[np.ndarray]:
    image = tiny_images(1)[0]
    return [explain(clf, image, method=key, layer=layer, precision="float64").saliency for key in keys]


@pytest.mark.parametrize("group", ALIKE)
@pytest.mark.parametrize("network", ["plain", "residual", "squeeze-excite"])
def test_before_pooling_and_a_linear_layer_the_maps_of_a_group_are_one(network: str, group: tuple[str, ...]) -> None:
    clf = tiny_classifier(network)
    layer = TINY[network].layers[-1]
    (keys,) = coinciding(clf, layer, {key: {} for key in group}).values()
    assert keys == list(group)
    first, *rest = saliencies(clf, layer, group)
    assert np.ptp(first) == pytest.approx(1)
    for saliency in rest:
        np.testing.assert_allclose(saliency, first, atol=1e-6)


def test_the_two_groups_differ_and_what_is_in_none_of_them_differs_from_both() -> None:
    clf = tiny_classifier("plain")
    keys = ("grad-cam", "lift-cam", *sorted(OTHERS))
    together = coinciding(clf, "features.3", {key: {} for key in keys})
    assert together == {}
    maps = saliencies(clf, "features.3", keys)
    for one, other in combinations(range(len(keys)), 2):
        if one < 2:
            assert np.abs(maps[one] - maps[other]).max() > 1e-3, (keys[one], keys[other])


@pytest.mark.parametrize(
    ("network", "keys"), [("plain", ALIKE[0][1:4]), ("squeeze-excite", ("grad-cam", "shapley-cam"))]
)
def test_elsewhere_they_differ_and_nothing_is_said(network: str, keys: tuple[str, ...]) -> None:
    clf, layer = tiny_classifier(network), TINY[network].layers[0]
    assert coinciding(clf, layer, {key: {} for key in keys}) == {}
    for one, other in combinations(saliencies(clf, layer, keys), 2):
        assert np.abs(one - other).max() > 1e-4


def test_a_method_coincides_only_with_the_parameters_for_which_it_holds() -> None:
    clf = tiny_classifier("plain")
    chosen = {"grad-cam": {}, "shapley-cam": {"score": "rest"}}
    assert coinciding(clf, "features.3", chosen) == {}
    assert list(coinciding(clf, "features.3", chosen | {"shapley-cam": {}}).values()) == [["grad-cam", "shapley-cam"]]


def test_one_method_alone_coincides_with_nothing() -> None:
    assert coinciding(tiny_classifier("plain"), "features.3", {"grad-cam": {}}) == {}
