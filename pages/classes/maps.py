"""The maps of the two classes: what is asked for, and what there is of it by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from cam_core import METHODS, Explanation
from cam_core.analysis.contrast import Contrast, class_contrast
from cam_core.metrics.ground_truth import Region
from pages.classes.pair import Pair
from pages.runtime import compute
from pages.runtime.compute import Question, Request
from pages.runtime.jobs import Job
from pages.shared.scene import Scene

FINER: Final = Request("finer-cam")
"""The method whose own question is what sets a class apart; it cannot be asked about a difference."""


@dataclass(frozen=True)
class Maps:
    """One method's maps of A, of B, and of the difference A − B: each there, or the job that computes it.

    Attributes:
        between: None of a method that is not asked for it.
    """

    request: Request
    a: Explanation | Job
    b: Explanation | Job
    between: Explanation | Job | None

    @property
    def missing(self) -> list[Job]:
        """The jobs of the two classes' maps, as far as these are not there."""
        return [outcome for outcome in (self.a, self.b) if isinstance(outcome, Job)]

    def contrast(self, regions: Sequence[Region]) -> Contrast:
        """The report; only where nothing is missing."""
        assert isinstance(self.a, Explanation) and isinstance(self.b, Explanation)
        between = self.between if isinstance(self.between, Explanation) else None
        return class_contrast(self.a, self.b, between, regions)


def ask(seen: Scene, pair: Pair, requests: Sequence[Request]) -> list[Maps]:
    """One entry per request, in the same order."""
    questions = [_questions(seen.question, pair, request) for request in requests]
    asked = [(question, request) for each, request in zip(questions, requests, strict=True) for question in each]
    outcomes = iter(compute.all_explanations(seen.photo.image, asked, "classes"))
    answers = [[next(outcomes) for _ in each] for each in questions]
    return [Maps(request, *(*answer, None)[:3]) for request, answer in zip(requests, answers, strict=True)]


def _questions(question: Question, pair: Pair, request: Request) -> list[Question]:
    """About A, about B, and about the difference where the method looks at what it is asked."""
    targets = [pair.a.index, pair.b.index]
    between = [pair.difference] if METHODS[request.method].class_specific and request.method != FINER.method else []
    return [replace(question, target=target) for target in (*targets, *between)]
