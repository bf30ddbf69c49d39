"""Colour maps: which there are, what each looks like, also to others and in grey print, and a reason against some."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from cam_core.overlay import (
    AGAINST_UNEVEN,
    CRAMERI_DIVERGING,
    CRAMERI_SEQUENTIAL,
    DIVERGING,
    SEQUENTIAL,
    UNEVEN,
    VISIONS,
    colour_stops,
    has_crameri,
)
from pages.shared import style, tables


def offered(signed: bool, *, printed: bool = False) -> list[str]:
    """The names of those for signed, or for positive values; the first is the default, those with a reason against
    them come last.

    Args:
        printed: with Crameri's, where they are installed.
    """
    own, crameri = (DIVERGING, CRAMERI_DIVERGING) if signed else (SEQUENTIAL, CRAMERI_SEQUENTIAL)
    return [*own, *(crameri if printed and has_crameri() else ()), *(() if signed else UNEVEN)]


def previews(names: Sequence[str], key: str) -> None:
    """A table of them as they are and as others see them; made when it is opened.

    Args:
        key: tells apart several on one page.
    """
    with st.popover("How others see these colours", icon=":material/visibility:", type="tertiary",
                    key=f"visions-{key}", on_change="rerun") as opened:  # fmt: skip
        if opened.open:
            st.html(_table(names))
            st.html(
                style.quiet(
                    "Simulated after Machado et al. 2009, at full severity. Deuteranopia: no green cones, the most "
                    "frequent; protanopia: no red ones; tritanopia: no blue ones."
                )
            )


def reason_against(name: str) -> None:
    """Drawn where a colour map was chosen that has one."""
    if name in UNEVEN:
        st.html(style.notice_line(f"{name}: {AGAINST_UNEVEN}"))


def _table(names: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escape(vision.capitalize())}</th>' for vision in VISIONS)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(_bar(name, vision) for vision in ("", *VISIONS))}</tr>'
        for name in names
    )
    return tables.scrolling(
        "Table: colours",
        '<table class="cam-table"><thead><tr><th scope="col">Colours</th><th scope="col">As they are</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table>",
    )


def _bar(name: str, vision: str) -> str:
    """Lowest value at the left."""
    stops = ", ".join(colour_stops(name, 17, vision))
    said = f"{name}, {f'by {vision}' if vision else 'as it is'}"
    gradient = f"background: linear-gradient(to right, {stops})"
    return f'<td><i class="cam-swatch" role="img" aria-label="{escape(said)}" style="{gradient}"></i></td>'
