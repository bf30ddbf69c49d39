"""The style sheet, the small pieces of HTML that Streamlit has no element for, and how numbers are written."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core.methods import METHODS
from cam_core.numbers import decimals as decimals
from cam_core.numbers import number as number
from cam_core.numbers import significant as significant
from cam_core.overlay import colour_stops
from cam_core.palette import AGAINST, FOR, NOTICE

_SHEET: Final = Path(__file__).with_name("app.css")
_COLOURS: Final = f"<style>:root {{ --cam-accent: {FOR}; --cam-against: {AGAINST}; --cam-notice: {NOTICE}; }}</style>"


def apply_style() -> None:
    """Put the style sheet on the page, and the palette's colours that it uses; once per run."""
    st.html(_COLOURS)
    st.html(_SHEET)


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


def mark(trained: bool) -> str:
    """What the name of a file ends in that shows a network which has learnt nothing."""
    return "" if trained else "-untrained"


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


def plain(text: str) -> str:
    r"""Text from elsewhere, which may hold names such as `layer*` or `[0]`, as it is: nothing of it is Markdown."""
    for mark in "\\`*_[]<>$~":
        text = text.replace(mark, f"\\{mark}")
    return text


def sentence(text: str) -> str:
    """A message of the core, which begins small and without a stop, as exceptions do; methods by their titles."""
    first, space, rest = text.partition(" ")
    begun = METHODS[first].title + space + rest if first in METHODS else text[:1].upper() + text[1:]
    return begun + ("" if begun.endswith((".", "!", "?", ")")) else ".")
