"""What methods will cost at a layer before they are run: passes as they plan them, seconds as passes take here.

costs = method_costs(clf, "blocks.4", pace_at(clf, "blocks.4"))
costs["score-cam"].passes, costs["score-cam"].seconds
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from cam_core.explain import last_per_resolution
from cam_core.methods import METHODS
from cam_core.methods.registry import Planned, Site
from cam_core.models.classifier import Classifier
from cam_core.models.devices import wait_for
from cam_core.models.split.halves import Halves
from cam_core.models.tails import is_pooled_linear

_BACK: Final = 2  # a pass back computes a gradient for the activations and one for what they came from


@dataclass(frozen=True)
class Pace:
    """Seconds that one image takes through each half of a cut network."""

    head: float
    tail: float

    def seconds(self, planned: Planned) -> float:
        """How long planned passes will take, about: those back twice as long as those forward."""
        head = planned.head + _BACK * planned.backward.head
        tail = planned.tail + _BACK * planned.backward.tail
        return head * self.head + tail * self.tail


@dataclass(frozen=True)
class Cost:
    """The cost of a method beside the pass that predicts.

    Attributes:
        passes: images pushed through the network, or through the part behind the layer alone.
        seconds: on the device, about.
    """

    passes: int
    seconds: float


def pace_at(clf: Classifier, layer: str) -> Pace:
    """The pace of one image through the halves at a layer, measured now; costs two passes of the network."""
    net = clf.split(layer)
    image = torch.zeros(1, *clf.input_shape, device=clf.device)
    with torch.no_grad():
        acts = net.head(image)  # the first pass prepares what later ones find
        net.tail(acts)
        return Pace(_timed(clf, lambda: net.head(image)), _timed(clf, lambda: net.tail(acts)))


def method_costs(clf: Classifier, layer: str, pace: Pace) -> dict[str, Cost]:
    """The cost of every method with its default parameters at that layer, by key."""
    site = _site(clf, layer)
    return {key: _cost(method.planned(site, method.validate({})), pace) for key, method in METHODS.items()}


def _site(clf: Classifier, layer: str) -> Site:
    info = next(entry for entry in clf.layers if entry.name == layer)
    layers = len(last_per_resolution(clf))
    halves = clf.split(layer).halves
    return Site(info.channels, info.height * info.width, layers, is_pooled_linear(halves), _skipped(halves))


def _skipped(halves: Halves) -> bool:
    """Whether the tail takes more than the activations; one that was not traced takes the image."""
    graph = halves.tail_graph
    return graph is None or sum(node.op == "placeholder" for node in graph.graph.nodes) > 1


def _cost(planned: Planned, pace: Pace) -> Cost:
    return Cost(max(planned.head, planned.tail), pace.seconds(planned))


def _timed(clf: Classifier, work: Callable[[], object]) -> float:
    wait_for(clf.device)
    started = time.perf_counter()
    work()
    wait_for(clf.device)
    return time.perf_counter() - started
