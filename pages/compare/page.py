"""Compare: several methods side by side on one photo. Do they agree?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from cam_core import Explanation
from cam_core.analysis.comparison import ComparisonReport, comparison_report, drawn_maps
from cam_core.models.hardware import hardware
from pages.runtime import compute
from pages.runtime.compute import Request
from pages.runtime.jobs import Job
from pages.shared import messages, pickers, pictures, preload, scene, style, tables, tiles
from pages.shared.scene import Scene

Outcome = Explanation | Job


def page() -> None:
    seen = scene.current()
    st.title("Compare")
    st.html(style.subtitle("What in this photo speaks for ", seen.prediction.label, "? Do the methods agree?"))
    notices = st.container()
    with st.container(key="zones"):
        with st.container(key="seen"):
            what_the_network_sees(seen)
        with st.container(key="said"):
            what_the_methods_say(seen)
    with notices:
        messages.link_notices()
    preload.charts()


def what_the_network_sees(seen: Scene) -> None:
    with st.container():
        pictures.show(seen.framed_photo(), alt=f"{seen.photo.title}, with the frame that the network sees")
        st.html(style.quiet(f"{seen.photo.credit or seen.photo.title} The network sees the bright frame."))
    with st.container():
        report = _report(seen, ())
        st.html(tables.top_classes(report.top, report.target))
        st.html(style.quiet(_computing_on(seen)))


def _report(seen: Scene, explanations: Sequence[Explanation]) -> ComparisonReport:
    return comparison_report(explanations, seen.predictions, seen.question.target)


def _computing_on(seen: Scene) -> str:
    device = seen.classifier.device
    machine = hardware(device)
    asked_device = seen.question.model.device
    fallback = " (no GPU was found)" if device.type == "cpu" and asked_device != "cpu" else ""
    memory = f" · {machine.memory}" if machine.memory else ""
    return f"Computing on {machine.name}{fallback}{memory} · {seen.question.precision}"


def what_the_methods_say(seen: Scene) -> None:
    methods = pickers.methods(pickers.FIRST_METHODS)
    requests = pickers.parameters(methods)
    if not requests:
        messages.empty("Choose one or more methods to see where they look.")
        return
    outcomes = compute.explanations(seen.question, seen.photo.image, requests)
    board(seen, requests, outcomes)
    agreement(_report(seen, [outcome for outcome in outcomes if isinstance(outcome, Explanation)]))


@st.fragment
def board(seen: Scene, requests: Sequence[Request], outcomes: Sequence[Outcome]) -> None:
    """The tiles and what changes their look: redrawn alone, so that a slider answers at once."""
    look = pickers.look()
    frame = seen.frame()
    done = [outcome for outcome in outcomes if isinstance(outcome, Explanation)]
    drawn = iter(drawn_maps(done, (frame.height, frame.width), signed=look.signed, shared=look.shared))
    with tiles.grid("compare"):
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Explanation):
                tiles.heatmap(outcome, next(drawn), frame, look)
            else:
                retry, remove = partial(compute.forget, outcome), partial(pickers.remove_method, request.method)
                tiles.unfinished(outcome, request.method, frame, retry, remove)


def agreement(report: ComparisonReport) -> None:
    if report.agreement is None:
        return
    st.header("Agreement")
    st.html(tables.matrix(report.titles, report.agreement.tolist()))
    st.html(
        style.quiet(
            "Spearman’s rank correlation of the raw maps, position by position: 1 is the same order, 0 is no relation, "
            "−1 the opposite order. “–”: one of the two maps is constant."
        )
    )


page()
