"""Channels taken away one after the other: against a forward pass with zeros written in by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cam_core import Cancelled
from cam_core.shapley import channel_shap, remove_channels
from cam_core.targets import Difference, Probability, Sum
from cam_core.types import MethodError
from tests.tiny import tiny_classifier, tiny_images

IMAGE = tiny_images(1)[0]


def test_each_row_is_the_network_with_those_channels_zeroed() -> None:
    """At a layer inside a residual block, where a value passes by the cut."""
    clf = tiny_classifier("residual")
    order = (5, 0, 3)
    found = remove_channels(clf, IMAGE, layer="relu1", target=2, order=order)
    assert found.order == order
    for count in range(4):

        def zero(_module: object, _inputs: object, output: torch.Tensor, count: int = count) -> torch.Tensor:
            kept = output.clone()
            kept[:, list(order[:count])] = 0
            return kept

        handle = clf.module.get_submodule("relu1").register_forward_hook(zero)
        logits = clf.module(IMAGE[None])[0].detach().double()
        handle.remove()
        assert float(found.logit[count]) == pytest.approx(float(logits[2]), abs=1e-5)
        assert float(found.probability[count]) == pytest.approx(float(logits.softmax(0)[2]), abs=1e-5)
        assert int(found.best[count]) == int(logits.argmax())


def test_exact_values_of_a_linear_tail_predict_every_row() -> None:
    clf = tiny_classifier("plain")
    estimate = channel_shap(clf, IMAGE, layer="features.3", target=1)
    order = list(range(8))
    found = remove_channels(clf, IMAGE, layer="features.3", target=1, order=order)
    by_hand = [estimate.v_all - float(estimate.phi[:count].sum()) for count in range(9)]
    torch.testing.assert_close(found.predicted(estimate).tolist(), by_hand, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.logit.tolist(), by_hand, atol=1e-5, rtol=1e-5)
    assert float(found.logit[-1]) == pytest.approx(estimate.v_empty, abs=1e-5)


@pytest.mark.parametrize(
    ("target", "weights"), [(Difference(1, 3), {1: 1, 3: -1}), (Sum(0, 2), {0: 1, 2: 1}), ("-4", {4: -1})]
)
def test_a_target_of_several_classes_is_followed_by_its_value(target: Any, weights: dict[int, float]) -> None:
    clf = tiny_classifier("residual")
    order = (5, 0, 3)
    of_class = {c: remove_channels(clf, IMAGE, layer="relu1", target=c, order=order) for c in range(5)}
    found = remove_channels(clf, IMAGE, layer="relu1", target=target, order=order)
    expected = [sum(w * float(of_class[c].logit[row]) for c, w in weights.items()) for row in range(4)]
    torch.testing.assert_close(found.logit.tolist(), expected, atol=1e-6, rtol=0)
    assert found.probability is None
    assert found.best.tolist() == of_class[0].best.tolist()


def test_a_probability_is_followed_as_one() -> None:
    clf = tiny_classifier("residual")
    of_class = remove_channels(clf, IMAGE, layer="relu1", target=2, order=[5, 0])
    found = remove_channels(clf, IMAGE, layer="relu1", target=Probability(2), order=[5, 0])
    torch.testing.assert_close(found.logit, of_class.probability, atol=1e-9, rtol=0)
    assert found.probability is not None and found.probability.tolist() == found.logit.tolist()


def test_nothing_removed_is_the_network() -> None:
    clf = tiny_classifier("dense")
    found = remove_channels(clf, IMAGE, layer="conv2", target=0, order=[])
    assert found.logit.shape == (1,)
    assert float(found.logit[0]) == pytest.approx(float(clf.logits(IMAGE[None])[0, 0]), abs=1e-5)


@pytest.mark.parametrize(("order", "words"), [([8], "no channel 8: the layer has 8"), ([-1], "-1"), ([1, 1], "twice")])
def test_wrong_orders_are_named(order: list[int], words: str) -> None:
    with pytest.raises(MethodError, match=words):
        remove_channels(tiny_classifier("plain"), IMAGE, layer="features.3", target=0, order=order)


def test_it_can_be_cancelled() -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        remove_channels(tiny_classifier("plain"), IMAGE, layer="features.3", target=0, order=[1, 2], progress=stop)
