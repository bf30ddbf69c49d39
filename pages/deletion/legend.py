"""The legend at the curves: which line is whose. A name that is chosen lights its curve, and the others fade.

The browser does it by itself, with rules for what is chosen: curves that grow are not drawn again for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import streamlit as st

from cam_core.charts import trace_opacity
from cam_core.metrics.curves.spread import CONTROL
from pages.deletion.curves import title
from pages.shared import style, tables

HINT: Final = "Choose a row, or a name above the curves, to light that curve."

_GROUP: Final = "cam-lit"
_FADED: Final = 0.12


def legend(names: Sequence[str]) -> None:
    """A choice among the curves of these methods and the random ones; none is lit at first."""
    every = f'<input type="radio" name="{_GROUP}" id="{_GROUP}" checked><label for="{_GROUP}">All</label>'
    titles = {name: title(name) for name in names} | {CONTROL: "Random"}
    each = "".join(
        f'<input type="radio" name="{_GROUP}" id="{_id(name)}">{label(name, text)}' for name, text in titles.items()
    )
    st.html(f'<div class="cam-legend" role="radiogroup" aria-label="The curve to light">{every}{each}</div>')
    style.style_rules("".join(_rules(name, _places(name, names)) for name in titles))


def label(name: str, text: str) -> str:
    """A method's line and `text`: whoever clicks it lights the method's curve."""
    return f'<label for="{_id(name)}">{tables.line(name)}{escape(text)}</label>'


def _places(name: str, names: Sequence[str]) -> list[int]:
    """Of what is drawn under that name: see `trace_opacity`. A random map may be among the methods as well."""
    return [place for place, other in enumerate((CONTROL, *names)) if other == name]


def _rules(name: str, places: Sequence[int]) -> str:
    """What the style sheet has to say while a name is chosen."""
    others = "".join(f':not([style*="opacity: {trace_opacity(place)};"])' for place in places)
    if name == CONTROL:
        others += ":not(:has(.js-fill))"  # the band, of which plotly shows no opacity
    chosen, row = f':root:has([id="{_id(name)}"]:checked)', f'tr:has(label[for="{_id(name)}"])'
    return (
        f"{chosen} .st-key-charts .trace{others} {{ opacity: {_FADED} !important; }}"
        f"{chosen} .cam-table {row} {{ background: color-mix(in srgb, var(--cam-accent) 16%, transparent); }}"
    )


def _id(name: str) -> str:
    return f"{_GROUP}-{name.replace(' ', '_')}"
