"""What an author should know before the figure goes to print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from cam_core.figures.grid.drawing import INSET
from cam_core.figures.grid.explained import ExplainedGrid
from cam_core.figures.grid.layout import GridLayout
from cam_core.figures.grid.meaning import meanings
from cam_core.figures.grid.titles import row_title
from cam_core.figures.scale import Scale
from cam_core.figures.text import INCH
from cam_core.methods import METHODS
from cam_core.numbers import significant
from cam_core.overlay import AGAINST_UNEVEN, UNEVEN

SMALLEST: Final = 6.0
"""Points: what most venues ask for at least."""

_PALE_SHARE: Final = {"overlay": 0.08, "contours": 0.25}  # of the scale's end: less is not seen


def grid_doubts(grid: ExplainedGrid) -> list[str]:
    """Sentences: pixels that are enlarged, letters that are too small, a figure higher than a page, doubtful maps.

    Raises:
        FigureError: as `grid_figure`.
    """
    scale = Scale(grid.drawn, grid.spec.look.design)
    layout = GridLayout(grid, scale)
    return [
        *_small_letters(grid),
        *_enlarged(grid, layout.panels[0].width),
        *_high(layout.height, grid.spec.look.of_venue.highest),
        *_uneven(grid.spec.look.design.colours),
        *_pale(grid, scale.limits[1]),
        *_for_and_against(grid),
        *_of_maps(grid),
    ]


def _small_letters(grid: ExplainedGrid) -> Iterator[str]:
    size = grid.spec.look.design.small
    if size < SMALLEST:
        yield f"Captions and numbers have {size:.3g} points: below {SMALLEST:g} many venues refuse them."


def _enlarged(grid: ExplainedGrid, width: float) -> Iterator[str]:
    """Images of fewer pixels than are printed."""
    dpi = grid.spec.look.dpi
    for row in grid.rows:
        zoom = row.shown.zoom
        places = [("", width, 1.0)] + ([("The enlarged part of ", INSET * width, zoom[2])] if zoom else [])
        for what, length, share in places:
            printed, pixels = length / INCH * dpi, row.frames[0].width * share
            if printed > pixels + 1:
                yield (
                    f"{what}{row_title(row.shown)} has {pixels:.0f} pixels across {length:.1f} mm, which is "
                    f"{pixels / length * INCH:.0f} dpi: it is enlarged {printed / pixels:.1f} times for {dpi} dpi."
                )


def _high(height: float, highest: float) -> Iterator[str]:
    if height > highest:
        yield f"The figure is {height:.0f} mm high: a page with a caption holds about {highest:g}."


def _uneven(colours: str) -> Iterator[str]:
    if colours in UNEVEN:
        yield f"Colours {colours}: {AGAINST_UNEVEN}"


def _pale(grid: ExplainedGrid, end: float) -> Iterator[str]:
    """Maps that have something to show, and show nothing on a scale that all share."""
    look = grid.spec.look
    share = _PALE_SHARE.get(look.style, look.threshold)
    for row in grid.rows if look.shared else ():
        for explanation in row.explanations:
            values = np.abs(explanation.map) if look.signed else explanation.map
            if 0 < values.max() < share * end:
                yield (
                    f"{row_title(row.shown)}, {METHODS[explanation.method].title}: nearly blank on the shared scale, "
                    f"since its values are in a unit of their own: {significant(values.max(), 2)} at most, of "
                    f"{significant(end, 2)}."
                )


def _for_and_against(grid: ExplainedGrid) -> Iterator[str]:
    """Rows that look alike and answer different questions."""
    asked = {phrase for row in grid.rows for phrase in meanings(row)}
    if len(asked) > 1 and all(len(meanings(row)) <= 1 for row in grid.rows):
        told = [f"{row_title(row.shown)}: {phrase}" for row in grid.rows for phrase in meanings(row)]
        yield f"The rows do not show the same. {'; '.join(told)}. The caption says so."


def _of_maps(grid: ExplainedGrid) -> Iterator[str]:
    for row in grid.rows:
        for explanation in row.explanations:
            for warning in explanation.warnings:
                yield f"{row_title(row.shown)}, {METHODS[explanation.method].title}: {warning}"
