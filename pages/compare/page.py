"""Compare: several methods side by side on one photo. Do they agree?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from cam_core import Explanation
from cam_core.analysis.comparison import ComparisonReport, comparison_report, drawn_maps
from cam_core.models.hardware import hardware
from pages.runtime import compute
from pages.shared import messages, pickers, pictures, preload, provenance, scene, style, tables, tiles
from pages.shared.scene import Scene


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
    methods = pickers.methods(pickers.FIRST_METHODS, unfit=seen.unfit, misplaced=seen.misplaced)
    requests = pickers.parameters(methods)
    if not requests:
        messages.empty("Choose one or more methods to see where they look.")
        return
    outcomes = compute.explanations(seen.question, seen.photo.image, requests)
    look = st.container()
    with tiles.grid("compare"):
        cells = [st.container() for _ in requests]
    done = []
    for request, outcome, cell in zip(requests, outcomes, cells, strict=True):
        if isinstance(outcome, Explanation):
            done.append((outcome, cell))
        else:
            with cell:
                retry, remove = partial(compute.forget, outcome), partial(pickers.remove_method, request.method)
                tiles.unfinished(outcome, request.method, seen.frame(), retry, remove)
    with look:
        maps(seen, done)
    agreement(_report(seen, [explanation for explanation, _ in done]))


@st.fragment
def maps(seen: Scene, done: Sequence[tuple[Explanation, Any]]) -> None:
    """The heatmaps, each in its cell, and what changes their look: redrawn alone, so that a slider answers at once."""
    look = pickers.look()
    frame = seen.frame()
    shape = (frame.height, frame.width)
    drawn = drawn_maps([explanation for explanation, _ in done], shape, signed=look.signed, shared=look.shared)
    for (explanation, cell), values in zip(done, drawn, strict=True):
        with cell:
            origin = provenance.facts(seen, provenance.of_maps([explanation]) | {"look": vars(look)})
            tiles.heatmap(explanation, values, frame, look, origin)


def agreement(report: ComparisonReport) -> None:
    if report.agreement is None:
        return
    st.header("Agreement")
    values = report.agreement.tolist()
    titles = [report.titles[row] for row in report.order]
    st.html(tables.matrix(titles, [[values[row][column] for column in report.order] for row in report.order]))
    st.html(
        style.quiet(
            "Spearman’s rank correlation of the raw maps, position by position: 1 is the same order, 0 is no relation, "
            "−1 the opposite order. “–”: one of the two maps is constant. Maps that agree stand side by side."
        )
    )


page()
