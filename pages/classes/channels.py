"""The channels that tell the two classes apart: SHAP values for A, for B and for the difference, with their maps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from html import escape
from math import isfinite
from typing import Final

import streamlit as st
from PIL import Image

from cam_core.analysis.channel_contrast import ChannelContrast, channel_contrast, contrast_table
from cam_core.overlay import display_values, shaded
from cam_core.palette import evidence_colour
from cam_core.shapley import channel_shap
from cam_core.types import FloatArray, Part
from pages.classes.pair import Pair
from pages.runtime import compute, devices
from pages.runtime.compute import Question, Task
from pages.runtime.jobs import Job
from pages.shared import messages, pickers, pictures, style
from pages.shared.scene import Scene

ESTIMATOR: Final = "owen"

_MOST_PASSES: Final = 25_000
_EACH_SIDE: Final = 4  # channels for each side
_MAP_SIDE: Final = 192  # pixels of a channel's map
_KEY: Final = "pair-budget"


def heading() -> int:
    """The heading, and below it the widget for the budget: tail passes for each of the three estimates."""
    st.header("Channels that tell them apart")
    budget = pickers.budget(
        _KEY,
        "How often the part of the network behind the layer is run for each of three estimates: for A, for B and "
        "for their difference. Where exact values cost no more, they are computed.",
        most=_MOST_PASSES,
    )
    return budget


def begin(seen: Scene, pair: Pair, budget: int) -> ChannelContrast | Job:
    """The report, or the job that computes it."""
    question = replace(seen.question, target=pair.difference)
    task = Task(
        compute.digest("class channels", question, budget),
        partial(_estimate, question, seen.photo.image, pair, budget),
        "SHAP values of two classes",
        slow=True,
    )
    outcome: ChannelContrast | Job = compute.outcomes("class channels", [task])[0]
    return outcome


def _estimate(question: Question, image: Image.Image, pair: Pair, budget: int, job: Job) -> ChannelContrast:
    clf = compute.classifier(question.model)
    targets = (pair.a.index, pair.b.index, question.target)
    with devices.computing(str(clf.device), job) as progress:
        parts = [question.options(progress).part(place, len(targets)) for place in range(len(targets))]
        a, b, between = (
            channel_shap(
                clf,
                image,
                layer=question.layer,
                target=target,
                estimator=ESTIMATOR,
                budget=budget,
                seed=part.seed,
                precision=part.precision,
                progress=part.progress,
            )
            for target, part in zip(targets, parts, strict=True)
        )
    return channel_contrast(a, b, between)


def section(seen: Scene, outcome: ChannelContrast | Job) -> ChannelContrast | None:
    """The channels, or how their job stands; the report, if it is there."""
    if isinstance(outcome, Job):
        lost = "No values of the channels."
        again = messages.again(outcome)
        messages.pending(
            outcome,
            "Estimating SHAP values of the channels",
            lost,
            again,
            key="class-channels",
            leave=messages.cancel(outcome),
            cancelled=("Cancelled.", messages.again(outcome, "Start again")),
        )
        return None
    a, b = outcome.labels
    st.html(
        style.quiet(
            f"A channel of {outcome.layer} is one pattern that the network looks for. Its SHAP value φ is what it adds "
            f"to a class’s score, the logit. Here are the channels whose φ differs most: what they add to {a} less "
            f"what they add to {b}. Green is where a channel is active, which by itself is evidence for nothing."
        )
    )
    _status(outcome)
    for side, label, other in (("a", a, b), ("b", b, a)):
        channels = outcome.favouring(side)[:_EACH_SIDE]
        st.html(
            style.name_line(f"Count more for {label}" if channels else f"None counts more for {label} than {other}")
        )
        with st.container(key=f"class-channels-{side}"):
            for channel in channels:
                _channel(seen, outcome, channel)
    _table(outcome)
    return outcome


def _status(report: ChannelContrast) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="class-status"):
        if report.exact:
            st.badge("Exact", icon=":material/check_circle:", color="green")
        elif report.converged:
            st.badge("Converged", icon=":material/check_circle:", color="green")
        else:
            st.badge("Not converged", icon=":material/pending:", color="orange")
            more = 4 * report.budget
            messages.button((f"Estimate with {more} passes each", partial(_spend, more)), key="more-class-passes")
        how = "exact values" if report.exact else "Owen’s estimate"
        st.html(style.quiet(f"{report.passes:,} tail passes: {how} for the difference and for either class."))


def _spend(budget: int) -> None:
    st.session_state[_KEY] = min(budget, _MOST_PASSES)


def _channel(seen: Scene, report: ChannelContrast, channel: int) -> None:
    """Where a channel is active, and what it adds to either class."""
    with st.container(key=f"class-channel-{channel}"):
        small = _small_map(seen.question, channel, seen.part, seen.frame(_MAP_SIDE), report.activations[channel])
        pictures.show(small, alt=f"Where channel {channel} is active, over the photo")
        error = float(report.stderr[channel])
        sure = "" if report.exact or not isfinite(error) else f" ± {style.significant(error, 2)}"
        a, b = report.labels
        lines = [
            _line(f"for {a}", float(report.phi_a[channel]), report.extent),
            _line(f"for {b}", float(report.phi_b[channel]), report.extent),
        ]
        st.html(
            f'<div class="cam-tile"><b>Channel {channel}</b>: {_signed(float(report.phi[channel]))}{sure} apart'
            f'<div class="cam-phi">{"".join(lines)}</div></div>'
        )


def _line(name: str, value: float, extent: float) -> str:
    """A name, a bar that begins in the middle, and the value."""
    width = 50 * abs(value) / extent if extent else 0.0
    start = 50 - width if value < 0 else 50.0
    bar = f'<i style="margin-left: {start:.1f}%; width: {width:.1f}%; background: {evidence_colour(value)}"></i>'
    return f"<span>{escape(name)}</span><div>{bar}</div><span>{_signed(value)}</span>"


def _table(report: ChannelContrast) -> None:
    """All channels as rows, made while somebody looks."""
    opened = st.expander("All channels as a table", key="class-channel-table", on_change="rerun")
    if not opened.open:
        return
    names, rows = contrast_table(report)
    with opened:
        st.dataframe(
            {name: [_cell(row[place]) for row in rows] for place, name in enumerate(names)},
            hide_index=True,
            key="class-channel-rows",
            alt=f"SHAP values of {len(rows)} channels for {report.labels[0]} and {report.labels[1]}",
        )


def _cell(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.3g}") if isfinite(value) else None
    return value


@st.cache_data(max_entries=64, scope="session", show_spinner=False)
def _small_map(
    question: Question, channel: int, part: Part | None, _frame: Image.Image, _raw: FloatArray
) -> Image.Image:
    return shaded(_frame, display_values(_raw, (_frame.height, _frame.width), signed=True, part=part))


def _signed(value: float) -> str:
    return style.decimals(value, 3, "+")
