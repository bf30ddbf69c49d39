"""The figure on the screen as it will be printed, and what to know before it goes to print."""

from __future__ import annotations

import io
from dataclasses import replace
from html import escape
from typing import Final

import streamlit as st
from PIL import Image

from cam_core.figures import ExplainedGrid, grid_doubts, grid_file
from cam_core.figures.grid.titles import column_titles, row_title
from pages.runtime import compute
from pages.shared import pictures, style, tables

_DPI: Final = 192  # two pixels of a sharp screen for one of a style sheet, of which there are 96 to an inch
_MOST_SAID: Final = 4  # doubts that are read at once

_READY: Final = (
    "Nothing speaks against printing it: letters, pixels, height, colours and maps were checked, and none is doubtful."
)


def preview(grid: ExplainedGrid) -> None:
    """The figure at its printed size, where the screen is that wide; else it can be scrolled."""
    width = grid.spec.look.design.width
    picture = f'<img class="cam-print" src="{_address(grid)}" alt="{escape(_told(grid))}" style="width: {width:.2f}mm">'
    st.html(tables.scrolling("The figure at its printed size", picture))
    st.html(style.quiet(f"Shown at its printed size: {width:.4g} mm wide."))
    doubts = grid_doubts(grid)
    if not doubts:
        st.html(style.quiet(_READY))
    for doubt in doubts[:_MOST_SAID]:
        st.html(style.notice_line(doubt))
    if rest := doubts[_MOST_SAID:]:
        with st.expander(f"{len(rest)} more"):
            for doubt in rest:
                st.html(style.notice_line(doubt))


def _address(grid: ExplainedGrid) -> str:
    spec = replace(grid.spec, look=replace(grid.spec.look, dpi=_DPI))
    asked = replace(grid, spec=spec)
    made = [(explanation.model, explanation.device) for explanation in grid.explanations]
    return _drawn(compute.digest(spec, [row.sha256 for row in grid.rows], made), asked)


@st.cache_data(max_entries=4, scope="session", show_spinner=False)  # a visitor's photo goes with the visitor
def _drawn(digest: str, _grid: ExplainedGrid) -> str:
    with Image.open(io.BytesIO(grid_file(_grid, "png"))) as picture:
        return pictures.address(picture)


def _told(grid: ExplainedGrid) -> str:
    """For those who cannot see it."""
    rows = style.listed([row_title(row.shown) for row in grid.rows])
    return f"The figure: a heatmap of {rows} in each column: {style.listed(column_titles(grid))}"
