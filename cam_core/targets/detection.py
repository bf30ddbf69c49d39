"""Targets for detectors as torchvision has them: the score of one detection.

    clf = Classifier(detector, labels, mean=(0, 0, 0), std=(1, 1, 1), default_layer="backbone.body.layer4",
                     logits=BestDetections(len(labels)))
    explain(clf, image, target=Detection("cat", (12, 30, 96, 170)))

A detector proposes boxes, scores them, and drops those that others cover or that score too low. Which boxes there are
depends on the image, so `torch.fx` cannot follow it: every pass, also behind the layer, is one of the whole network.
The score of a box that stays is differentiable, but for where the box lies: torchvision cuts that gradient off. That a
box goes is a step, over which no gradient sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cam_core.models.brought.answers import Choose
from cam_core.targets.scores import Class, Find, LinearScore
from cam_core.types import Logits, TargetError

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge, in pixels of the frame that the network sees."""


@dataclass(frozen=True)
class BestDetections:
    """Detections → (B, classes): the highest score among the detections of each class, 0 where there is none.

    Scores and no logits: whether a class is there is one question each, and their softmax says nothing.
    """

    classes: int

    def __call__(self, output: Any) -> Logits:
        return torch.stack([self._best(*_parts(each)[1:]) for each in _images(output)])

    def _best(self, labels: Tensor, scores: Tensor) -> Tensor:
        return torch.stack([_highest(scores[labels == index], scores) for index in range(self.classes)])


@dataclass(frozen=True)
class Detection(LinearScore):
    """The score of one detection: why is a cat seen there?

    Of the network's detections of that class, the one whose box overlaps most with `box` is meant. Where none does, by
    an intersection over union of `overlap`, the detection is gone, and its score is 0: so it is, for masked images.

    Attributes:
        box: of the reference detection, as the network gave it.
    """

    quantity = "score"
    unit = "units of the score"
    is_probability = True
    of: Class
    box: Box
    overlap: float = 0.5

    def resolved(self, find: Find) -> Detection:
        left, upper, right, lower = self.box
        if not (left < right and upper < lower):
            raise TargetError(f"a box is (left, upper, right, lower), and {self.box} has no area")
        if not 0 < self.overlap <= 1:
            raise TargetError(f"overlap={self.overlap:g} must be above 0, and 1 at most")
        return Detection(find(self.of), (float(left), float(upper), float(right), float(lower)), self.overlap)

    @property
    def text(self) -> str:
        return f"box {', '.join(f'{edge:g}' for edge in self.box)}: {self.of}"

    def title(self, labels: Sequence[str]) -> str:
        return f"{labels[int(self.of)]} in the box"

    def weights(self) -> Mapping[int, float]:
        return {1: 1.0}

    @property
    def choose(self) -> Choose:
        return _ScoreOf(int(self.of), self.box, self.overlap)


@dataclass(frozen=True)
class _ScoreOf:
    """Detections → (B, 2): nothing, and the score of the detection that is meant."""

    label: int
    box: Box
    overlap: float

    def __call__(self, output: Any) -> Logits:
        scores = torch.stack([self._score(*_parts(each)) for each in _images(output)])
        return torch.stack([torch.zeros_like(scores), scores], 1)

    def _score(self, boxes: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
        overlaps = _overlaps(boxes.detach(), boxes.new_tensor(self.box)) * (labels == self.label)
        meant = overlaps >= max(self.overlap, float(overlaps.max())) if len(overlaps) else labels.bool()
        return _highest(scores[meant], scores)


def _highest(some: Tensor, scores: Tensor) -> Tensor:
    """The highest of some of the scores; without any a 0 that has a gradient, of 0."""
    return some.max() if len(some) else 0 * scores.sum()


def _overlaps(boxes: Tensor, box: Tensor) -> Tensor:
    """(n, 4), (4,) → (n,): intersection over union."""
    sides = (torch.minimum(boxes[:, 2:], box[2:]) - torch.maximum(boxes[:, :2], box[:2])).clamp(min=0)
    shared = sides.prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / (areas + (box[2:] - box[:2]).prod() - shared)


def _images(output: Any) -> Sequence[Any]:
    if isinstance(output, list | tuple) and all(isinstance(each, Mapping) for each in output):
        return output
    raise TargetError(f"detections are one mapping per image, and the network returns {type(output).__name__}")


def _parts(detections: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (n, 4), labels (n,) and scores (n,)."""
    try:
        return detections["boxes"], detections["labels"], detections["scores"]
    except KeyError as missing:
        raise TargetError(
            f"detections have boxes, labels and scores, and the network returns {', '.join(detections)}"
        ) from missing
