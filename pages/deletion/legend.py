"""The legend at the curves: which line is whose. A name that is chosen lights its curve, and the others fade.

The browser does it by itself, with rules for what is chosen: curves that grow are not drawn again for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import streamlit as st

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
    style.style_rules("".join(map(_rules, titles)))


def label(name: str, text: str) -> str:
    """A method's line and `text`: whoever clicks it lights the method's curve."""
    return f'<label for="{_id(name)}">{tables.line(name)}{escape(text)}</label>'


def _rules(name: str) -> str:
    """What the style sheet has to say while a name is chosen."""
    chosen, row = f':root:has([id="{_id(name)}"]:checked)', f'tr:has(label[for="{_id(name)}"])'
    return (
        f'{chosen} .st-key-charts .trace:not([class~="trace{name}"]) {{ opacity: {_FADED} !important; }}'
        f"{chosen} .cam-table {row} {{ background: color-mix(in srgb, var(--cam-accent) 16%, transparent); }}"
    )


def _id(name: str) -> str:
    return f"{_GROUP}-{name}"
