"""Which methods work at a layer: what is said beforehand is what happens."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from cam_core import METHODS, Classifier, explain, methods_at
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
