"""Heatmaps over photos: the layout drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from cam_core.figures.design import Design, FigureError, Row
from cam_core.figures.layout import BAR, PAD, Layout, Place
from cam_core.figures.output import drawing
from cam_core.figures.scale import Scale
from cam_core.figures.text import INCH, POINT, leading
from cam_core.overlay import colourise, overlay


def heatmap_figure(rows: Sequence[Row], design: Design | None = None) -> Figure:
    """Each photo with its class and probability, and its heatmaps beside it, titled; one colour bar.

    One photo's panels flow over several lines where they do not fit into one; several photos have one line each, and
    their maps stand in columns, which the first row titles.

    Raises:
        FigureError: nothing to draw, or more side by side than the width holds.
    """
    design = design or Design()
    if not rows or not all(row.explanations for row in rows):
        raise FigureError("a figure needs at least one photo with at least one map")
    with drawing():
        return _Drawing(rows, design).figure


class _Drawing:
    """One figure being drawn. Positions are millimetres from the top left corner."""

    def __init__(self, rows: Sequence[Row], design: Design) -> None:
        self._design = design
        self._scale = Scale(rows, design)
        layout = Layout(rows, design, self._scale)
        self._size = design.width, layout.height
        self.figure = Figure(figsize=(design.width / INCH, layout.height / INCH), dpi=design.dpi)
        for place in layout.places:
            self._panel(place)
        for label in layout.labels:
            self._upright(label.lines, label.left, label.middle)
        self._colour_bar(*layout.bar)

    def _panel(self, place: Place) -> None:
        design, panel = self._design, place.panel
        width, height = (max(1, round(length / INCH * design.dpi)) for length in (place.width, place.height))
        picture = panel.frame.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        if panel.explanation is not None:
            values = self._scale.values(panel.explanation, (height, width))
            picture = overlay(picture, values, design.opacity, design.colours, self._scale.limits)
        axes = self._axes(place.left, place.top, place.width, place.height)
        axes.imshow(np.asarray(picture), aspect="auto", interpolation="none")
        axes.set_axis_off()
        centre = place.left + place.width / 2
        self._lines(panel.title, centre, place.top - PAD - leading(design.font_size) * len(panel.title))
        self._lines(panel.caption, centre, place.top + place.height + PAD, small=True)

    def _lines(self, lines: Sequence[str], centre: float, top: float, small: bool = False) -> None:
        size = self._design.small if small else self._design.font_size
        for number, line in enumerate(lines):
            self._text(line, centre, top + leading(size) * (number + 0.8), fontsize=size, va="baseline")

    def _upright(self, lines: Sequence[str], left: float, middle: float) -> None:
        size = self._design.small
        for number, line in enumerate(lines):
            self._text(line, left + leading(size) * (number + 0.5), middle, fontsize=size, va="center", rotation=90)

    def _text(self, line: str, across: float, down: float, **look: Any) -> None:
        width, height = self._size
        self.figure.text(across / width, 1 - down / height, line, ha="center", **look)

    def _colour_bar(self, left: float, top: float, bottom: float) -> None:
        design, scale = self._design, self._scale
        axes = self._axes(left, top, BAR, bottom - top)
        low, high = scale.limits
        column = np.linspace(low, high, 256, dtype=np.float32)[:, None]
        axes.imshow(
            colourise(column, design.colours, scale.limits),
            aspect="auto",
            origin="lower",
            extent=(0, 1, low, high if high > low else low + 1),  # no scale: one colour
            interpolation="none",
        )
        axes.set_xticks([])
        axes.set_yticks(scale.ticks, scale.numbers, fontsize=design.small)
        axes.yaxis.tick_right()
        axes.tick_params(length=1.5, width=0.4, pad=1.2)
        self._upright([scale.label], design.width - 1.25 * design.small * POINT, (top + bottom) / 2)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        across, down = self._size
        return self.figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
