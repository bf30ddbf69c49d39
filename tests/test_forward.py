"""Cut → head → logits → target, once for all: against the same steps taken by hand."""

from __future__ import annotations

import pytest
import torch

from cam_core.forward import forward
from cam_core.metrics.samples import untouched
from cam_core.options import DEFAULTS, Options
from cam_core.types import TargetError
from tests.tiny import tiny_classifier, tiny_images

CLF = tiny_classifier("residual")
IMAGES = tiny_images(3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("exactly", [False, True])
def test_the_same_to_the_bit_as_by_hand(precision: str, exactly: bool) -> None:
    seen = forward(CLF, list(IMAGES), [None, "class 3", 1], ["relu1"], Options(precision=precision), exactly=exactly)
    net = CLF.split("relu1", precision)
    images = IMAGES.to(net.dtype)
    with torch.no_grad():
        acts = net.head_exactly(images) if exactly else net.head(images)
        logits = net.tail(acts)
    assert torch.equal(seen.images, images)
    assert torch.equal(seen.acts[0], acts)
    assert torch.equal(seen.logits, logits)
    assert seen.target.tolist() == [int(logits[0].argmax()), 3, 1]
    assert not seen.acts[0].requires_grad and not seen.logits.requires_grad


def test_the_tail_runs_once_and_only_when_it_is_asked_for() -> None:
    seen = forward(CLF, list(IMAGES), [None] * 3, ["stem", "relu1"], DEFAULTS)
    assert [net.passes for net in seen.nets] == [(3, 0), (3, 0)]
    assert len(seen.target) == len(seen.logits) == 3
    assert [net.passes for net in seen.nets] == [(3, 3), (3, 0)]


def test_metrics_look_at_the_whole_network_in_float64() -> None:
    seen = untouched(CLF, list(IMAGES), [2, None, "class 0"], "float32")
    with torch.no_grad():
        logits = CLF.split(None).model(IMAGES).double()
    assert torch.equal(seen.logits, logits) and seen.logits.dtype == torch.float64
    assert seen.target.tolist() == [2, int(logits[1].argmax()), 0]


@pytest.mark.parametrize("target", [99, -1, "no such class"])
def test_a_class_that_does_not_exist(target: int | str) -> None:
    with pytest.raises(TargetError):
        _ = forward(CLF, [IMAGES[0]], [target], ["relu1"], DEFAULTS).target
    with pytest.raises(TargetError):
        untouched(CLF, [IMAGES[0]], [target], "float32")
