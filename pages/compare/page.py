"""Compare: several methods side by side on one photo. Do they agree?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isnan
from typing import Any

import streamlit as st

from cam_core import METHODS, Explanation
from cam_core.analysis.comparison import ComparisonReport, DrawnMap, comparison_report, drawn_maps
from cam_core.models.hardware import hardware
from pages.compare.share import share
from pages.runtime import compute, polling, served
from pages.shared import messages, pickers, pictures, preload, provenance, scene, style, tables, tiles
from pages.shared.elsewhere import map_file
from pages.shared.pickers import Look
from pages.shared.scene import Scene

_RAW = "Numbers at a colour bar: the map’s own values, which have no unit; those of two methods cannot be compared. "
_RANKED = "Numbers at a colour bar: the share of the picture that counts no more than such a place, below 0 against. "


def page() -> None:
    seen = scene.current("Compare", "What in this photo speaks for ", "the class", "? Do the methods agree?")
    st.title("Compare")
    verb, what = seen.words.pro
    st.html(style.subtitle(f"What in this photo {verb} ", what, "? Do the methods agree?"))
    notices = st.container()
    with st.container(key="zones"):
        with st.container(key="seen"):
            what_the_network_sees(seen)
        what_the_methods_say(seen)
    with notices:
        messages.link_notices()
    preload.charts()


def what_the_network_sees(seen: Scene) -> None:
    with st.container():
        pictures.show(seen.framed_photo(), alt=f"{seen.photo.title}, with the frame that the network sees")
        frame = "all of it, in a letterbox" if seen.photo.fit == "letterbox" else "the bright frame"
        st.html(style.quiet(f"{seen.photo.credit or f'{seen.photo.title}.'} The network sees {frame}."))
    with st.container():
        top_classes(seen)
        st.html(style.quiet(_computing_on(seen)))


def top_classes(seen: Scene) -> None:
    """The most probable classes, and the explained one: a click explains another."""
    report = _report(seen, ())
    with st.container(key="classes"):
        st.html(style.quiet("Most probable classes. Click a class to explain it."))
        for prediction in report.top:
            chosen = prediction.index == report.target
            name = f"**{style.plain(prediction.label)}**" if chosen else style.plain(prediction.label)
            st.button(
                f"{name} :small[{style.percent(prediction.probability)}]",
                key=f"class-{prediction.index}",
                type="tertiary",
                width="stretch",
                on_click=seen.explain_class,
                args=(prediction.index,),
            )
            st.html(style.share_bar(prediction.probability, chosen))


def _report(seen: Scene, explanations: Sequence[Explanation]) -> ComparisonReport:
    return comparison_report(explanations, seen.predictions, seen.prediction.index)


def _computing_on(seen: Scene) -> str:
    device = seen.classifier.device
    machine = hardware(device)
    spec = seen.question.model
    looked_for_a_gpu = spec.device != "cpu" and served.network(spec.name) is None
    fallback = " (no GPU was found)" if device.type == "cpu" and looked_for_a_gpu else ""
    memory = f" · memory: {machine.memory}" if machine.memory else ""
    return f"Computing on {machine.name}{fallback}{memory} · numbers: {seen.question.precision}"


@polling.part
def what_the_methods_say(seen: Scene) -> None:
    with st.container(key="said"):  # in here, for the styles: a part stands in a container of its own
        comparison(seen)


def comparison(seen: Scene) -> None:
    methods = pickers.methods(
        pickers.FIRST_METHODS,
        unfit=seen.unfit,
        misplaced=seen.misplaced,
        unasked=seen.unasked,
        costs=seen.costs,
        beside=map_file.button,
    )
    requests = pickers.parameters(methods)
    theirs = map_file.given(seen)
    if not requests and theirs is None:
        messages.empty("Choose one or more methods to see where they look.")
        return
    outcomes = compute.explanations(seen.question, seen.photo.image, requests)
    look, above = st.container(), st.container(key="in-short")
    tiles.same_maps(seen, requests)
    with tiles.grid("compare"):
        cells = [st.container() for _ in requests]
        last = st.container() if theirs else None
    done: list[tuple[Explanation, Any]] = []
    for request, outcome, cell in zip(requests, outcomes, cells, strict=True):
        if isinstance(outcome, Explanation):
            done.append((outcome, cell))
        else:
            with cell:
                retry, remove = partial(compute.forget, outcome), partial(pickers.remove_method, request.method)
                tiles.unfinished(outcome, request.method, seen.frame(), retry, remove)
    ours = [explanation for explanation, _ in done]
    if theirs:
        done.append((theirs.explanation, last))
    with look:
        maps(seen, done)
    report = _report(seen, [explanation for explanation, _ in done])
    with above:
        st.html(style.quiet(in_short(report)))
    agreement(report)
    share(seen, requests, ours, theirs)


def how_to_read(seen: Scene, done: Sequence[Explanation], drawn: Sequence[DrawnMap], look: Look) -> str:
    """What the colours mean, in words."""
    pro, contra = " ".join(seen.words.pro), " ".join(seen.words.contra)
    kinds = sorted({entry.signed for entry in drawn}, reverse=True)
    maps = {True: look.diverging, False: look.sequential}
    units = _RANKED if look.ranked else _RAW
    methods = [METHODS[made.method] for made in done if made.method in METHODS]
    blind = [method.title for method in methods if not method.class_specific]
    classless = f"{style.listed(blind)}: the same for every class." if blind else ""
    return style.legend([style.key_to_colours(maps[kind], pro, contra, kind) for kind in kinds], units + classless)


@st.fragment
def maps(seen: Scene, done: Sequence[tuple[Explanation, Any]]) -> None:
    """The heatmaps, each in its cell, and what changes their look: redrawn alone, so that a slider answers at once."""
    look = pickers.look()
    frame = seen.frame()
    shape = (frame.height, frame.width)
    explanations = [explanation for explanation, _ in done]
    drawn = drawn_maps(explanations, shape, signed=look.signed, shared=look.shared, ranked=look.ranked)
    if drawn:
        st.html(how_to_read(seen, explanations, drawn, look))
    for (explanation, cell), values in zip(done, drawn, strict=True):
        with cell:
            origin = provenance.facts(seen, provenance.of_maps([explanation]) | {"look": vars(look)})
            tiles.heatmap(explanation, values, frame, look, origin)


def in_short(report: ComparisonReport) -> str:
    """How far the maps agree, over the maps; the table below says it of every pair."""
    pairs = sorted((value, style.listed([one, other])) for one, other, value in report.pairs if not isnan(value))
    if not pairs:
        return ""
    (low, furthest), (high, nearest) = pairs[0], pairs[-1]
    if len(pairs) == 1:
        said = f"Agreement of the two: {style.decimals(low, 2)}."
    else:
        said = f"Agreement from {style.decimals(low, 2)} ({furthest}) to {style.decimals(high, 2)} ({nearest})."
    return f"{said} 1: all places in the same order, 0: no relation. More below."


def agreement(report: ComparisonReport) -> None:
    if report.agreement is None:
        return
    st.header("Agreement")
    values = report.agreement.tolist()
    titles = [report.titles[row] for row in report.order]
    st.html(tables.matrix(titles, [[values[row][column] for column in report.order] for row in report.order]))
    st.html(
        style.quiet(
            "How alike two maps rank the positions, whatever their units: 1 is the same order, 0 no relation, −1 the "
            "opposite order (Spearman’s rank correlation). “–”: one of the two maps is constant. Maps that agree stand "
            "side by side."
        )
    )


page()
