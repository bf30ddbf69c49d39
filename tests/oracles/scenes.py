"""What the oracles look at: four real architectures with seeded, calibrated weights, one photo, one class each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cam_core import Classifier, Explanation, explain, load_model
from cam_core.images import load_image, sample
from tests import literal

NETWORKS = ("resnet18", "vgg11", "mobilenet_v3_large", "densenet121")

# One late layer and one early layer of each. The late layer of DenseNet is overwritten by an in-place ReLU behind it,
# and, like MobileNet's hard-swish, it has negative values.
LATE = {
    "resnet18": "layer4",
    "vgg11": "features.19",
    "mobilenet_v3_large": "features.16",
    "densenet121": "features",
}
EARLY = {
    "resnet18": "layer1",
    "vgg11": "features.1",
    "mobilenet_v3_large": "features.6",
    "densenet121": "features.relu0",
}
PHOTO = "chelsea"
SEED = 0


def large_ones_slow(*large: str) -> list[Any]:
    """All four networks as parameters, those named marked slow."""
    return [pytest.param(network, marks=[pytest.mark.slow] if network in large else []) for network in NETWORKS]


def layers_of_all() -> list[Any]:
    """(network, layer) of the late and the early layer of all four; the early ones of the large networks slow."""
    late = [pytest.param(network, LATE[network]) for network in NETWORKS]
    slow = {"vgg11": [pytest.mark.slow], "densenet121": [pytest.mark.slow]}
    return late + [pytest.param(network, EARLY[network], marks=slow.get(network, [])) for network in NETWORKS]


@dataclass(frozen=True)
class Scene:
    """One image seen by one network at one layer.

    Attributes:
        x: (1, 3, H, W), normalised, float32.
        net: the float64 copy, one for all scenes of a network; peers run on it too, so that formulas are compared and
            not roundings.
        target: the explained class.
    """

    clf: Classifier
    layer: str
    x: Tensor
    net: literal.Hooked
    target: int

    @property
    def size(self) -> tuple[int, int]:
        return (self.x.shape[-2], self.x.shape[-1])

    def explain(self, method: str, precision: str = "float64", **params: object) -> Explanation:
        """The product's answer."""
        return explain(
            self.clf, self.x[0], method=method, layer=self.layer, target=self.target, precision=precision, **params
        )


Formula = Callable[[Scene], literal.LiteralMap]


@lru_cache(maxsize=1)  # VGG in float64 takes a gigabyte: one network at a time
def network_of(name: str) -> tuple[Classifier, literal.Hooked]:
    clf = load_model(name, weights="random", seed=SEED, device="cpu")
    return clf, literal.Hooked(clf.module, LATE[name])


@lru_cache(maxsize=2)
def scene(name: str, layer: str, size: int) -> Scene:
    """The photo, reduced to `size` pixels a side, before one layer of one network."""
    clf, net = network_of(name)
    full = clf.preprocess(load_image(sample(PHOTO).path))[None]
    x = functional.interpolate(full, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return Scene(clf, layer, x, net.at(layer), int(net.logits(x).argmax()))


def visible(view: Scene, formula: Formula) -> tuple[Scene, literal.LiteralMap]:
    """The scene with the most probable class whose map by this formula is not zero, and that map."""
    logits = view.net.logits(view.x)[0]
    for target in logits.argsort(descending=True)[:20].tolist():
        candidate = replace(view, target=target)
        expected = formula(candidate)
        if logits[target] > 0 and expected.map.max() > 0.1 * expected.map.abs().max():
            return candidate, expected
    raise AssertionError("every map is zero: choose another photo or seed")


def deviation(found: npt.ArrayLike | Tensor, expected: npt.ArrayLike | Tensor) -> float:
    """The largest difference, relative to the largest expected value."""
    ours, theirs = (np.asarray(torch.as_tensor(a).detach().cpu(), dtype=np.float64) for a in (found, expected))
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
