"""Average drop, increase, gain and drop in deletion: by hand on 4 × 4 pixels, and against the peers."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor
from torchcam.metrics import ClassificationMetric

from cam_core import evaluate, evaluate_batch
from tests.metrics.given_maps import GivenMaps
from tests.metrics.scenes import MEAN, STD, coloured, plane, probabilities, scene, sigmoid, weighted

# Two pixels speak for the class, one against it: Y = σ(2 + 1 − 1).
WEIGHTS = plane(a1=1, b1=1, c1=-1)
IMAGE = coloured(plane(a1=2, b1=1, c1=1))
Y = sigmoid(2)


def value(metric: str, saliency: Tensor, image: Tensor = IMAGE, **params: object) -> float:
    return evaluate(weighted(WEIGHTS), image, saliency, metric=metric, target=0, **params).value


def test_average_drop_by_hand() -> None:
    # Half of a1 and all of b1 are left: the logit is 1 + 1.
    assert value("average-drop", plane(a1=0.5, b1=1)) == pytest.approx(0, abs=1e-5)
    assert value("average-drop", plane(a1=0.25)) == pytest.approx(100 * (Y - sigmoid(0.5)) / Y, rel=1e-6)


def test_a_rise_is_no_drop_but_an_increase_and_a_gain() -> None:
    without_c1 = plane(a1=1, b1=1)
    after = sigmoid(3)
    assert value("average-drop", without_c1) == 0
    assert value("average-increase", without_c1) == 100
    assert value("average-gain", without_c1) == pytest.approx(100 * (after - Y) / (1 - Y), rel=1e-5)


def test_increase_is_strict_and_a_map_of_ones_changes_nothing() -> None:
    ones = torch.ones(4, 4)
    for metric in ("average-drop", "average-increase", "average-gain"):
        assert value(metric, ones) == 0


def test_drop_in_deletion_by_hand() -> None:
    # One minus the map: half of a1, all of b1 and c1 are left.
    left = sigmoid(1)
    assert value("average-drop-in-deletion", plane(a1=0.5)) == pytest.approx(100 * (Y - left) / Y, rel=1e-6)


def test_drop_in_deletion_is_negative_unless_clipped() -> None:
    against = plane(c1=1)
    assert value("average-drop-in-deletion", against) == pytest.approx(100 * (Y - sigmoid(3)) / Y, rel=1e-5)
    assert value("average-drop-in-deletion", against, clip=True) == 0


@pytest.mark.parametrize(("mask", "logit"), [("soft", 0.9 * 2 + 0.8 * 1), ("binary", 2 + 1)])
def test_keep_top_keeps_that_many_pixels(mask: str, logit: float) -> None:
    saliency = plane(a1=0.9, b1=0.8, c1=0.7)
    found = value("average-gain", saliency, keep_top=2 / 16, mask=mask)
    assert found == pytest.approx(100 * (sigmoid(logit) - Y) / (1 - Y), rel=1e-5)


def test_keep_top_takes_ties_from_the_top_left() -> None:
    assert value("average-increase", torch.full((4, 4), 0.5), keep_top=2 / 16, mask="binary") == 100
    assert value("average-increase", torch.full((4, 4), 0.5), keep_top=3 / 16, mask="binary") == 0


def test_in_pixel_space_a_masked_pixel_is_black() -> None:
    black = -MEAN[0] / STD[0]
    # a1 fully masked, all others fully kept.
    logit = black + 1 - 1
    expected = 100 * (Y - sigmoid(logit)) / Y
    assert value("average-drop", 1 - plane(a1=1), mask_space="pixel") == pytest.approx(expected, rel=1e-6)


def test_certainty_leaves_nothing_to_gain() -> None:
    certain = coloured(plane(a1=60.0, c1=1))
    assert value("average-gain", plane(a1=1), certain) == 0


def test_no_probability_is_no_drop_and_warns() -> None:
    hopeless = coloured(plane(c1=800.0))
    result = evaluate(weighted(WEIGHTS), hopeless, plane(a1=1), metric="average-drop", target=0)
    assert result.value == 0
    assert "says very little" in " ".join(result.warnings)


def test_extras_are_what_the_value_is_made_of() -> None:
    result = evaluate(weighted(WEIGHTS), IMAGE, plane(a1=0.25), metric="average-drop", target=0)
    assert float(result.extras["before"]) == pytest.approx(Y)
    assert float(result.extras["after"]) == pytest.approx(sigmoid(0.5))


@pytest.mark.parametrize("network", ["residual", "max-pool", "squeeze-excite"])
def test_drop_and_increase_equal_torchcam(network: str) -> None:
    """torchcam divides by Y + 1e-7 and reports fractions."""
    clf, images, maps, targets = scene(network, count=6)
    peer = ClassificationMetric(GivenMaps(clf.module, maps), partial(torch.softmax, dim=-1))
    peer.update(images, targets)
    found = {
        metric: sum(r.value for r in evaluate_batch(clf, list(images), list(maps), metric=metric, targets=targets))
        / 600
        for metric in ("average-drop", "average-increase")
    }
    assert found["average-drop"] == pytest.approx(peer.summary()["avg_drop"], abs=1e-5)
    assert found["average-increase"] == peer.summary()["conf_increase"]
    assert found["average-drop"] > 0.01


def test_pytorch_grad_cam_leaves_out_the_division() -> None:
    """PyPI grad-cam's `DropInConfidence` is max(0, Y − O), not divided by Y: the papers divide."""
    clf, images, maps, targets = scene(count=6)
    arguments = (images, maps.numpy(), [ClassifierOutputSoftmaxTarget(t) for t in targets], clf.module)
    before = probabilities(clf, images)[range(6), targets].numpy()
    drops = [r.value for r in evaluate_batch(clf, list(images), list(maps), metric="average-drop", targets=targets)]
    increases = [
        r.value for r in evaluate_batch(clf, list(images), list(maps), metric="average-increase", targets=targets)
    ]
    assert drops == pytest.approx(100 * DropInConfidence()(*arguments) / before, abs=1e-3)
    assert increases == pytest.approx(100 * IncreaseInConfidence()(*arguments))
