"""Channels looked at: bars of phi, the map of the channel that was clicked, the waterfall, the similarity of methods.

Two fragments, one in the other: a click on a bar redraws the bars and the map and nothing else; what decides which
channels are shown, and how, redraws all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from math import isfinite
from typing import Final

import streamlit as st
from PIL import Image

from cam_core.analysis.channels import ChannelReport, Reading, waterfall
from cam_core.analysis.shapley_fidelity import TOP
from cam_core.charts import channel_chart, waterfall_chart
from cam_core.methods import title_of
from cam_core.overlay import ACTIVATION, display_values, limits, outlined, shaded
from cam_core.types import FloatArray, Part
from pages.channels.estimate import convergence_section, score
from pages.runtime.compute import Question
from pages.shared import charts, links, pictures, style, tables
from pages.shared.scene import Scene
from pages.shared.tables import Cell

_READINGS: Final[dict[str, Reading]] = {"α": "coefficients", "α · mean A": "contributions"}
_READ: Final[dict[Reading, str]] = {
    "coefficients": "as weights α, as they are",
    "contributions": "as contributions, α · mean A",
}
_MAPS: Final = {"Shaded": shaded, "Outlined": outlined}
_BY_LENGTH: Final = "By length"
_MOST_BARS = 60
_MOST_STEPS = 20
"""Channels that have a step of their own: the names of more would run into each other."""
_STRONGEST = 3
_MAP = 352
"""Pixels of a side of the map: it is never shown wider than 340, and every click sends it."""
_THUMBNAIL = 160
"""Pixels of a side of a small map: some screens have more of them than the style sheet counts."""


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
    zones = st.container()
    _strongest(seen, report)
    view = _view(report.channels - report.dead)
    with zones:
        _zones(seen, report, view)
    with st.container(key="channel-steps"):
        _waterfall(report, view.count)
    with st.container(key="channel-below"):
        with st.container():
            _similarity(report, view)
        with st.container():
            convergence_section(report)


@st.fragment
def _zones(seen: Scene, report: ChannelReport, view: View) -> None:
    """What follows a click: the bars, the map of the channel, the table."""
    with st.container(key="channel-zones"):
        with st.container(key="channel-bars"):
            bars = st.container()
        with st.container(key="channel-map"):
            channel = _channel(report)
            _map(seen, report, channel)
            _facts(seen, report, view, channel)
        with bars:
            _bars(report, view, channel)
            _table(report, view, channel)


def _view(live: int) -> View:
    with st.container(horizontal=True, vertical_alignment="top", key="channel-view"):
        count = st.slider(
            "Channels shown",
            1,
            min(_MOST_BARS, max(2, live)),
            min(20, max(2, live)),
            **links.kept("top"),
            width=170,
            help="Those with the longest bars: the largest SHAP value φ, for or against.",
        )
        order = st.segmented_control(
            "Order",
            [_BY_LENGTH, "By number"],
            default=_BY_LENGTH,
            required=True,
            **links.kept("order"),
            help="By length: the longest bar first, whether it speaks for or against the class. By number: as the "
            "network numbers its channels.",
        )
        reading = st.segmented_control(
            "Methods’ weight α, or contribution",
            list(_READINGS),
            default=next(iter(_READINGS)),
            required=True,
            **links.kept("reading"),
            help="The weight α is the method’s coefficient as it is. Many methods give it per unit of activation: "
            "times the channel’s mean activation, mean A, it becomes a contribution, as the SHAP value φ is.",
        )
    return View(int(count), order == _BY_LENGTH, _READINGS[reading])


def _bars(report: ChannelReport, view: View, channel: int) -> None:
    channels = view.shown(report)
    scaled = report.scaled(channels, view.reading)
    st.html(
        style.quiet(
            f"A bar is what one channel adds to {score(report)}, or takes from it: its SHAP value φ. "
            "Click a bar to see where in the photo its channel is active."
        )
    )
    charts.show(
        channel_chart(
            channels, report.phi[channels], report.stderr[channels], scaled, channel, unit=report.measure.unit
        ),
        key="bars",
        on_select=partial(_choose, _key(report), channels),
        selection_mode="points",
        alt=f"SHAP values of {len(channels)} channels for {report.label}; choose one to see its map",
    )
    units = (
        " Below, relative size: each method’s values over their own length (L2 norm), since their units differ."
        if scaled
        else ""
    )
    st.html(
        style.quiet(
            f"Above zero and plain: speaks for {_it(report)}. Below zero and hatched: against it. Whiskers: ± one "
            f"standard error.{units}"
        )
    )


def _key(report: ChannelReport) -> str:
    """Where the channel that is looked at is kept."""
    return links.widget_key("channel", _scope(report))


def _scope(report: ChannelReport) -> str:
    """The model and the layer: the numbers of channels depend on them."""
    return f"{report.model}|{report.layer}"


def _choose(key: str, channels: Sequence[int]) -> None:
    """A bar was clicked: every trace of the chart has one point per channel, in the order in which they are shown."""
    points = st.session_state["bars"].selection.points
    if points:
        st.session_state[key] = str(channels[points[0]["point_index"]])


def _choose_row(key: str, table: str, channels: Sequence[int]) -> None:
    """A row of the table was selected."""
    rows = st.session_state[table].selection.rows
    if rows:
        st.session_state[key] = str(channels[rows[0]])


def _take(key: str, channel: int) -> None:
    """A small map was clicked."""
    st.session_state[key] = str(channel)


def _channel(report: ChannelReport) -> int:
    """The channel that is looked at: of the link, of a click on a bar, or chosen here by keyboard.

    At first the one that carries most of what is explained, which is what the page asks for.
    """
    bars = {str(channel): f"{channel} · φ {_signed(float(report.phi[channel]))}" for channel in report.order}
    return int(
        links.choice(
            "channel",
            "Channel",
            bars,
            default=str(next((channel for channel in report.order if report.phi[channel] > 0), report.order[0])),
            scope=_scope(report),
            help="All channels, the longest bar first. Type a number, or click a bar.",
        )
    )


def _map(seen: Scene, report: ChannelReport, channel: int) -> None:
    drawn = st.segmented_control(
        "Its activation",
        list(_MAPS),
        default=next(iter(_MAPS)),
        required=True,
        **links.kept("map"),
        help="Shaded: over the photo in grey, green where the channel is active, pink where it is negative, the "
        "fainter the weaker. Outlined: lines at ¼, ½ and ¾ of its largest magnitude. Neither is evidence for or "
        "against the class: whether the channel’s activation counts for it is what the bar says.",
    )
    frame = seen.frame(_MAP)
    size = (frame.height, frame.width)
    values = display_values(report.activations[channel], size, signed=True, part=seen.part)
    pictures.show(_MAPS[drawn](frame, values), alt=f"Channel {channel} heatmap of its activation over the photo")
    if drawn == "Shaded":
        st.html(style.colour_bar(ACTIVATION, *limits([values], signed=True)))


def _strongest(seen: Scene, report: ChannelReport) -> None:
    """The maps of the channels with the longest bars, small; a click on one selects it."""
    st.html(
        style.quiet(
            f"Where the channels with the longest bars are active, each with its φ in {report.measure.unit}. "
            "Click a map to look at its channel:"
        )
    )
    with st.container(key="channel-strongest"):
        for place, channel in enumerate(report.order[:_STRONGEST]):
            with st.container(key=f"strong-{place}"):
                activation = report.activations[channel]
                small = _small_map(seen.question, channel, seen.part, seen.frame(_MAP), activation)
                pictures.show(small, alt=f"Channel {channel}, number {place + 1} by its bar, small map")
                st.button(
                    f"{channel} · {_signed(float(report.phi[channel]))}",
                    key=f"take-{place}",
                    type="tertiary",
                    on_click=_take,
                    args=(_key(report), channel),
                    help=f"Look at channel {channel}.",
                )


def _facts(seen: Scene, report: ChannelReport, view: View, channel: int) -> None:
    phi, stderr = float(report.phi[channel]), float(report.stderr[channel])
    error = (
        " (exact)" if report.exact else f" ± {style.significant(stderr, 2)}" if isfinite(stderr) else ", error unknown"
    )
    said = seen.words
    verb, what = said.pro if phi > 0 else said.contra if phi < 0 else ("says nothing about", said.name)
    rows = "".join(
        f"<span>{escape(title_of(values.name))}</span><span>{values.ranks[channel]}</span>"
        for values in (report.shap, *report.methods[view.reading])
    )
    dead = "" if report.live[channel] else " It is dead: 0 everywhere in this photo."
    st.html(
        f'<div class="cam-tile"><div><b>φ = {_signed(phi)}{error}</b> {report.measure.unit}: '
        f"{verb} {escape(what)}.{dead}</div>"
        f'<div class="cam-quiet">Mean activation {style.significant(report.mean_activation[channel], 3)}. '
        f"Rank by magnitude among {report.channels} channels:</div>"
        f'<div class="cam-quiet cam-ranks">{rows}</div></div>'
    )


def _table(report: ChannelReport, view: View, channel: int) -> None:
    """The channels that are shown as rows, made while somebody looks; a row selects its bar."""
    opened = st.expander("The same as a table", key="channel-table", on_change="rerun")
    if not opened.open:
        return
    channels = view.shown(report)
    chosen = [channels.index(channel)] if channel in channels else []
    key = f"rows-{channel}"  # another channel is another table: which row is selected counts when a table is new
    with opened:
        st.dataframe(
            _columns(report, view, channels),
            hide_index=True,
            key=key,
            on_select=partial(_choose_row, _key(report), key, channels),
            selection_mode="single-row",
            selection_default={"selection": {"rows": chosen}},
            alt=f"SHAP values of {len(channels)} channels for {report.label}; select a row to see its map",
        )


def _columns(report: ChannelReport, view: View, channels: Sequence[int]) -> Mapping[str, Sequence[float | None]]:
    said = {title_of(values.name): values.values[channels] for values in report.methods[view.reading]}
    columns = {
        "channel": channels,
        f"SHAP value φ, {report.measure.unit}": report.phi[channels],
        "± standard error": report.stderr[channels],
        "mean activation": report.mean_activation[channels],
        **said,
    }
    return {name: [_cell(value) for value in values] for name, values in columns.items()}


def _cell(value: float) -> float | None:
    return float(f"{value:.3g}") if isfinite(value) else None


def _waterfall(report: ChannelReport, count: int) -> None:
    end, unit = report.measure
    st.header(f"From nothing to the {end}")
    steps = [
        (str(step.channel) if step.channel is not None else step.label, step.change)
        for step in waterfall(report, min(count, _MOST_STEPS))
    ]
    ends = [style.decimals(value, 2) for value in (report.v_empty, report.v_all)]
    charts.show(
        waterfall_chart(("nothing", report.v_empty), steps, (end, report.v_all), unit=unit),
        key="waterfall",
        alt=f"Waterfall from {ends[0]} without any channel to the {end} {ends[1]}",
    )
    gap = "" if report.exact else " What the estimates leave unexplained, the efficiency gap, is the last step."
    st.html(
        style.quiet(
            f"Nothing is {score(report)}, with every channel set to 0, written v(∅); each step adds one channel’s "
            f"φ.{gap}"
        )
    )


def _similarity(report: ChannelReport, view: View) -> None:
    st.header("How close each method comes")
    closest = report.closest(view.reading)
    if not closest:
        st.html(style.quiet("Choose methods above to compare their coefficients with these SHAP values."))
        return
    rows = [
        (
            escape(title_of(values.name)),
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
    rows.append(("<i>the most to expect</i>", [Cell(ceiling), Cell("–"), Cell("–"), Cell("–")]))
    st.html(tables.table(["Method", "cosine", "Spearman", "Kendall τ", f"same top {TOP}"], rows))
    st.html(
        style.quiet(
            f"Similarity to SHAP, 1 at most, over all channels that are not 0 everywhere; the methods’ values read "
            f"{_READ[view.reading]}. Spearman and Kendall compare the order alone. The most to expect, the noise "
            "ceiling: the cosine that even the true values could be expected to have to this estimate, given its "
            "standard errors."
        )
    )


@st.cache_data(max_entries=64, scope="session", show_spinner=False)
def _small_map(
    question: Question, channel: int, part: Part | None, _frame: Image.Image, _raw: FloatArray
) -> Image.Image:
    frame = _frame.resize((_THUMBNAIL, max(1, _THUMBNAIL * _frame.height // _frame.width)))
    return shaded(frame, display_values(_raw, (frame.height, frame.width), signed=True, part=part))


def _it(report: ChannelReport) -> str:
    return "the class" if isinstance(report.target, int) else "what is explained"


def _signed(value: float) -> str:
    return style.decimals(value, 3, "+")
