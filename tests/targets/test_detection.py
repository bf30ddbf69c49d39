"""One detection of a detector: matched by loops, its gradient by finite differences in float64."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from cam_core import Classifier, explain
from cam_core.shapley import channel_shap
from cam_core.targets import BestDetections, Detection
from cam_core.types import ModelError, TargetError, UnsupportedOperation
from tests.tiny import tiny_images

SIZE = (64, 64)
LABELS = ["nothing", "cat", "dog"]
LAYER = "backbone"
IMAGE = functional.interpolate(tiny_images(1), SIZE, mode="bilinear").sigmoid()


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6 * 9, 12)

    def forward(self, regions: Tensor) -> Tensor:
        return self.linear(regions.flatten(1)).tanh()


class Predictor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(12, len(LABELS))
        nn.init.normal_(self.scores.weight, std=0.5)
        nn.init.zeros_(self.scores.bias)
        self.boxes = nn.Linear(12, 4 * len(LABELS))

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        return self.scores(regions), self.boxes(regions) / 9


def tiny_detector() -> FasterRCNN:
    torch.manual_seed(3)
    backbone = nn.Sequential(nn.Conv2d(3, 6, 5, stride=8, padding=2), nn.Tanh())
    backbone.out_channels = 6  # type: ignore[assignment]
    detector = FasterRCNN(
        backbone,
        min_size=64,
        max_size=64,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
        rpn_anchor_generator=AnchorGenerator(((12, 24, 40),), ((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 3, 2),
        box_head=Head(),
        box_predictor=Predictor(),
        box_detections_per_img=40,
    )
    # Proposals that stay where they are: torchvision cuts the gradient by their places off, small steps would see it.
    nn.init.zeros_(detector.rpn.head.bbox_pred.weight)
    return detector.eval()


@pytest.fixture(scope="module")
def detector() -> FasterRCNN:
    return tiny_detector()


@pytest.fixture(scope="module")
def clf(detector: FasterRCNN) -> Classifier:
    plain = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    return Classifier(detector, LABELS, SIZE, **plain, default_layer=LAYER, logits=BestDetections(len(LABELS)))


def found(detector: nn.Module, image: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        detections: dict[str, Tensor] = detector([image[0]])[0]
    return detections


def overlap(one: list[float], other: list[float]) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def matched(detections: dict[str, Tensor], label: int, box: tuple[float, ...], least: float) -> float:
    """The score of the detection of that class that overlaps most, one by one; 0 where none overlaps enough."""
    best, score = 0.0, 0.0
    for other, its_label, its_score in zip(*(detections[part].tolist() for part in ("boxes", "labels", "scores")),
                                           strict=True):  # fmt: skip
        shared = overlap(list(box), other)
        if its_label == label and shared >= least and shared > best:
            best, score = shared, its_score
    return score


def reference(detector: nn.Module, place: int = 1) -> tuple[int, tuple[float, float, float, float]]:
    """The class and the box of one of the detections."""
    detections = found(detector, IMAGE)
    left, upper, right, lower = detections["boxes"][place].tolist()
    return int(detections["labels"][place]), (left, upper, right, lower)


def test_the_detector_of_these_tests_finds_several_things(detector: FasterRCNN) -> None:
    detections = found(detector, IMAGE)
    assert len(detections["scores"]) > 4 and len(set(detections["labels"].tolist())) == 2


def test_score_is_that_of_the_detection_with_that_class_and_box(detector: FasterRCNN, clf: Classifier) -> None:
    detections = found(detector, IMAGE)
    for place in range(4):
        label, box = reference(detector, place)
        made = explain(clf, IMAGE, method="grad-cam", layer=LAYER, target=Detection(LABELS[label], box))
        assert made.score == made.probability == pytest.approx(float(detections["scores"][place]), abs=1e-5)
        assert made.label == f"{LABELS[label]} in the box"
        moved = (box[0] + 1.5, box[1] - 1.0, box[2], box[3] + 2.0)
        for least in (0.3, 0.8):
            target = Detection(label, moved, overlap=least)
            made = explain(clf, IMAGE, method="grad-cam", layer=LAYER, target=target)
            assert made.score == pytest.approx(matched(detections, label, moved, least), abs=1e-5)


def test_where_nothing_is_the_score_is_zero_and_so_is_the_map(clf: Classifier) -> None:
    made = explain(clf, IMAGE, method="grad-cam", layer=LAYER, target=Detection("cat", (0, 0, 1.5, 64), overlap=0.9))
    assert made.score == 0 and not made.map.any()


def shifted(detector: nn.Module, score: Callable[[dict[str, Tensor]], float], channel: int, by: float) -> float:
    """The score in float64 with `by` added to one channel of the layer everywhere."""
    double = copy.deepcopy(detector).double()

    def add(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, channel] += by
        return output

    double.get_submodule(LAYER).register_forward_hook(add)
    return score(found(double, IMAGE.double()))


def test_gradient_is_that_of_the_score_in_small_steps(detector: FasterRCNN, clf: Classifier) -> None:
    """Grad-CAM's weight is the mean over the positions of ∂s/∂A_k: what a shift of the whole channel does, over h w."""
    label, box = reference(detector)
    made = explain(clf, IMAGE, method="grad-cam", layer=LAYER, target=Detection(label, box))
    step, positions = 1e-6, made.map.size

    def score(detections: dict[str, Tensor]) -> float:
        return matched(detections, label, box, 0.5)

    ends = [[shifted(detector, score, k, by) for by in (step, -step)] for k in range(6)]
    expected = [(up - down) / (2 * step) / positions for up, down in ends]
    assert max(map(abs, expected)) > 1e-4
    np.testing.assert_allclose(made.coefficients, expected, atol=2e-5 * max(map(abs, expected)) + 1e-7)


def test_every_pass_is_one_of_the_whole_network_and_that_is_said(detector: FasterRCNN, clf: Classifier) -> None:
    label, box = reference(detector)
    made = explain(clf, IMAGE, method="ablation-cam", layer=LAYER, target=Detection(label, box))
    assert any("cannot be traced" in warning for warning in made.warnings)
    zeroed = []
    for channel in range(6):

        def zero(_module: nn.Module, _inputs: Any, output: Tensor, channel: int = channel) -> Tensor:
            output = output.clone()
            output[:, channel] = 0
            return output

        handle = detector.get_submodule(LAYER).register_forward_hook(zero)
        zeroed.append(matched(found(detector, IMAGE), label, box, 0.5))
        handle.remove()
    assert made.coefficients is not None
    expected = [(made.score - without) / made.score for without in zeroed]
    np.testing.assert_allclose(made.coefficients, expected, atol=1e-4)


def test_rules_for_what_a_detector_does_are_lacked_and_shap_needs_none(detector: FasterRCNN, clf: Classifier) -> None:
    label, box = reference(detector)
    with pytest.raises(UnsupportedOperation):
        explain(clf, IMAGE, method="lift-cam", target=Detection(label, box))
    estimate = channel_shap(clf, IMAGE, target=Detection(label, box), estimator="exact", budget=64)
    assert float(estimate.phi.sum()) == pytest.approx(estimate.v_all - estimate.v_empty, abs=1e-6)
    assert estimate.v_all == pytest.approx(matched(found(detector, IMAGE), label, box, 0.5), abs=1e-5)


def test_a_class_is_its_best_detection(detector: FasterRCNN, clf: Classifier) -> None:
    detections = found(detector, IMAGE)
    expected = [0.0, 0.0, 0.0]
    for label, score in zip(detections["labels"].tolist(), detections["scores"].tolist(), strict=True):
        expected[label] = max(expected[label], score)
    assert clf.logits(IMAGE)[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_detection_is_plain_data() -> None:
    target = Detection("cat", (1, 2, 30, 40))
    assert pickle.loads(pickle.dumps(target)) == target and hash(target) == hash(Detection("cat", (1, 2, 30, 40)))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Detection("cat", (30, 2, 10, 40)), "has no area"),
        (Detection("cat", (1, 2, 30, 40), overlap=0), "overlap=0 must be above 0"),
        (Detection("cow", (1, 2, 30, 40)), "no class is called 'cow'"),
    ],
)
def test_what_is_no_detection_is_refused(clf: Classifier, target: Detection, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        explain(clf, IMAGE, layer=LAYER, target=target)


def test_what_returns_no_detections_is_refused() -> None:
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    with pytest.raises(ModelError, match="detections are one mapping per image, and the network returns Tensor"):
        explain(Classifier(flat, input_size=SIZE), IMAGE, layer="0", target=Detection(1, (1, 2, 30, 40)))
