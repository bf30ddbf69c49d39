"""Deletion: does the score fall as fast as the map promises, when the pixels that it calls important go?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from cam_core.metrics.curves.perturbation import KINDS
from cam_core.targets import TargetScore
from pages.deletion import board, curves, score_board
from pages.deletion.curves import Settings, Source
from pages.deletion.share import share
from pages.runtime import compute, polling
from pages.runtime.compute import Request
from pages.runtime.jobs import Job
from pages.shared import links, messages, pickers, scene, style
from pages.shared.curves import settings as curve_settings
from pages.shared.elsewhere import map_file
from pages.shared.elsewhere.map_file import Theirs
from pages.shared.scene import Scene

CONTROL_PATIENCE = 0.25  # seconds that the first curves wait for random maps: on a slow machine those join them later


@polling.part
def page() -> None:
    seen = scene.current("Deletion", "Does removing what a map marks take ", "the class", " away quickly?")
    st.title("Deletion")
    st.html(
        style.subtitle(
            "If a map is true, removing what it marks takes ",
            seen.words.name,
            " away quickly (a low curve), and showing it brings it back quickly (a high one).",
        )
    )
    notices = st.container()
    with st.container(key="curve-controls"):
        methods = pickers.methods(
            pickers.FIRST_METHODS,
            unfit=seen.unfit,
            misplaced=seen.misplaced,
            unasked=seen.unasked,
            costs=seen.costs,
            beside=map_file.button,
        )
        settings = how(seen.question.target)
    requests = pickers.parameters(methods)
    theirs = map_file.given(seen)
    if not (requests or theirs) or not settings.kinds:
        messages.empty("Choose one or more methods, and deletion or insertion, to see curves.")
    else:
        show(seen, requests, settings, theirs)
    with notices:
        messages.link_notices()


def how(target: int | TargetScore) -> Settings:
    """Which curves, how fine, and onto what."""
    with st.container(horizontal=True, vertical_alignment="top", key="curve-settings"):
        kinds = st.pills(
            "Curves",
            [kind.capitalize() for kind in KINDS],
            selection_mode="multi",
            default=[kind.capitalize() for kind in KINDS],
            **links.kept("curves"),
            help="Deletion removes pixels from the photo, insertion shows them; the most salient ones go first.",
        )
        steps = curve_settings.steps("steps")
        # Not as published first: of a blurred photo the network keeps so much of many a class that insertion has
        # nothing to bring back.
        baseline = curve_settings.baseline("baseline", "Zero")
        score = _score() if isinstance(target, int) else ""
    if isinstance(target, TargetScore):
        st.html(style.quiet(f"The curves follow the {target.quantity} that is explained."))
    return Settings(
        tuple(kind for kind in KINDS if kind.capitalize() in kinds),
        steps,
        baseline,
        score,
    )


def _score() -> str:
    """What the curves of a class follow."""
    score: str = st.segmented_control(
        "Score",
        ["Probability", "Logit"],
        default="Probability",
        required=True,
        **links.kept("score"),
        help="What the curve follows. Probability: the share of its belief that the network gives the class, softmax. "
        "Logit: the class’s own score before that, which other classes do not touch.",
    )
    return score.lower()


def show(seen: Scene, requests: Sequence[Request], settings: Settings, theirs: Theirs | None) -> None:
    """Curves and tables of the maps that are there, and what is to be said of the others."""
    questions = [(seen.question, request) for request in requests]
    control_questions = curves.control_questions(seen.question)
    outcomes = compute.all_explanations(seen.photo.image, questions)
    control_outcomes = compute.all_explanations(seen.photo.image, control_questions, "control", CONTROL_PATIENCE)
    sources = curves.method_sources(questions, outcomes)
    sources += [curves.source_of(theirs, seen.question)] if theirs else []
    control = curves.control_sources(control_questions, control_outcomes)
    with st.container():  # also where it is empty, for nothing below to move when a map is there
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Job):
                missing_map(request, outcome)
    if not sources:
        return
    drawn = board.Drawn(seen, sources, control, settings)
    late = [job for job in control_outcomes if isinstance(job, Job) and not job.fruitless]
    drawn.charts(partial(missing_control, late))
    st.header("Metrics of these maps")
    score_board.board(seen, [*sources, *control[:1]], fake(seen), settings.score)
    polling.begin()  # curves that are there come first, pictures that have to be computed after them
    drawn.looks()
    share(seen, settings, requests, sources, theirs, drawn.report_now, drawn.facts)


def missing_map(request: Request, job: Job) -> None:
    """A method without a map, so without curves: being computed, failed, or cancelled."""
    what, lost = f"{request.title}: computing the map", f"{request.title} has no map."
    remove = ("Remove", partial(pickers.remove_method, request.method))
    messages.pending(job, what, lost, messages.again(job), remove, key=request.method, leave=messages.cancel(job))


def missing_control(jobs: Sequence[Job]) -> None:
    """Random maps on their way."""
    if jobs:
        messages.pending(jobs[-1], "Drawing random maps", "There are no random maps.", key="random-maps")


def fake(seen: Scene) -> Source | None:
    """Fake-CAM, if the reader wants to know which metrics it fools."""
    with_fake = st.toggle(
        "Set Fake-CAM beside them",
        **links.kept("fake-cam"),
        help="A map of ones with one zero in its corner: it explains nothing. A metric on which it wins can be won "
        "without explaining anything.",
    )
    if not with_fake:
        return None
    return score_board.fake_source(seen)


page()
