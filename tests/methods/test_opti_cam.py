"""Opti-CAM over several images: together as each alone, also where their searches end at different steps."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cam_core import METHODS, Classifier, explain, explain_batch
from tests.methods.by_hand import IMAGE, Identity, pooled
from tests.tiny import tiny_classifier, tiny_images

# The function of the same name hides the module.
explaining = sys.modules["cam_core.explain"]

CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "too fast": {"learning_rate": 3.0},
    "best": {"learning_rate": 3.0, "keep": "best"},
    "to the end": {"learning_rate": 3.0, "early_stop": False},
    "difference": {"objective": "difference", "mask_space": "normalized"},
}


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several images at once."""
    monkeypatch.setattr(explaining, "images_at_once", lambda method, device: method.at_once)


def assert_as_alone(clf: Classifier, images: list[Tensor], **params: Any) -> list[int]:
    """The number of steps that each image took."""
    together = explain_batch(clf, images, method="opti-cam", **params)
    for image, found in zip(images, together, strict=True):
        alone = explain(clf, image, method="opti-cam", **params)
        assert (found.passes, found.warnings) == (alone.passes, alone.warnings)
        for name in ("saliency", "map", "coefficients"):
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), atol=1e-5)
        np.testing.assert_allclose(found.extras["trace"], alone.extras["trace"], rtol=1e-5, atol=1e-5)
    return [len(found.extras["trace"]) for found in together]


@pytest.mark.parametrize("case", CASES)
def test_together_as_alone(case: str) -> None:
    steps = assert_as_alone(tiny_classifier("residual"), list(tiny_images(11)), steps=20, **CASES[case])
    assert METHODS["opti-cam"].at_once < len(steps), "more images than go together"
    assert case != "too fast" or len(set(steps)) > 1, "some stop before others"


def test_an_image_without_anything_to_weigh_stands_beside_others() -> None:
    clf = Classifier(
        Identity(pooled()), input_size=(2, 2), mean=(0, 0, 0), std=(1, 1, 1), default_layer="features", device="cpu"
    )
    assert assert_as_alone(clf, [IMAGE, torch.ones(3, 2, 2), 2 * IMAGE], steps=5) == [5, 0, 5]
