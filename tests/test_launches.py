"""What a method asks of the device: operators launched, and values waited for.

Counted on the CPU, where every operator passes the same dispatcher. A loop over samples, channels or points that
launches something in each of its turns, or reads a value from the device there, is what the bounds are for.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cam_core import METHODS, explain
from cam_core.metrics.curves.points import curve_points
from cam_core.shapley import ESTIMATORS, channel_shap
from tests.tiny import TINY, tiny_classifier, tiny_images

IMAGE = tiny_images(1)[0]
NETWORK, LAYER = "residual", "stem"


class Launches(TorchDispatchMode):
    """Operators by name, while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        self.by_name[func._schema.name.removeprefix("aten::")] += 1
        return func(*args, **(kwargs or {}))

    @property
    def operators(self) -> int:
        return sum(self.by_name.values())

    @property
    def waits(self) -> int:
        """How often a value was read on its own: a GPU has to finish all its work for each."""
        return self.by_name["_local_scalar_dense"]


def launches(method: str, network: str = NETWORK, layer: str = LAYER, **params: Any) -> Launches:
    clf = tiny_classifier(network)
    layers = list(TINY[network].layers) if METHODS[method].multi_layer else layer
    explain(clf, IMAGE, method=method, layer=layers, target=1, **params)  # what is made once is made
    with Launches() as counted:
        explain(clf, IMAGE, method=method, layer=layers, target=1, **params)
    return counted


# Most operators and waits for values, of one explanation of one image: those of a method of one forward and backward
# pass, and where more is needed. The network has some 20 operators, its tail a dozen.
MOST = (200, 8)
MORE: dict[str, tuple[int, int]] = {
    "smooth-grad-cam++": (350, 8),  # four whole passes forward and backward
    "refine-cam": (350, 8),  # three layers
    "lift-cam": (200, 10),
    "lrp-cam": (220, 12),
    "ss-cam": (500, 8),  # every mask's noise has a stream of random numbers of its own
    "owen-cam": (550, 16),  # four sweeps over q
    "shap": (250, 14),
    "shap-cam": (3200, 14),  # fifty orders and their reverses, each a batch
    "opti-cam": (16000, 220),  # a hundred steps, each with a forward and a backward pass, and its objective is watched
}
ELSEWHERE = {"cam": ("plain", "features.3"), "lfi-cam": ("lfi", "attended"), "lrp-cam": ("plain", "features.1")}


@pytest.mark.parametrize("method", METHODS)
def test_operators_and_waits_of_every_method(method: str) -> None:
    counted = launches(method, *ELSEWHERE.get(method, (NETWORK, LAYER)))
    operators, waits = MORE.get(method, MOST)
    assert counted.operators <= operators, counted.by_name.most_common(8)
    assert counted.waits <= waits


@pytest.mark.parametrize(
    ("method", "few", "many"),
    [
        ("lime-cam", {"samples": 20}, {"samples": 400}),
        ("ss-cam", {"samples": 2}, {"samples": 12}),
        ("is-cam", {"steps": 2}, {"steps": 20}),
        ("shap-cam", {"permutations": 4}, {"permutations": 12}),
        ("owen-cam", {"budget": 32}, {"budget": 64}),
    ],
)
def test_more_samples_are_no_more_waits(method: str, few: dict[str, int], many: dict[str, int]) -> None:
    assert launches(method, **many).waits <= launches(method, **few).waits


def test_lime_launches_as_much_for_many_samples_as_for_few() -> None:
    """All of them fit into one batch."""
    assert launches("lime-cam", samples=400).operators == launches("lime-cam", samples=20).operators


@pytest.mark.parametrize("method", ["score-cam", "ablation-cam", "is-cam", "lime-cam"])
def test_more_channels_are_no_more_operators(method: str) -> None:
    """24 channels fit into one batch as 8 do."""
    assert launches(method, "dense", "norm").waits <= 8
    module = tiny_classifier("dense").module
    assert isinstance(module.norm, torch.nn.BatchNorm2d) and len(module.norm.weight) > 8
    assert launches(method, "dense", "norm").operators <= launches(method, "dense", "conv2").operators + 40


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_waits_no_more_often_for_a_larger_budget(estimator: str) -> None:
    def waits(budget: int) -> int:
        with Launches() as counted:
            channel_shap(tiny_classifier(NETWORK), IMAGE, layer=LAYER, target=1, estimator=estimator, budget=budget)
        return counted.waits

    assert waits(250) == waits(40)


def test_points_of_a_curve_are_not_fetched_one_by_one() -> None:
    clf = tiny_classifier(NETWORK)
    saliency = explain(clf, IMAGE, method="grad-cam", target=1).saliency

    def counted(steps: int) -> Launches:
        with Launches() as counted:
            assert len(list(curve_points(clf, IMAGE, {"map": saliency}, target=1, steps=steps))) == steps + 1
        return counted

    few, many = counted(32), counted(256)
    assert many.waits == few.waits
    assert many.operators <= few.operators + 100, "batches, not points"
