"""Deletion and insertion curves for the pages: which maps, how, and the job behind curves that grow.

sources = method_sources(questions, outcomes)
growing = curves(seen, sources, settings)      # begins the work, or takes it up where it was stopped
growing.snapshot()                             # as far as they are now, whatever becomes of the job
Views(seen, sources, settings).at(0.2)         # the pictures that are scored there
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from cam_core import METHODS, Explanation
from cam_core.methods import title_of
from cam_core.metrics.curves.frames import Film, Frames
from cam_core.metrics.curves.perturbation import DEFAULTS, Kind
from cam_core.metrics.curves.points import Curve, Curves, curve_points
from cam_core.metrics.curves.spread import CONTROL, control_name, control_seeds, is_control
from pages.runtime import compute, devices
from pages.runtime.compute import Question, Request, Task, digest
from pages.runtime.jobs import Job
from pages.runtime.limits import limits
from pages.shared.elsewhere.map_file import Theirs
from pages.shared.scene import Scene

_REPLACEMENTS: Final = {"zero": "grey", "mean": "the photo’s mean colour", "blur": "blur", "noise": "noise"}

_CONTROL = Request(CONTROL)

_FIRST_POINTS = 0.4  # seconds that the page waits for them: charts that are there at once shall show a line


@dataclass(frozen=True)
class Settings:
    """How curves are drawn. An empty `baseline` is each kind's own; an empty `score` is what is explained."""

    kinds: tuple[Kind, ...]
    steps: int
    baseline: str
    score: str

    @property
    def params(self) -> dict[str, Any]:
        """As the core takes them."""
        own = {"baseline": self.baseline, "score": self.score}
        return {"steps": self.steps} | {name: value for name, value in own.items() if value}

    def replacement(self, kind: Kind) -> str:
        """What stands in a removed pixel's place, in a word."""
        return _REPLACEMENTS[self.baseline or DEFAULTS[kind].baseline]


@dataclass(frozen=True)
class Source:
    """A map whose curves are drawn: what was asked, and the answer. `name` tells it from the others."""

    name: str
    question: Question
    request: Request
    explanation: Explanation

    @property
    def identity(self) -> tuple[object, ...]:
        """All that its curves depend on, apart from their settings."""
        return self.name, self.question, self.request


@dataclass(frozen=True)
class Growing:
    """Curves, and the job that goes on with them; None where they are complete."""

    curves: Curves
    job: Job | None

    def snapshot(self) -> Curves:
        """The curves as they are now."""
        return {key: curve.snapshot() for key, curve in self.curves.items()}


def control_questions(question: Question) -> list[tuple[Question, Request]]:
    """The maps of the core's `random_control`, one question per seed, so that each is kept by itself."""
    return [(replace(question, seed=seed), _CONTROL) for seed in control_seeds(question.seed)]


def method_sources(
    questions: Sequence[tuple[Question, Request]], outcomes: Sequence[Explanation | Job]
) -> list[Source]:
    """The methods whose maps are there."""
    return [
        Source(request.method, question, request, outcome)
        for (question, request), outcome in zip(questions, outcomes, strict=True)
        if isinstance(outcome, Explanation)
    ]


def source_of(theirs: Theirs, question: Question) -> Source:
    """A map from a file, in the row of the methods' own."""
    return Source(theirs.name, question, theirs.request, theirs.explanation)


def control_sources(
    questions: Sequence[tuple[Question, Request]], outcomes: Sequence[Explanation | Job]
) -> list[Source]:
    """The same for the random control, each seed under a name of its own."""
    return [replace(source, name=control_name(source.question.seed)) for source in method_sources(questions, outcomes)]


def title(name: str) -> str:
    """A source's name as people write it."""
    return METHODS[CONTROL].title if is_control(name) else title_of(name)


def curves(seen: Scene, sources: Sequence[Source], settings: Settings) -> Growing:
    """The curves of all sources, growing together; the visitor's earlier curves stop."""
    shared = {(source.name, kind): _shared(source, kind, settings) for source in sources for kind in settings.kinds}
    if all(curve.complete for curve in shared.values()):
        compute.outcomes("curves", [])
        return Growing(shared, None)
    work = partial(_draw, seen.question, seen.photo.image, list(sources), settings, shared)
    task = Task(digest("curves", *(s.identity for s in sources), settings), work, "Curves")
    outcome: Curves | Job = compute.outcomes("curves", [task], patience=0)[0]
    if not isinstance(outcome, Job):
        return Growing(outcome, None)
    _await_first_points(shared, outcome)
    return Growing(shared, outcome)


def _await_first_points(shared: Curves, job: Job) -> None:
    until = time.monotonic() + _FIRST_POINTS
    while job.active and not any(len(curve.points) > 1 for curve in shared.values()) and time.monotonic() < until:
        job.wait(0.01)


def _shared(source: Source, kind: Kind, settings: Settings) -> Curve:
    """One curve for all visitors who ask for it; it keeps its points when a job is cancelled."""
    key = digest("curve", source.identity, kind, replace(settings, kinds=()))
    return compute.results().share(key, Curve(source.name, kind), compute.owner(), limits().results)


def _draw(
    question: Question, image: Any, sources: Sequence[Source], settings: Settings, shared: Curves, job: Job
) -> Curves:
    clf = compute.classifier(question.model)
    with devices.computing(str(clf.device), job) as progress:
        points = curve_points(
            clf,
            image,
            {source.name: source.explanation for source in sources},
            kinds=settings.kinds,
            target=question.target,
            known=shared,
            **vars(question.options(progress)),
            **settings.params,
        )
        for point in points:
            shared[point.name, point.kind].add(point)
    return shared


@dataclass(frozen=True)
class Views:
    """The photos that the curves of these sources look at, by the source's name and the kind of curve."""

    seen: Scene
    sources: Sequence[Source]
    settings: Settings

    def at(self, fraction: float) -> Frames:
        """At one fraction: the photo with this share of its pixels changed, and its score."""
        device = str(self.seen.classifier.device)
        return compute.at_once(self._key(fraction), device, lambda: self._film().at(fraction))

    def known(self, fraction: float) -> Frames:
        """The same where somebody has asked before, else nothing: it never waits."""
        frames: Frames | None = compute.results().get(self._key(fraction))
        return frames or {}

    def _key(self, *parts: object) -> str:
        return digest("frames", *(source.identity for source in self.sources), self.settings, *parts)

    def _film(self) -> Film:
        kept: Film | None = compute.preparations().get(self._key())
        if kept is not None:
            return kept
        question = self.seen.question
        film = Film(
            self.seen.classifier,
            self.seen.photo.image,
            {source.name: source.explanation for source in self.sources},
            kinds=self.settings.kinds,
            target=question.target,
            seed=question.seed,
            precision=question.precision,
            **self.settings.params,
        )
        compute.preparations().put(self._key(), film, compute.owner())
        return film
