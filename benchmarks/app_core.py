"""The core's part of what the app does, called as the app calls it, in the benchmark's own process.

Each function prepares what the page would have by then, and returns what is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from PIL import Image

from cam_core import METHODS, METRICS, Classifier, Explanation, explain, load_model
from cam_core.analysis.channels import largest
from cam_core.images import sample
from cam_core.metrics import evaluate_many
from cam_core.metrics.curves.frames import Film
from cam_core.metrics.curves.perturbation import KINDS
from cam_core.metrics.curves.points import curve_points
from cam_core.metrics.curves.spread import random_control
from cam_core.models.tails import nonlinear_layer
from cam_core.overlay import SEQUENTIAL, close_up, display_values, limits, overlay, shaded
from cam_core.shapley import ChannelEstimate, remove_channels, stream_channel_shap

NETWORK: Final = "efficientnet_lite0"
FIRST_METHODS: Final = ("grad-cam", "lift-cam")
FRAME_SIDE: Final = 448
CHANNEL_SIDE: Final = 352
CURVE_SETTINGS: Final = {"baseline": "zero", "score": "probability"}
"""Deletion's settings as the page opens: both kinds of curve between the photo and grey."""
"""Pixels of the longer side of the app’s pictures."""

_REGIONS: Final = {"region", "other_region"}  # what a metric may need and no page has

Job = Callable[[], dict[str, float] | None]
"""What is timed. It may return seconds until something on its way, by name."""


@dataclass(frozen=True)
class Core:
    """A classifier and what is explained."""

    clf: Classifier
    photo: str
    seed: int
    layer: str = ""

    def image(self) -> Image.Image:
        return sample(self.photo).open()

    def explained(self, method: str, **params: Any) -> Explanation:
        """One method's map of the most probable class."""
        return self._explain(method, self.image(), self._target(), params)

    def _target(self) -> int:
        return self.clf.predict(self.image(), top=1)[0].index

    def _explain(self, method: str, image: Image.Image, target: int, params: dict[str, Any]) -> Explanation:
        layer = None if METHODS[method].multi_layer else self.layer or None
        return explain(
            self.clf, image, method=method, layer=layer, target=target, seed=self.seed, precision="float32", **params
        )

    def one_method(self, method: str, **params: Any) -> Job:
        """A method is added to those that are there."""
        image, target = self.image(), self._target()
        self.clf.split(self.layer or None, "float32")  # as in the app, the cut is there before the first method
        return lambda: _done(self._explain(method, image, target, params))

    def first_sight(self) -> Job:
        """A photo that is new: predicted, and explained by the methods that are shown first."""
        return lambda: _done(self._first_sight(self.clf))

    def cold_sight(self) -> Job:
        """The same by a network that is loaded first."""
        return lambda: _done(self._first_sight(load_model(NETWORK)))

    def _first_sight(self, clf: Classifier) -> list[Explanation]:
        image = self.image()
        target = clf.predict(image, top=None)[0].index
        return [replace(self, clf=clf)._explain(method, image, target, {}) for method in FIRST_METHODS]

    def shapley(self, budget: int) -> Job:
        """Owen's estimate at the layer where the page opens."""
        image, target, layer = self.image(), self._target(), nonlinear_layer(self.clf)
        self.clf.split(layer, "float32")
        return lambda: _done(self._estimates(image, target, layer, budget))

    def _estimates(self, image: Image.Image, target: int, layer: str, budget: int) -> list[ChannelEstimate]:
        stream = stream_channel_shap(
            self.clf, image, layer=layer, target=target, estimator="owen", budget=budget, seed=self.seed
        )
        return list(stream)

    def channel_map(self, budget: int, place: int) -> Job:
        """The picture of another channel's activation."""
        estimate = self._estimates(self.image(), self._target(), nonlinear_layer(self.clf), budget)[-1]
        frame, channel = self._frame(CHANNEL_SIDE), largest(estimate.phi, place + 1)[place]

        def draw() -> None:
            raw = estimate.activations[0, channel].float().numpy()
            shaded(frame, display_values(raw, (frame.height, frame.width), signed=True))

        return draw

    def overlays(self, opacity: float) -> Job:
        """The pictures of the first methods at another opacity."""
        frame, explanations = self._frame(), [self.explained(method) for method in FIRST_METHODS]

        def draw() -> None:
            for explanation in explanations:
                values = display_values(explanation.map, (frame.height, frame.width))
                overlay(frame, values, opacity, SEQUENTIAL[0], limits([values]))

        return draw

    def _frame(self, side: int = FRAME_SIDE) -> Image.Image:
        image = self.image()
        return close_up(image, self.clf.preprocessing.box(image.size), side)

    def frames(self, steps: int, fraction: float) -> Job:
        """The photos that the curves look at at another fraction."""
        maps = dict(list(self._maps().items())[: len(FIRST_METHODS) + 1])
        film = Film(self.clf, self.image(), maps, kinds=KINDS, seed=self.seed, steps=steps, **CURVE_SETTINGS)
        film.at(0.2)  # what fractions share is there by then
        return lambda: _done(film.at(fraction))

    def curves(self, steps: int) -> Job:
        """All curves of the page, those of the random control included; and the first point that is computed."""
        image, maps = self.image(), self._maps()
        untouched = len(maps) * len(KINDS)  # points that come first, of the photo as it is

        def draw() -> dict[str, float]:
            started = time.perf_counter()
            points = curve_points(
                self.clf,
                image,
                maps,
                kinds=KINDS,
                seed=self.seed,
                precision="float32",
                steps=steps,
                **CURVE_SETTINGS,
            )
            for number, _ in enumerate(points):
                if number == untouched:
                    first = time.perf_counter() - started
            return {"first point": first}

        return draw

    def metrics(self) -> Job:
        """The quick metrics of the first methods’ maps and of one random map."""
        image, maps = self.image(), list(self._maps().values())[: len(FIRST_METHODS) + 1]
        quick = [key for key, metric in METRICS.items() if not metric.expensive and not _REGIONS & set(metric.needs)]
        return lambda: _done([list(evaluate_many(self.clf, image, made, metrics=quick)) for made in maps])

    def removal(self, count: int) -> Job:
        """So many channels taken away, one after the other."""
        image, target, layer = self.image(), self._target(), nonlinear_layer(self.clf)
        return lambda: _done(remove_channels(self.clf, image, layer=layer, target=target, order=list(range(count))))

    def _maps(self) -> dict[str, Explanation]:
        own = {method: self.explained(method) for method in FIRST_METHODS}
        return own | random_control(self.clf, self.image(), None, self._target(), seed=self.seed)


def _done(result: object) -> None:
    """What was computed is of no interest."""
