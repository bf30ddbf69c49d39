"""Heatmaps over photos: the layout drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from cam_core.figures.canvas import Canvas
from cam_core.figures.design import Design, FigureError, Row
from cam_core.figures.layout import PAD, Layout, Place
from cam_core.figures.output import drawing
from cam_core.figures.scale import Scale
from cam_core.figures.text import INCH, leading
from cam_core.overlay import overlay


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
        self._canvas = Canvas(design, layout.height)
        for place in layout.places:
            self._panel(place)
        for label in layout.labels:
            self._canvas.upright(label.lines, label.left, label.middle, design.small)
        self._canvas.colour_bar(self._scale, *layout.bar)
        self.figure = self._canvas.figure

    def _panel(self, place: Place) -> None:
        design, panel = self._design, place.panel
        width, height = (max(1, round(length / INCH * design.dpi)) for length in (place.width, place.height))
        picture = panel.frame.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        if panel.explanation is not None:
            values = self._scale.values(panel.explanation, (height, width))
            picture = overlay(picture, values, design.opacity, design.colours, self._scale.limits)
        axes = self._canvas.axes(place.left, place.top, place.width, place.height)
        axes.imshow(np.asarray(picture), aspect="auto", interpolation="none")
        axes.set_axis_off()
        centre = place.left + place.width / 2
        title_top = place.top - PAD - leading(design.font_size) * len(panel.title)
        self._canvas.lines(panel.title, centre, title_top, design.font_size)
        self._canvas.lines(panel.caption, centre, place.top + place.height + PAD, design.small)
