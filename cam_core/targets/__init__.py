"""Targets: what is explained of a network's output, where that is not the logit of one class.

    explain(clf, image, target=Difference("tabby", "tiger cat"))      # why a tabby and not a tiger cat?
    explain(clf, image, target="tabby - tiger cat")                   # the same

Each is one number per image, made of the logits, or of what else the network returns. `asking` puts it behind the
network, so that whatever explains a class explains it too.
"""

from cam_core.targets.detection import BestDetections, Detection
from cam_core.targets.reading import read_target as read_target
from cam_core.targets.scores import (
    Custom,
    Difference,
    Negative,
    Probability,
    Similarity,
    Sum,
    TargetScore,
    Value,
)
from cam_core.targets.segmentation import MaskMean, mean_scores

__all__ = [
    "BestDetections",
    "Custom",
    "Detection",
    "Difference",
    "MaskMean",
    "Negative",
    "Probability",
    "Similarity",
    "Sum",
    "TargetScore",
    "Value",
    "mean_scores",
]
