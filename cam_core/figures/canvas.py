"""A figure whose positions are millimetres from its top left corner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cam_core.figures.design import Design
from cam_core.figures.layout import BAR
from cam_core.figures.scale import Scale
from cam_core.figures.text import INCH, POINT, SANS, font_families, leading
from cam_core.overlay import colourise


class Canvas:
    """An empty figure, and the means to fill it; within a block of `drawing(font)`.

    Args:
        height: millimetres.
        font: as of `font_families`.
    """

    def __init__(self, design: Design, height: float, font: str = SANS) -> None:
        self._design, self._font = design, font
        self._size = design.width, height
        self.figure = Figure(figsize=(design.width / INCH, height / INCH), dpi=design.dpi)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes that fill a rectangle."""
        across, down = self._size
        return self.figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))

    def line(self, left: float, middle: float, width: float, **look: Any) -> None:
        """A level line."""
        across, down = self._size
        ends = [left / across, (left + width) / across]
        self.figure.add_artist(Line2D(ends, [1 - middle / down] * 2, **look))

    def text(self, line: str, across: float, down: float, **look: Any) -> None:
        """A line of text; `look` as matplotlib takes it."""
        width, height = self._size
        self.figure.text(across / width, 1 - down / height, line, **{"ha": "center"} | look)

    def lines(self, lines: Sequence[str], centre: float, top: float, size: float) -> None:
        """Lines of text below one another, of `size` points."""
        for number, line in enumerate(lines):
            self.text(line, centre, top + leading(size) * (number + 0.8), fontsize=size, va="baseline")

    def upright(self, lines: Sequence[str], left: float, middle: float, size: float) -> None:
        """Lines of text turned to the left, the first at the left."""
        for number, line in enumerate(lines):
            self.text(line, left + leading(size) * (number + 0.5), middle, fontsize=size, va="center", rotation=90)

    def colour_bar(self, scale: Scale, left: float, top: float, bottom: float, right: float | None = None) -> None:
        """The colours of a scale with numbers, and what they are at `right`: the figure's edge where omitted."""
        design = self._design
        axes = self.axes(left, top, BAR, bottom - top)
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
        # By name: what matplotlib makes when it writes the file has the fonts that hold then.
        family = list(font_families(self._font))
        axes.set_yticks(scale.ticks, scale.numbers, fontsize=design.small, fontfamily=family)
        axes.yaxis.tick_right()
        axes.tick_params(length=1.5, width=0.4, pad=1.2)
        right = design.width if right is None else right
        self.upright([scale.label], right - 1.25 * design.small * POINT, (top + bottom) / 2, design.small)
