"""Channels looked at: bars of phi, the map of the channel that was clicked, the waterfall, the similarity of methods.

One fragment: a click on a bar redraws this and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from math import isfinite
from typing import Any

import streamlit as st

from cam_core.analysis.channels import channel_fidelity, contributions, largest, ranks, unit_norm, waterfall
from cam_core.analysis.shapley_fidelity import TOP
from cam_core.charts import channel_chart, waterfall_chart
from cam_core.methods import title_of
from cam_core.metrics.base import Values
from cam_core.overlay import DIVERGING, SEQUENTIAL, display_values, limits, overlay
from cam_core.palette import REFERENCE
from cam_core.shapley import ChannelEstimate
from pages.channels.estimate import Trail, convergence_section
from pages.shared import links, pictures, style, tables
from pages.shared.scene import Scene
from pages.shared.tables import Cell

_RAW, _TIMES_MEAN = "α", "α · mean A"
_OPACITY = 0.6
_MOST_BARS = 60


@dataclass(frozen=True)
class View:
    """How channels are shown: how many, in which order, and how methods' coefficients are read."""

    count: int
    sorted: bool
    times_mean: bool

    def shown(self, phi: Values) -> list[int]:
        """The channels, from left to right."""
        top = largest(phi, self.count)
        return top if self.sorted else sorted(top)


@st.fragment
def board(seen: Scene, trail: Trail, beside: Mapping[str, Values]) -> None:
    """Everything that a click, or a look at it in another way, changes."""
    estimate = trail.last
    phi = estimate.phi.numpy()
    with st.container(key="channel-zones"):
        with st.container(key="channel-bars"):
            view = _view(len(phi) - estimate.dead)
            bars = st.container()
        with st.container(key="channel-map"):
            chosen = _channel(estimate)
            _map(seen, estimate, chosen)
            _facts(seen, estimate, beside, view, chosen)
        with bars:
            _bars(estimate, beside, view, chosen)
    with st.container(key="channel-steps"):
        _waterfall(estimate, view.count)
    with st.container(key="channel-below"):
        with st.container():
            _similarity(estimate, beside, view)
        with st.container():
            convergence_section(trail)


def _view(live: int) -> View:
    with st.container(horizontal=True, vertical_alignment="top", key="channel-view"):
        count = st.slider(
            "Channels shown",
            1,
            min(_MOST_BARS, max(2, live)),
            min(20, max(2, live)),
            key="top",
            bind="query-params",
            persist_state="session",
            width=170,
            help="Those with the largest |φ|.",
        )
        order = st.segmented_control(
            "Order",
            ["By |φ|", "By number"],
            default="By |φ|",
            required=True,
            key="order",
            bind="query-params",
            persist_state="session",
        )
        reading = st.segmented_control(
            "Methods’ values",
            [_RAW, _TIMES_MEAN],
            default=_RAW,
            required=True,
            key="reading",
            bind="query-params",
            persist_state="session",
            help="α is the method’s coefficient as it is. Many methods give it per unit of activation: times the "
            "channel’s mean activation it becomes a contribution, as φ is.",
        )
    return View(int(count), order == "By |φ|", reading == _TIMES_MEAN)


def _read(beside: Mapping[str, Values], estimate: ChannelEstimate, view: View) -> dict[str, Values]:
    return {method: contributions(alpha, estimate) if view.times_mean else alpha for method, alpha in beside.items()}


def _bars(estimate: ChannelEstimate, beside: Mapping[str, Values], view: View, chosen: int) -> None:
    phi, stderr = estimate.phi.numpy(), estimate.stderr.numpy()
    shown = view.shown(phi)
    scaled: dict[str, Any] = {}
    if beside:
        scaled = {REFERENCE: unit_norm(phi)[shown]}
        scaled |= {method: unit_norm(values)[shown] for method, values in _read(beside, estimate, view).items()}
    st.plotly_chart(
        channel_chart(shown, phi[shown], stderr[shown], scaled, chosen),
        key="bars",
        on_select=partial(_choose, links.widget_key("channel", _scope(estimate)), shown),
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"SHAP values of {len(shown)} channels for {estimate.label}; choose one to see its map",
    )
    below = (
        " Below, every method’s coefficients are scaled to an L2 norm of 1 over all channels, since their units differ."
        if beside
        else ""
    )
    st.html(
        style.quiet(
            "Above zero and plain: speaks for the class. Below zero and hatched: against it. Whiskers are ± one "
            f"standard error. Click a bar to see where the channel is active.{below}"
        )
    )


def _scope(estimate: ChannelEstimate) -> str:
    """What the numbers of channels depend on."""
    return f"{estimate.model}|{estimate.layer}"


def _choose(key: str, shown: Sequence[int]) -> None:
    """A bar was clicked: every trace of the chart has one point a channel, in the order in which they are shown."""
    points = st.session_state["bars"].selection.points
    if points:
        st.session_state[key] = str(shown[points[0]["point_index"]])


def _channel(estimate: ChannelEstimate) -> int:
    """The channel that is looked at: of the link, of a click on a bar, or chosen here by keyboard."""
    order = [str(channel) for channel in largest(estimate.phi, len(estimate.phi))]
    phi = estimate.phi.tolist()
    return int(
        links.choice(
            "channel",
            "Channel",
            order,
            default=order[0],
            scope=_scope(estimate),
            shown=lambda number: f"{number} · φ {_signed(phi[int(number)])}",
            help="All channels, the largest |φ| first. Type a number, or click a bar.",
        )
    )


def _map(seen: Scene, estimate: ChannelEstimate, channel: int) -> None:
    frame = seen.frame()
    raw = estimate.activations[0, channel].float().numpy()
    signed = bool((raw < 0).any())
    values = display_values(raw, (frame.height, frame.width), signed=signed)
    span = limits([values], signed=signed)
    colours = (DIVERGING if signed else SEQUENTIAL)[0]
    pictures.show(
        overlay(frame, values, _OPACITY, colours, span),
        alt=f"Channel {channel} heatmap of its activation over the photo",
    )
    st.html(style.colour_bar(colours, *span))


def _facts(seen: Scene, estimate: ChannelEstimate, beside: Mapping[str, Values], view: View, channel: int) -> None:
    phi, stderr = float(estimate.phi[channel]), float(estimate.stderr[channel])
    known = f" ± {stderr:.2g}" if isfinite(stderr) else ", error unknown"
    side = "speaks for" if phi > 0 else "speaks against" if phi < 0 else "says nothing about"
    places = {REFERENCE: estimate.phi.numpy(), **_read(beside, estimate, view)}
    rows = "".join(
        f"<span>{escape(title_of(name))}</span><span>{ranks(values)[channel]}</span>" for name, values in places.items()
    )
    dead = "" if bool(estimate.live[channel]) else " It is dead: 0 everywhere in this photo."
    st.html(
        f'<div class="cam-tile"><div><b>φ = {_signed(phi)}{known if not estimate.exact else " (exact)"}</b> logits: '
        f"{side} {escape(seen.prediction.label)}.{dead}</div>"
        f'<div class="cam-quiet">Mean activation {float(estimate.mean_activation[channel]):.3g}. '
        f"Rank by magnitude among {len(estimate.phi)} channels:</div>"
        f'<div class="cam-quiet cam-ranks">{rows}</div></div>'
    )


def _waterfall(estimate: ChannelEstimate, count: int) -> None:
    st.header("From nothing to the logit")
    steps = [
        (str(step.channel) if step.channel is not None else step.label, step.change)
        for step in waterfall(estimate, count)
    ]
    st.plotly_chart(
        waterfall_chart(("v(∅)", estimate.v_empty), steps, ("logit", estimate.v_all)),
        key="waterfall",
        config={"displayModeBar": False},
        alt=f"Waterfall from {estimate.v_empty:.2f} without any channel to the logit {estimate.v_all:.2f}",
    )
    gap = "" if estimate.exact else " The efficiency gap, which the estimates leave unexplained, is the last step."
    st.html(style.quiet(f"v(∅) is the logit with every channel set to 0; each step adds one channel’s φ.{gap}"))


def _similarity(estimate: ChannelEstimate, beside: Mapping[str, Values], view: View) -> None:
    st.header("How close each method comes")
    if not beside:
        st.html(style.quiet("Choose methods above to compare their coefficients with these SHAP values."))
        return
    found = {method: channel_fidelity(alpha, estimate) for method, alpha in beside.items()}
    similarities = {method: one.contributions if view.times_mean else one.coefficients for method, one in found.items()}
    best = max(one.cosine for one in similarities.values())
    rows = [
        (
            title_of(method),
            [
                Cell(style.decimals(one.cosine, 3), best=len(beside) > 1 and one.cosine == best),
                Cell(style.decimals(one.spearman, 3)),
                Cell(style.decimals(one.kendall, 3)),
                Cell(f"{one.overlap:.0%}"),
            ],
        )
        for method, one in sorted(similarities.items(), key=lambda entry: -entry[1].cosine)
    ]
    ceiling = f"{estimate.expected_cosine:.3f}" if isfinite(estimate.noise) else "unknown"
    rows.append(("*noise ceiling*", [Cell(ceiling), Cell("–"), Cell("–"), Cell("–")]))
    tables.show(["cosine", "Spearman", "Kendall τ", f"same top {TOP}"], rows)
    reading = _TIMES_MEAN if view.times_mean else f"{_RAW}, as they are"
    st.html(
        style.quiet(
            f"To SHAP, over live channels; coefficients read as {reading}. Noise ceiling: the cosine that even the "
            "true values could be expected to have to this estimate, given its standard errors."
        )
    )


def _signed(value: float) -> str:
    return style.decimals(value, 3, "+")
