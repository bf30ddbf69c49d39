"""The figure to take away: PDF, SVG, PNG, the LaTeX around it, its references, and the spec that draws it again."""

from __future__ import annotations

import streamlit as st

from cam_core.figures import ExplainedGrid, bibliography, grid_figure, latex_snippet
from pages.shared import downloads, style

_NAME = "figure"


def name_of(grid: ExplainedGrid) -> str:
    """What the figure's files are called."""
    return f"{_NAME}{style.mark(all(made.trained for made in grid.explanations))}"


def files(grid: ExplainedGrid) -> None:
    """Buttons for all of it; what they give is what the command line and Python give for the same spec."""
    name = name_of(grid)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="figure-downloads"):
        width = f"{grid.spec.look.design.width:.4g} mm wide; text as text, images without loss."
        downloads.figures(lambda: grid_figure(grid), name, grid.description, key="save-figure", help=width)
        downloads.button(
            "TeX", lambda: latex_snippet(grid, f"{name}.pdf").encode(), f"{name}.tex", key="save-tex",
            help="The figure environment, with a caption that says network, layer, classes, methods, seed, versions.",
        )  # fmt: skip
        downloads.button(
            "BibTeX", lambda: bibliography(column.method for column in grid.spec.columns).encode(), f"{name}.bib",
            key="save-bib", help="The papers of these methods, as the caption cites them.",
        )  # fmt: skip
        downloads.button(
            "JSON", lambda: grid.spec.to_json().encode(), f"{name}.json", key="save-spec",
            help="All that was chosen here: the command line and Python draw the same figure from it.",
        )  # fmt: skip
    # Without a language: the colours that Streamlit gives to code are too pale to be read by everybody.
    with st.expander("The caption", icon=":material/code:"):
        st.code(latex_snippet(grid, f"{name}.pdf"), None, wrap_lines=True)
