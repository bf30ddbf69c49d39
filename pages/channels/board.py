"""Channels looked at: bars of phi, the map of the channel that was clicked, the waterfall, the similarity of methods.

One fragment: a click on a bar redraws this and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from math import isfinite
from typing import Final

import streamlit as st

from cam_core.analysis.channels import ChannelReport, Reading, waterfall
from cam_core.analysis.shapley_fidelity import TOP
from cam_core.charts import channel_chart, waterfall_chart
from cam_core.methods import title_of
from cam_core.overlay import DIVERGING, SEQUENTIAL, display_values, limits, overlay
from pages.channels.estimate import convergence_section
from pages.shared import charts, links, pictures, style, tables
from pages.shared.scene import Scene
from pages.shared.tables import Cell

_READINGS: Final[dict[str, Reading]] = {"α": "coefficients", "α · mean A": "contributions"}
_READ: Final[dict[Reading, str]] = {"coefficients": "α, as they are", "contributions": "α · mean A"}
_OPACITY = 0.6
_MOST_BARS = 60


@dataclass(frozen=True)
class View:
    """How channels are shown: how many, in which order, and how methods' coefficients are read."""

    count: int
    sorted: bool
    reading: Reading

    def shown(self, report: ChannelReport) -> list[int]:
        """The channels, from left to right."""
        top = list(report.order[: self.count])
        return top if self.sorted else sorted(top)


@st.fragment
def board(seen: Scene, report: ChannelReport) -> None:
    """Everything that a click, or a look at it in another way, changes."""
    with st.container(key="channel-zones"):
        with st.container(key="channel-bars"):
            view = _view(report.channels - report.dead)
            bars = st.container()
        with st.container(key="channel-map"):
            channel = _channel(report)
            _map(seen, report, channel)
            _facts(report, view, channel)
        with bars:
            _bars(report, view, channel)
    with st.container(key="channel-steps"):
        _waterfall(report, view.count)
    with st.container(key="channel-below"):
        with st.container():
            _similarity(report, view)
        with st.container():
            convergence_section(report)


def _view(live: int) -> View:
    with st.container(horizontal=True, vertical_alignment="top", key="channel-view"):
        count = st.slider(
            "Channels shown",
            1,
            min(_MOST_BARS, max(2, live)),
            min(20, max(2, live)),
            **links.kept("top"),
            width=170,
            help="Those with the largest |φ|.",
        )
        order = st.segmented_control(
            "Order",
            ["By |φ|", "By number"],
            default="By |φ|",
            required=True,
            **links.kept("order"),
        )
        reading = st.segmented_control(
            "Methods’ values",
            list(_READINGS),
            default=next(iter(_READINGS)),
            required=True,
            **links.kept("reading"),
            help="α is the method’s coefficient as it is. Many methods give it per unit of activation: times the "
            "channel’s mean activation it becomes a contribution, as φ is.",
        )
    return View(int(count), order == "By |φ|", _READINGS[reading])


def _bars(report: ChannelReport, view: View, channel: int) -> None:
    channels = view.shown(report)
    scaled = report.scaled(channels, view.reading)
    charts.show(
        channel_chart(channels, report.phi[channels], report.stderr[channels], scaled, channel),
        key="bars",
        on_select=partial(_choose, links.widget_key("channel", _scope(report)), channels),
        selection_mode="points",
        alt=f"SHAP values of {len(channels)} channels for {report.label}; choose one to see its map",
    )
    units = (
        " Below, every method’s coefficients are scaled to an L2 norm of 1 over all channels, since their units differ."
        if scaled
        else ""
    )
    st.html(
        style.quiet(
            "Above zero and plain: speaks for the class. Below zero and hatched: against it. Whiskers are ± one "
            f"standard error. Click a bar to see where the channel is active.{units}"
        )
    )


def _scope(report: ChannelReport) -> str:
    """The model and the layer: the numbers of channels depend on them."""
    return f"{report.model}|{report.layer}"


def _choose(key: str, channels: Sequence[int]) -> None:
    """A bar was clicked: every trace of the chart has one point per channel, in the order in which they are shown."""
    points = st.session_state["bars"].selection.points
    if points:
        st.session_state[key] = str(channels[points[0]["point_index"]])


def _channel(report: ChannelReport) -> int:
    """The channel that is looked at: of the link, of a click on a bar, or chosen here by keyboard."""
    order = [str(channel) for channel in report.order]
    return int(
        links.choice(
            "channel",
            "Channel",
            order,
            default=order[0],
            scope=_scope(report),
            shown=lambda number: f"{number} · φ {_signed(float(report.phi[int(number)]))}",
            help="All channels, the largest |φ| first. Type a number, or click a bar.",
        )
    )


def _map(seen: Scene, report: ChannelReport, channel: int) -> None:
    frame = seen.frame()
    raw = report.activations[channel]
    signed = bool((raw < 0).any())
    values = display_values(raw, (frame.height, frame.width), signed=signed)
    span = limits([values], signed=signed)
    colours = (DIVERGING if signed else SEQUENTIAL)[0]
    pictures.show(
        overlay(frame, values, _OPACITY, colours, span),
        alt=f"Channel {channel} heatmap of its activation over the photo",
    )
    st.html(style.colour_bar(colours, *span))


def _facts(report: ChannelReport, view: View, channel: int) -> None:
    phi, stderr = float(report.phi[channel]), float(report.stderr[channel])
    error = (
        " (exact)" if report.exact else f" ± {style.significant(stderr, 2)}" if isfinite(stderr) else ", error unknown"
    )
    side = "speaks for" if phi > 0 else "speaks against" if phi < 0 else "says nothing about"
    rows = "".join(
        f"<span>{escape(title_of(values.name))}</span><span>{values.ranks[channel]}</span>"
        for values in (report.shap, *report.methods[view.reading])
    )
    dead = "" if report.live[channel] else " It is dead: 0 everywhere in this photo."
    st.html(
        f'<div class="cam-tile"><div><b>φ = {_signed(phi)}{error}</b> logits: '
        f"{side} {escape(report.label)}.{dead}</div>"
        f'<div class="cam-quiet">Mean activation {style.significant(report.mean_activation[channel], 3)}. '
        f"Rank by magnitude among {report.channels} channels:</div>"
        f'<div class="cam-quiet cam-ranks">{rows}</div></div>'
    )


def _waterfall(report: ChannelReport, count: int) -> None:
    st.header("From nothing to the logit")
    steps = [
        (str(step.channel) if step.channel is not None else step.label, step.change)
        for step in waterfall(report, count)
    ]
    ends = [style.decimals(value, 2) for value in (report.v_empty, report.v_all)]
    charts.show(
        waterfall_chart(("v(∅)", report.v_empty), steps, ("logit", report.v_all)),
        key="waterfall",
        alt=f"Waterfall from {ends[0]} without any channel to the logit {ends[1]}",
    )
    gap = "" if report.exact else " The efficiency gap, which the estimates leave unexplained, is the last step."
    st.html(style.quiet(f"v(∅) is the logit with every channel set to 0; each step adds one channel’s φ.{gap}"))


def _similarity(report: ChannelReport, view: View) -> None:
    st.header("How close each method comes")
    closest = report.closest(view.reading)
    if not closest:
        st.html(style.quiet("Choose methods above to compare their coefficients with these SHAP values."))
        return
    rows = [
        (
            title_of(values.name),
            [
                Cell(style.decimals(values.similarity.cosine, 3), best=values.best),
                Cell(style.decimals(values.similarity.spearman, 3)),
                Cell(style.decimals(values.similarity.kendall, 3)),
                Cell(f"{values.similarity.overlap:.0%}"),
            ],
        )
        for values in closest
    ]
    ceiling = "unknown" if report.ceiling is None else f"{report.ceiling:.3f}"
    rows.append(("*noise ceiling*", [Cell(ceiling), Cell("–"), Cell("–"), Cell("–")]))
    tables.show(["cosine", "Spearman", "Kendall τ", f"same top {TOP}"], rows)
    st.html(
        style.quiet(
            f"To SHAP, over live channels; coefficients read as {_READ[view.reading]}. Noise ceiling: the cosine that "
            "even the true values could be expected to have to this estimate, given its standard errors."
        )
    )


def _signed(value: float) -> str:
    return style.decimals(value, 3, "+")
