"""Channels: SHAP values of a layer's channels, with error bars. Which channels carry the decision?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cam_core import METHODS, Explanation
from cam_core.analysis.channels import channel_report, coefficients_of
from pages.channels import board, downloads, estimate, removal
from pages.channels.estimate import Settings, Trail
from pages.channels.share import share
from pages.runtime import compute, polling
from pages.runtime.compute import Request
from pages.runtime.jobs import Job
from pages.shared import messages, pickers, provenance, scene, style
from pages.shared.scene import Scene

FIRST_METHODS = ("lift-cam", "grad-cam")
WITH_COEFFICIENTS = [method for method in METHODS.values() if method.unit]
WITHOUT = [method.title for method in METHODS.values() if not method.unit]


@polling.part
def page() -> None:
    seen = scene.current("Channels", "Which of the channels carry ", "the class", "?")
    st.title("Channels")
    channels = seen.layer_info.channels
    st.html(style.subtitle(f"Which of the {channels} channels of {seen.question.layer} carry ", seen.words.name, "?"))
    notices, controls, answer = st.container(), st.container(key="channel-controls"), st.container()
    # The answer comes first on the page: how it was computed stands below it, and is read before.
    st.header("How the values are computed")
    with st.container(horizontal=True, vertical_alignment="top", key="channel-estimator"):
        settings = estimate.settings()
    with controls:
        methods = pickers.methods(
            FIRST_METHODS,
            key="beside",
            label="Methods beside SHAP",
            offered=WITH_COEFFICIENTS,
            unfit=seen.unfit,
            misplaced=seen.misplaced,
            unasked=seen.unasked,
            costs=seen.costs,
            help=f"Without one coefficient per channel, so not here: {', '.join(WITHOUT)}.",
        )
        requests = pickers.parameters(methods)
    show(answer, seen, settings, requests)
    with notices:
        messages.link_notices()


def show(answer: DeltaGenerator, seen: Scene, settings: Settings, requests: Sequence[Request]) -> None:
    estimating = estimate.begin(seen.question, seen.photo.image, settings)
    outcomes = compute.explanations(seen.question, seen.photo.image, requests)
    outcome = estimate.settled(estimating)
    trail = outcome if isinstance(outcome, Trail) else None
    if isinstance(outcome, Job):
        with answer:
            estimate.unfinished(outcome)
        if not outcome.fruitless:
            return
        trail = outcome.items[-1] if outcome.items else None
    if trail is None:
        return
    coefficients = coefficients_of([outcome for outcome in outcomes if isinstance(outcome, Explanation)])
    report = channel_report(trail.last, coefficients, trail.estimates)
    with answer:
        estimate.status(seen, report)
        unfinished(requests, outcomes)
        board.board(seen, report)
    estimate.facts(report, trail.seconds)
    removal.removal(seen, trail.last, report)
    facts = provenance.facts(seen, {"shap": vars(settings)})
    downloads.files(report, facts)
    share(
        seen, settings, requests, [outcome for outcome in outcomes if isinstance(outcome, Explanation)], report, facts
    )


def unfinished(requests: Sequence[Request], outcomes: Sequence[Explanation | Job]) -> None:
    """Methods that are not there yet, failed, or have nothing to say of channels; the others are shown without them."""
    for request, outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, Explanation) and outcome.coefficients is None:
            st.html(style.notice_line(f"{request.title} has no coefficient per channel with these parameters."))
        if isinstance(outcome, Job):
            remove = ("Remove", partial(pickers.remove_method, request.method, "beside"))
            lost = f"No coefficients of {request.title}."
            again = messages.again(outcome)
            messages.pending(outcome, request.title, lost, again, remove, key=request.method, leave=remove)


page()
