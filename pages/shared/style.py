"""The style sheet, and the small pieces of HTML that Streamlit has no element for.

Colours come from the theme (`currentColor`, thinned), so that light and dark need no sheet of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, isnan, log10

import streamlit as st

from cam_core.models.classifier import Prediction
from cam_core.overlay import colour_stops
from cam_core.palette import AGAINST, FOR, NOTICE

_COLOURS = f":root {{ --cam-accent: {FOR}; --cam-against: {AGAINST}; --cam-notice: {NOTICE}; }}"

_SHEET = """
.stMainBlockContainer { padding-left: 2.4rem; padding-right: 2.4rem; max-width: 1500px; container-type: inline-size; }
[data-testid="stSidebarContent"] [data-testid="stVerticalBlock"] { gap: .7rem; }
.stMainBlockContainer h1 { font-size: 1.65rem; padding: 0 0 .1rem; letter-spacing: -.01em; }
.stMainBlockContainer h2 { font-size: 1.1rem; padding: .6rem 0 .1rem; }

.st-key-zones { display: grid; grid-template-columns: minmax(220px, 270px) minmax(0, 1fr); gap: 2rem; }
@container (max-width: 760px) { .st-key-zones { grid-template-columns: minmax(0, 1fr); gap: 1rem; } }
.st-key-seen { gap: .6rem; }
@container (max-width: 760px) {
  .st-key-seen { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: .6rem 1.2rem; }
}

[class*="st-key-tiles"] {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 1.4rem 1.1rem; align-items: start;
}
[class*="st-key-tile-"] { gap: .3rem; }
[class*="st-key-tile-"] img, .st-key-seen img { border-radius: 6px; }
/* Streamlit fades what is being redrawn: a tile that polls would flicker. */
[class*="st-key-poll-"] [data-stale="true"] { opacity: 1 !important; transition: none !important; }
[class*="st-key-idle-"] img { filter: grayscale(1) opacity(.3); }

.cam-tile { line-height: 1.35; }
.cam-name { font-weight: 600; }
.cam-quiet { font-size: .8rem; opacity: .68; line-height: 1.4; }
.cam-bar { display: flex; align-items: center; gap: .45rem; font-size: .75rem; font-variant-numeric: tabular-nums; }
.cam-bar i { flex: 1; height: 8px; border-radius: 2px; }
.cam-bar span { opacity: .75; }
.cam-subtitle { opacity: .8; } .cam-subtitle b { font-weight: 600; }
.cam-notice {
  font-size: .8rem; line-height: 1.4; margin: .15rem 0 0; padding: .1rem 0 .1rem .6rem;
  border-left: 3px solid var(--cam-notice);
}

.cam-top { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .1rem .6rem; font-size: .85rem; }
.cam-top .bar { grid-column: 1 / -1; height: 3px; border-radius: 2px; margin-bottom: .35rem;
  background: color-mix(in srgb, currentColor 12%, transparent); }
.cam-top .bar i { display: block; height: 100%; border-radius: 2px;
  background: color-mix(in srgb, currentColor 45%, transparent); }
.cam-top .chosen { font-weight: 600; }
.cam-top .chosen + .share + .bar i { background: var(--cam-accent); }
.cam-top .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.cam-top .share { font-variant-numeric: tabular-nums; opacity: .75; text-align: right; }

[class*="st-key-tile-"] button { padding: .1rem .5rem; min-height: 1.9rem; }
[class*="st-key-tile-"] button p { font-size: .8rem; }
[class*="st-key-tile-"] [data-testid="stAlertContainer"] { padding: .55rem .7rem; }
[class*="st-key-tile-"] [data-testid="stAlertContainer"] p { font-size: .8rem; line-height: 1.4; }
[class*="st-key-tile-"] [data-testid="stProgress"] p { font-size: .8rem; opacity: .8; }

[data-testid="stSidebarLogo"] { border-radius: 5px; }
[data-testid="stSidebarHeader"] > :first-child { display: flex; align-items: center; gap: .55rem; }
[data-testid="stSidebarHeader"] > :first-child::after { content: "CAMscope"; font-weight: 650; font-size: 1.1rem; }

.cam-scroll { overflow-x: auto; }
.cam-matrix { border-collapse: separate; border-spacing: 2px; font-size: .8rem; font-variant-numeric: tabular-nums; }
.cam-matrix th { font-weight: 500; padding: .2rem .5rem; text-align: right; white-space: nowrap; border: 0; }
.cam-matrix thead th { text-align: center; }
.cam-matrix td { min-width: 4.4rem; text-align: center; padding: .34rem .4rem; border-radius: 3px; border: 0; }

[data-testid="stSidebarContent"] [data-testid="stAlertContainer"] { padding: .6rem .7rem; }
[data-testid="stSidebarContent"] [data-testid="stAlertContainer"] p { font-size: .85rem; line-height: 1.4; }
.st-key-gallery { display: grid; grid-template-columns: repeat(6, 1fr); gap: 4px; }
.st-key-gallery > div, .st-key-gallery > div > div { width: 100%; }
.st-key-gallery button {
  aspect-ratio: 1; min-height: 0; width: 100%; padding: 0; background-size: cover; background-position: center;
  border: 0; border-radius: 5px; outline-offset: 1px;
}
.st-key-gallery button p { font-size: 0; }
.st-key-gallery button:hover { outline: 2px solid color-mix(in srgb, currentColor 45%, transparent); }
.st-key-gallery button:focus-visible { outline: 2px solid var(--cam-accent); }
"""


def apply_style() -> None:
    """Put the style sheet on the page; once a run."""
    st.html(f"<style>{_COLOURS}{_SHEET}</style>")


def style_rules(rules: str) -> None:
    """Further rules, made by this package and never from what a visitor typed."""
    st.html(f"<style>{rules}</style>")


def name_line(text: str) -> str:
    """The name over a tile."""
    return f'<div class="cam-name">{escape(text)}</div>'


def subtitle(before: str, stressed: str, after: str) -> str:
    """The line under the page's title."""
    return f'<div class="cam-subtitle">{escape(before)}<b>{escape(stressed)}</b>{escape(after)}</div>'


def quiet(text: str) -> str:
    """Small print."""
    return f'<div class="cam-quiet">{escape(text)}</div>'


def notice_line(text: str) -> str:
    """Something to know before trusting the map."""
    return f'<p class="cam-notice" role="note">{escape(text)}</p>'


def colour_bar(colour_map: str, low: float, high: float) -> str:
    """The colour map between the values that its ends stand for."""
    ends = [number(end, max(abs(low), abs(high))) for end in (low, high)]
    stops = ", ".join(colour_stops(colour_map, 17))
    return (
        f'<div class="cam-bar" role="img" aria-label="Colour bar from {ends[0]} to {ends[1]}"><span>{ends[0]}</span>'
        f'<i style="background: linear-gradient(to right, {stops})"></i><span>{ends[1]}</span></div>'
    )


def top_classes(predictions: Sequence[Prediction], chosen: int) -> str:
    """Class names with their probabilities as thin bars; the explained class stands out."""
    rows = [
        f'<span class="name{" chosen" if one.index == chosen else ""}" title="{escape(one.label)}">{escape(one.label)}'
        f'</span><span class="share">{percent(one.probability)}</span>'
        f'<div class="bar"><i style="width: {100 * one.probability:.2f}%"></i></div>'
        for one in predictions
    ]
    return f'<div class="cam-top">{"".join(rows)}</div>'


def matrix(names: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    """A square table of numbers in [−1, 1], each on a tint as strong as itself; "–" where there is none."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, line))}</tr>'
        for name, line in zip(names, values, strict=True)
    )
    return (
        f'<div class="cam-scroll"><table class="cam-matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(value: float) -> str:
    if isnan(value):
        return "<td>–</td>"
    tint = "--cam-accent" if value > 0 else "--cam-against"
    text = decimals(value, 2)
    return f'<td style="background: color-mix(in srgb, var({tint}) {abs(value) * 55:.0f}%, transparent)">{text}</td>'


def decimals(value: float, places: int, sign: str = "") -> str:
    """So many places after the point, with a true minus; nothing is "−0.00". `sign="+"` shows a plus, too."""
    text = f"{value:{sign}z.{places}f}"
    return text.replace("-", "−")


def number(value: float, largest: float) -> str:
    """A value beside others up to `largest`, of which three significant digits are shown: "0.002" beside "0.738"."""
    if largest == 0 or not 1e-3 <= largest < 1e5:
        return f"{value:.2e}".replace("-", "−") if value else "0"
    text = f"{value:.{max(0, 2 - floor(log10(largest)))}f}"
    return text.replace("-", "−") if float(text) else "0"


def percent(probability: float) -> str:
    """ "97.2 %"; what is too small to show so is "< 0.1 %"."""
    return "< 0.1 %" if 0 < probability < 0.0005 else f"{100 * probability:.1f} %"


def duration(seconds: float) -> str:
    """ "41 ms", "3.2 s", "2 min 5 s"."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
