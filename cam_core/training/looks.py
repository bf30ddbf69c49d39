"""The answers of a trained network, and where it looks: for whoever sets several networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from cam_core import maps
from cam_core.explain import explain
from cam_core.models.classifier import Classifier, Prediction
from cam_core.models.trainable.baseline import Baseline
from cam_core.types import FloatArray

POST_HOC = "grad-cam"
"""The method that stands in for the attention that a network does not have."""


@dataclass(frozen=True)
class Look:
    """One network on one image.

    Attributes:
        prediction: its most probable class.
        map: (h, w), not negative: its attention, or Grad-CAM of the predicted class where it has none.
        attention: whether the map is the network's own.
    """

    prediction: Prediction
    map: FloatArray
    attention: bool


def looks(clf: Classifier, images: Sequence[Image.Image]) -> list[Look]:
    """One look per image, each as if it were alone."""
    return [_look(clf, image) for image in images]


def _look(clf: Classifier, image: Image.Image) -> Look:
    (prediction,) = clf.predict(image, top=1)
    attention = _attention(clf, image)
    if attention is not None:
        return Look(prediction, attention, True)
    explanation = explain(clf, image, method=POST_HOC, target=prediction.index)
    return Look(prediction, explanation.map.clip(0), False)


def _attention(clf: Classifier, image: Image.Image) -> FloatArray | None:
    if not isinstance(clf.module, Baseline):
        return None
    with torch.no_grad():
        attention = clf.module.attention(clf.preprocess(image)[None])
    return None if attention is None else attention[0].float().numpy()


def share_on_object(map: FloatArray, mask: npt.NDArray[np.bool_]) -> float:
    """The share of the energy of a map (h, w) on the object (H, W), between whose pixels it is interpolated.

    0 for a map of zeros.
    """
    spread = maps.upsample(torch.from_numpy(map)[None], mask.shape)[0].numpy()
    whole = float(spread.sum())
    return float(spread[mask].sum()) / whole if whole > 0 else 0.0
