"""Deletion and insertion: the class's score while pixels go or come in the order of a map. Points as they are computed.

curves = {}
for point in curve_points(clf, image, {"Grad-CAM": first, "LIFT-CAM": second}, kinds=("deletion", "insertion")):
    add_point(curves, point)            # stop at any time: what was computed stays
curves["Grad-CAM", "deletion"].auc
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core.declarations.parameters import validate
from cam_core.deprecated import formerly_positional
from cam_core.masked import class_score, image_rows
from cam_core.metrics.base import Values
from cam_core.metrics.curves.perturbation import (
    KINDS,
    Kind,
    Perturbation,
    Settings,
    curve_parameters,
    padded_baseline,
)
from cam_core.metrics.samples import Saliency, as_saliency, untouched
from cam_core.metrics.scoring import exactly
from cam_core.models.batching import batches
from cam_core.models.classifier import Classifier
from cam_core.models.split.compiled import CompiledHalves
from cam_core.models.split.model import SplitModel
from cam_core.notebooks.drawn import Drawn
from cam_core.options import Options
from cam_core.run import Run
from cam_core.targets.asking import Target, ask
from cam_core.types import Explanation, MetricError, Picture, Progress

ORDERS = ("sequential", "coarse-to-fine")

# Whoever waits for the device between two batches waits least at the beginning, when there is least to be seen.
_FIRST_BATCH = 4


@dataclass(frozen=True)
class CurvePoint:
    """Point `index` of the `total` of its curve: `fraction` of the pixels changed, `value` the class's score."""

    name: str
    kind: Kind
    index: int
    total: int
    fraction: float
    value: float


@dataclass
class Curve(Drawn):
    """As much of a curve as is known; it grows by `add`."""

    name: str
    kind: Kind
    total: int = 0
    points: dict[int, CurvePoint] = field(default_factory=dict)

    def add(self, point: CurvePoint) -> None:
        """Take in one point, in any order."""
        self.total = point.total
        self.points[point.index] = point

    @property
    def complete(self) -> bool:
        """Whether every point is there."""
        return bool(self.points) and len(self.points) == self.total

    @property
    def fractions(self) -> Values:
        """(n,) of the known points, ascending."""
        return np.array([self.points[i].fraction for i in sorted(self.points)])

    @property
    def values(self) -> Values:
        """(n,) of the known points, by ascending fraction."""
        return np.array([self.points[i].value for i in sorted(self.points)])

    def snapshot(self) -> Curve:
        """As it is now: another thread may go on adding points to this one."""
        return replace(self, points=dict(self.points))

    @property
    def auc(self) -> float:
        """Area under the known points by the trapezoid rule, NaN before the second; final once `complete`."""
        return float(np.trapezoid(self.values, self.fractions)) if len(self.points) > 1 else float("nan")


Curves = dict[tuple[str, Kind], Curve]


def add_point(curves: Curves, point: CurvePoint) -> None:
    """Add a point to its curve, which is begun where it is the first."""
    curves.setdefault((point.name, point.kind), Curve(point.name, point.kind)).add(point)


@formerly_positional("kinds", "target")
def curve_points(
    clf: Classifier,
    image: Image.Image | Tensor,
    saliencies: Mapping[str, Saliency],
    *,
    kinds: Sequence[Kind] = ("deletion",),
    target: Target = None,
    order: str = "coarse-to-fine",
    known: Curves | None = None,
    seed: int = 0,
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress | None = None,
    **params: Any,
) -> Iterator[CurvePoint]:
    """Points of the curves of several maps of one image, all curves growing together.

    Ends first: one pass gives what all curves share, the untouched image, and one more per kind its baseline.

    Args:
        saliencies: maps (H, W) in [0, 1], or explanations, by name.
        kinds: "deletion", "insertion" or both.
        target: class index or label, or another target (see `explain`), whose curve follows its own value; where
            omitted that of the first explanation, or the most probable class.
        order: "coarse-to-fine" halves the gaps again and again, "sequential" goes from left to right; the points are
            the same.
        known: curves that were begun before, with the same arguments: their points are not computed again.
        compiled: compile the network first, which takes up to a minute: pays where thousands of points follow.
        params: steps, baseline, blur_sigma, mask_space, score: see `curve_parameters`. A baseline that is not named is
            the kind's own.
    Raises:
        MetricError: an unknown parameter, kind or order, or a map that is none; raised at the first point.
    """
    if order not in ORDERS:
        raise MetricError(f"unknown order {order!r}; there are: {', '.join(ORDERS)}")
    all_settings = [curve_settings(kind, **params) for kind in kinds]
    options = Options(seed, precision, compiled, progress)
    clf, asked_class = ask(clf, explained_target(saliencies) if target is None else target)
    seen = untouched(clf, [image], [asked_class], precision)
    run = Run.of(clf, options)
    lines = [
        _Line(name, way)
        for settings in all_settings
        for name, way in perturbations(seen.images[0], saliencies, settings, run, clf.picture(image)).items()
    ]
    if lines:
        score = float(class_score(seen.logits, seen.target, all_settings[0].score))
        yield from (line.point(line.untouched, score) for line in lines)
        todo = _missing(_jobs(lines, order), known or {})
        yield from _grow(clf.split(None, precision, compiled=compiled), todo, int(seen.target), run)


def explained_target(saliencies: Mapping[str, Saliency]) -> int | str | None:
    """The class or other target that the first explanation among the maps explains; None if all are bare arrays."""
    return next((s.target for s in saliencies.values() if isinstance(s, Explanation)), None)


def curve_settings(kind: Kind, **params: Any) -> Settings:
    """The checked settings of one kind of curve, defaults filled in.

    Raises:
        MetricError: an unknown kind or parameter, or a wrong value.
    """
    if kind not in KINDS:
        raise MetricError(f"unknown kind of curve {kind!r}; there are: {', '.join(KINDS)}")
    return Settings(kind=kind, **validate(f"the {kind} curve", curve_parameters(kind), params, MetricError))


AXIS_OF_KIND: Final[Mapping[Kind, str]] = MappingProxyType({"deletion": "pixels removed", "insertion": "pixels shown"})
"""The quantity that a curve runs along."""

AXIS_OF_SCORE: Final[Mapping[str, str]] = MappingProxyType(
    {"probability": "probability of the class", "logit": "logit", "value": "value of the target"}
)
"""The quantity that it follows there."""


def perturbations(
    image: Tensor, saliencies: Mapping[str, Saliency], settings: Settings, run: Run, picture: Picture | None = None
) -> dict[str, Perturbation]:
    """The way of each map through one image (channels, H, W), all to or from the same baseline.

    Args:
        picture: the part of the image that is no padding; all of it for None.
    """
    size = (image.shape[-2], image.shape[-1])
    baseline = padded_baseline(image, settings, run, picture)
    return {
        name: Perturbation(image, as_saliency(s, size), baseline, settings, picture) for name, s in saliencies.items()
    }


@dataclass(frozen=True)
class _Line:
    name: str
    way: Perturbation

    @property
    def untouched(self) -> int:
        """Index of the point at which the picture is the image itself."""
        return 0 if self.way.settings.kind == "deletion" else len(self.way.counts) - 1

    def point(self, index: int, value: float) -> CurvePoint:
        way = self.way
        return CurvePoint(self.name, way.settings.kind, index, len(way.counts), way.shares[index], value)


@dataclass(frozen=True)
class _Job:
    """One picture to be scored: point `index` of `line`, and of all `sharers`."""

    line: _Line
    index: int
    sharers: tuple[_Line, ...]


def _jobs(lines: Sequence[_Line], order: str) -> list[_Job]:
    """All points but the untouched ones: first those that share the baselines, then the insides of all lines."""
    by_kind: dict[Kind, list[_Line]] = {}
    for line in lines:
        by_kind.setdefault(line.way.settings.kind, []).append(line)
    ends = [_Job(same[0], len(same[0].way.counts) - 1 - same[0].untouched, tuple(same)) for same in by_kind.values()]
    inside = _inside(len(lines[0].way.counts) - 1, order)
    return ends + [_Job(line, index, (line,)) for index in inside for line in lines]


def _missing(jobs: Sequence[_Job], known: Curves) -> list[_Job]:
    """The jobs of which at least one curve does not have the point yet."""

    def has(line: _Line, index: int) -> bool:
        curve = known.get((line.name, line.way.settings.kind))
        return curve is not None and index in curve.points

    return [job for job in jobs if not all(has(line, job.index) for line in job.sharers)]


def _grow(net: SplitModel, jobs: Sequence[_Job], target: int, run: Run) -> Iterator[CurvePoint]:
    """The points of all jobs, batch by batch."""
    run.expect(len(jobs))
    if not jobs:
        return
    rows = image_rows(net, jobs[0].line.way.picture(0)[None])
    # Each size of batch would be compiled anew.
    first = None if isinstance(net.halves, CompiledHalves) else _FIRST_BATCH

    def score(start: int, stop: int) -> list[CurvePoint]:
        batch = jobs[start:stop]
        values = _score(net, batch, target)
        return [line.point(job.index, v) for job, v in zip(batch, values, strict=True) for line in job.sharers]

    for points in batches(score, len(jobs), rows, run.advance, first=first):
        yield from points


def _inside(last: int, order: str) -> list[int]:
    """1 … last − 1 in the order in which they are computed; coarse to fine takes the middle of every gap in turn."""
    if order == "sequential":
        return list(range(1, last))
    gaps, middles = [(0, last)], []
    for low, high in gaps:
        middle = (low + high) // 2
        if middle > low:
            middles.append(middle)
            gaps += [(low, middle), (middle, high)]
    return middles


def _score(net: SplitModel, batch: Sequence[_Job], target: int) -> list[float]:
    """The scores of one batch of pictures, which are made line by line and put back into the batch's order."""
    by_line: dict[_Line, list[int]] = {}
    for place, job in enumerate(batch):
        by_line.setdefault(job.line, []).append(place)
    places = [place for group in by_line.values() for place in group]
    pictures = torch.cat(
        [line.way.pictures(line.way.counts[[batch[p].index for p in group]]) for line, group in by_line.items()]
    )
    with torch.no_grad():
        scores = class_score(exactly(net.model(pictures)), target, batch[0].line.way.settings.score)
    return [value for _, value in sorted(zip(places, scores.tolist(), strict=True))]
