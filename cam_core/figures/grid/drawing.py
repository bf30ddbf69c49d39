"""The grid drawn, and as a file."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from cam_core.figures.canvas import Canvas
from cam_core.figures.grid.charts import column_styles, draw_chart, draw_key
from cam_core.figures.grid.explained import ExplainedGrid
from cam_core.figures.grid.layout import GridLayout, GridPanel
from cam_core.figures.layout import PAD
from cam_core.figures.output import drawing, encode_figure
from cam_core.figures.scale import Scale
from cam_core.figures.text import INCH, leading
from cam_core.overlay import LEVELS, colourise, highlight, overlay
from cam_core.types import Explanation, FloatArray

Part: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom of a part of a frame, as shares of it."""

_WHOLE: Final[Part] = (0.0, 0.0, 1.0, 1.0)
_TRACED: Final = 256  # positions a side that lines are traced on: a map is smooth between them
_MOST_VALUES: Final = 2048  # a side of which a zoom takes a part
INSET: Final = 0.45
"""Share of a panel's sides that an enlarged part takes."""


def grid_figure(grid: ExplainedGrid) -> Figure:
    """The figure of a spec whose maps are computed.

    Raises:
        FigureError: more side by side than the width holds.
    """
    with drawing(grid.spec.look.typeface):
        return _Drawing(grid).figure


def grid_file(grid: ExplainedGrid, form: str) -> bytes:
    """The figure as a file's content, with its spec and the versions written into it; equal for equal grids.

    Args:
        form: "pdf", "svg" or "png".
    Raises:
        FigureError: as `grid_figure`, or no such format.
    """
    return encode_figure(grid_figure(grid), form, grid.description)


class _Drawing:
    """One figure being drawn. Positions are millimetres from the top left corner."""

    def __init__(self, grid: ExplainedGrid) -> None:
        self._look, self._design = grid.spec.look, grid.spec.look.design
        self._scale = Scale(grid.drawn, self._design)
        layout = GridLayout(grid, self._scale)
        self._canvas = Canvas(self._design, layout.height, self._look.typeface)
        for panel in layout.panels:
            self._panel(panel)
        for label in layout.labels:
            self._canvas.upright(label.lines, label.left, label.middle, self._design.font_size)
        styles = column_styles(grid.spec)
        for chart in layout.charts:
            draw_chart(self._canvas, chart, grid, styles)
            self._letter(chart.letter, chart.left, chart.top)
        for key in layout.keys:
            draw_key(self._canvas, key, styles[key.column], self._design)
        if self._look.has_bar:
            self._canvas.colour_bar(self._scale, *layout.bar)
        self.figure = self._canvas.figure

    def _panel(self, panel: GridPanel) -> None:
        rectangle = panel.left, panel.top, panel.width, panel.height
        axes = self._canvas.axes(*rectangle)
        self._paint(axes, panel, _WHOLE, rectangle[2:])
        if panel.row.shown.zoom:
            self._zoom(axes, panel, *panel.row.shown.zoom)
        centre, size = panel.left + panel.width / 2, self._design.font_size
        self._canvas.lines(panel.title, centre, panel.top - PAD - leading(size) * len(panel.title), size)
        self._canvas.lines(panel.caption, centre, panel.top + panel.height + PAD, self._design.small)
        self._letter(panel.letter, panel.left + PAD, panel.top + PAD)

    def _letter(self, letter: str, left: float, top: float) -> None:
        """In a white box, where there is one."""
        if letter:
            box = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none"}
            look = {"ha": "left", "va": "top", "fontsize": self._design.font_size, "fontweight": "bold", "bbox": box}
            self._canvas.text(letter, left, top, **look)

    def _paint(self, axes: Axes, panel: GridPanel, part: Part, size: tuple[float, float]) -> None:
        """The photo with its map, or a part of it, in axes whose coordinates are shares of the frame.

        Args:
            size: of the place, millimetres.
        """
        left, top, right, bottom = part
        width, height = (max(1, round(length / INCH * self._design.dpi)) for length in size)
        photo = panel.frame.convert("RGB")
        box = left * photo.width, top * photo.height, right * photo.width, bottom * photo.height
        picture = photo.resize((width, height), Image.Resampling.LANCZOS, box)
        if panel.explanation is not None and self._look.style != "contours":
            picture = self._covered(picture, self._values(panel.explanation, part, (height, width)))
        axes.imshow(np.asarray(picture), aspect="auto", interpolation="none", extent=(left, right, bottom, top))
        if panel.explanation is not None and self._look.style == "contours":
            self._contours(axes, panel.explanation)
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_axis_off()

    def _covered(self, photo: Image.Image, values: FloatArray) -> Image.Image:
        look, limits = self._look, self._scale.limits
        if look.style == "mask":
            least = max(
                look.threshold * limits[1], float(np.finfo(np.float32).tiny)
            )  # of a map of zeros nothing is kept
            return highlight(photo, np.abs(values) >= least, look.opacity)
        return overlay(photo, values, look.opacity, self._design.colours, limits)

    def _values(self, explanation: Explanation, part: Part, size: tuple[int, int]) -> FloatArray:
        """(H, W): the map's values in a part of the frame."""
        if part == _WHOLE:
            return self._scale.values(explanation, size)
        left, top, right, bottom = part
        height, width = (
            min(_MOST_VALUES, round(n / (right - left))) for n in size
        )  # a zoom is as high as wide, in shares
        whole = Image.fromarray(self._scale.values(explanation, (height, width)))
        box = left * width, top * height, right * width, bottom * height
        return np.asarray(whole.resize(size[::-1], Image.Resampling.BILINEAR, box))

    def _contours(self, axes: Axes, explanation: Explanation) -> None:
        """Lines of equal value, each in its colour with a dark rim."""
        values = self._scale.values(explanation, (_TRACED, _TRACED))
        middles = (np.arange(_TRACED) + 0.5) / _TRACED
        end = self._scale.limits[1]
        signs = (-1, 1) if self._design.signed else (1,)
        levels = [level for level in sorted(sign * share * end for sign in signs for share in LEVELS)
                  if values.min() < level < values.max()]  # fmt: skip
        if not levels:
            return
        colours = colourise(np.array([levels], dtype=np.float32), self._design.colours, self._scale.limits)[0] / 255
        lines = axes.contour(
            middles, middles, values, levels=levels, colors=colours, linewidths=0.9, linestyles="solid"
        )
        lines.set_path_effects([withStroke(linewidth=1.7, foreground="black")])

    def _zoom(self, axes: Axes, panel: GridPanel, left: float, top: float, side: float) -> None:
        """A part enlarged in the corner that is farthest from it, but for the first, where letters stand."""
        part = left, top, left + side, top + side
        middle = left + side / 2, top + side / 2
        corners = [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
        across, down = max(corners, key=lambda corner: abs(corner[0] - middle[0]) + abs(corner[1] - middle[1]))
        width, height = INSET * panel.width, INSET * panel.height
        place = panel.left + across * (panel.width - width), panel.top + down * (panel.height - height)
        inset = self._canvas.axes(*place, width, height)
        self._paint(inset, panel, part, (width, height))
        frame = Rectangle((0, 0), 1, 1, transform=inset.transAxes, fill=False, edgecolor="white", linewidth=1.6)
        inset.add_patch(frame)
        axes.add_patch(
            Rectangle((left, top), side, side, fill=False, edgecolor="white", linewidth=0.8,
                      path_effects=[withStroke(linewidth=1.6, foreground="black")])
        )  # fmt: skip
