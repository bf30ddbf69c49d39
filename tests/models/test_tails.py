"""Where the Channels page opens: a late layer whose Shapley values are not a closed form."""

from __future__ import annotations

import pytest

from cam_core.models.load import load_model
from cam_core.models.tails import is_pooled_linear, nonlinear_layer
from tests.tiny import TINY, tiny_classifier


def test_bundled_network_opens_where_its_last_stage_begins() -> None:
    assert nonlinear_layer(load_model("efficientnet_lite0")) == "blocks.5"


def test_a_stage_of_one_layer_with_a_linear_tail_is_stepped_back_from() -> None:
    assert nonlinear_layer(load_model("resnet18", weights="random")) == "layer3"


@pytest.mark.parametrize("key", sorted(TINY))
def test_more_than_pooling_and_a_linear_layer_is_behind_it(key: str) -> None:
    clf = tiny_classifier(key)
    layer = nonlinear_layer(clf)
    assert layer in [entry.name for entry in clf.layers]
    assert not is_pooled_linear(clf.split(layer).halves)
