"""Charts at the end of a row: curves of all its columns, or bars of their coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cam_core.figures.canvas import Canvas
from cam_core.figures.design import Design, FigureError
from cam_core.figures.grid.explained import ExplainedGrid, ExplainedRow
from cam_core.figures.grid.layout import ChartPanel, Key
from cam_core.figures.grid.spec import FigureSpec
from cam_core.figures.layout import KEY, PAD
from cam_core.figures.text import font_families, leading, text_width, wrapped
from cam_core.methods import METHODS
from cam_core.metrics.base import Values
from cam_core.metrics.curves.points import AXIS_OF_KIND, AXIS_OF_SCORE
from cam_core.numbers import significant
from cam_core.palette import DASHES, HUES, SHAPES, Style, evidence_colour, style_of
from cam_core.types import FloatArray

_DIGITS: Final = 4
"""Of a curve's values: finer ones are beneath what is printed, and differ with the batches that a device is given."""

_LEAST: Final = 6.0  # millimetres, that a chart's axes are wide and high
_PERCENT: Final = {0.0: "0", 0.5: "50", 1.0: "100 %"}
_FILLED: Final = 0.8  # of the room of a channel: what its bars take


def column_styles(spec: FigureSpec) -> list[Style]:
    """The looks of each column in charts: of its method; where methods come again, of its place."""
    methods = [column.method for column in spec.columns]
    if len(set(methods)) == len(methods):
        return [style_of(method) for method in methods]
    looks = [(HUES[n % len(HUES)], list(DASHES)[n % len(DASHES)], SHAPES[n % len(SHAPES)]) for n in range(len(methods))]
    return [Style(*look) for look in looks]


def draw_key(canvas: Canvas, key: Key, style: Style, design: Design) -> None:
    """The line of a column, and its title."""
    canvas.line(key.left, key.middle, KEY, **_line(style))
    canvas.text(key.title, key.left + KEY + PAD, key.middle, ha="left", va="center_baseline", fontsize=design.small)


def draw_chart(canvas: Canvas, panel: ChartPanel, grid: ExplainedGrid, styles: Sequence[Style]) -> None:
    """A chart with its title, in its rectangle.

    Raises:
        FigureError: the rectangle holds no chart, or no column has coefficients.
    """
    design = grid.spec.look.design
    size = design.font_size
    canvas.lines(panel.title, panel.left + panel.width / 2, panel.top - PAD - leading(size) * len(panel.title), size)
    chart = grid.spec.charts[panel.place]
    frame = _Frame(canvas, panel, design, grid.spec.look.typeface)
    if chart.curve is None:
        _coefficients(frame, panel.row, chart.channels, styles)
    else:
        _curves(frame, panel, grid, styles)


class _Frame:
    """The axes of a chart, whose numbers and words stand inside its rectangle. Positions are millimetres."""

    def __init__(self, canvas: Canvas, panel: ChartPanel, design: Design, font: str) -> None:
        self._canvas, self._panel, self._small, self._font = canvas, panel, design.small, font
        self._line = leading(design.small)
        self._top = leading(design.font_size) if panel.letter else self._line / 2
        self._family = list(font_families(font))

    def axes(self, low: float, high: float, below: float, words: str) -> Axes:
        """With numbers from `low` to `high` at the left.

        Args:
            below: what the axes' lower numbers and words take.
            words: upright beside the numbers.
        """
        ticks = [float(tick) for tick in MaxNLocator(3).tick_values(low, high)]
        ticks = [tick for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]
        numbers = [significant(tick, 2) for tick in ticks]
        panel, line = self._panel, self._line
        widest = max((text_width(number, self._small, self._font) for number in numbers), default=0.0)
        height = panel.height - self._top - below
        lines = wrapped(words, max(1.0, height), self._small, self._font)
        left = line * len(lines) + widest + 2 * PAD
        right = text_width(_PERCENT[1.0], self._small, self._font) / 2
        width = panel.width - left - right
        if min(width, height) < _LEAST:
            raise FigureError(
                f"a chart of {panel.width:.1f} × {panel.height:.1f} mm has no room for its numbers: make the figure "
                "wider, its letters smaller, or leave columns out"
            )
        self._place = panel.left + left, panel.top + self._top, width, height
        axes = self._canvas.axes(*self._place)
        axes.set_ylim(low, high)
        # By name: what matplotlib makes when it writes the file has the fonts that hold then.
        axes.set_yticks(ticks, numbers, fontsize=self._small, fontfamily=self._family)
        axes.tick_params(length=1.5, width=0.4, pad=1.2)
        axes.spines[["top", "right"]].set_visible(False)
        self._canvas.upright(lines, panel.left, panel.top + self._top + height / 2, self._small)
        return axes

    def along(self, axes: Axes, ticks: dict[float, str], words: str, *, rotation: float = 0.0) -> None:
        """Numbers and words below the axes."""
        axes.set_xticks(
            list(ticks), list(ticks.values()), fontsize=self._small, fontfamily=self._family, rotation=rotation
        )
        left, _, width, _ = self._place
        self._canvas.lines([words], left + width / 2, self._panel.top + self._panel.height - self._line, self._small)

    @property
    def below(self) -> float:
        """What one line of numbers and one of words take."""
        return 2 * self._line + PAD

    def upright_numbers(self, numbers: Sequence[str]) -> float:
        """The same, of numbers that are turned."""
        return self._line + 2 * PAD + max(text_width(number, self._small, self._font) for number in numbers)

    def every(self, count: int) -> int:
        """Of so many turned numbers below the axes: which ones have room, every one, or every second and so on."""
        _, _, width, _ = self._place
        return max(1, math.ceil(count * self._line / width))

    def holds(self, numbers: Sequence[str]) -> bool:
        """Whether so many numbers fit side by side below the axes, which are no wider than four fifths of the chart."""
        each = max(text_width(number, self._small, self._font) for number in numbers) + PAD
        return each * len(numbers) < 0.7 * self._panel.width


def _curves(frame: _Frame, panel: ChartPanel, grid: ExplainedGrid, styles: Sequence[Style]) -> None:
    chart = grid.spec.charts[panel.place]
    assert chart.curve is not None
    number = sum(other.curve is not None for other in grid.spec.charts[: panel.place])
    shown = [np.round(curve.values, _DIGITS) for row in grid.rows for curve in row.curves[number]]
    classes = all(made.probability is not None for made in panel.row.explanations)
    score = chart.score if classes else "value"
    low, high = min(float(values.min()) for values in shown), max(float(values.max()) for values in shown)
    low = min(0.0, low) if score == "probability" else low
    axes = frame.axes(low, high if high > low else low + 1, frame.below, AXIS_OF_SCORE[score])
    for curve, style in zip(panel.row.curves[number], styles, strict=True):
        axes.plot(curve.fractions, np.round(curve.values, _DIGITS), **_line(style))
    axes.set_xlim(0, 1)
    frame.along(axes, _PERCENT, AXIS_OF_KIND[chart.curve])


@dataclass(frozen=True)
class _Weights:
    """The coefficients of a column; `stderr` is theirs, or the map's where that is what is estimated."""

    column: int
    values: FloatArray
    stderr: FloatArray | None

    def errors(self, order: npt.NDArray[np.intp]) -> FloatArray:
        """Standard errors of some of them, 0 where they are unknown."""
        if self.stderr is None or self.stderr.shape != self.values.shape:
            return np.zeros(len(order), dtype=np.float32)
        return np.nan_to_num(self.stderr[order])


def _coefficients(frame: _Frame, row: ExplainedRow, count: int, styles: Sequence[Style]) -> None:
    """Bars of those channels that the first column with coefficients weights most.

    One column's stand in their own unit; of several each is scaled to an L2 norm of 1 over all channels, since their
    units differ.
    """
    known = _weights(row)
    first = known[0]
    order = np.argsort(-np.abs(first.values), kind="stable")[:count]
    alone = len(known) == 1
    heights = [_bars(each.values, order, alone) for each in known]
    errors = first.errors(order) if alone else np.zeros(len(order), dtype=np.float32)
    low = min(0.0, *(float(values.min()) for values in heights), float((heights[0] - errors).min()))
    high = max(0.0, *(float(values.max()) for values in heights), float((heights[0] + errors).max()))
    numbers = [str(channel) for channel in order]
    level = frame.holds(numbers)
    unit = METHODS[row.explanations[first.column].method].unit if alone else "unit L2 norm"
    below = frame.below if level else frame.upright_numbers(numbers)
    axes = frame.axes(low, high if high > low else 1.0, below, f"weight, {unit}")
    axes.axhline(0, color="black", linewidth=0.4)
    width = _FILLED / len(known)
    for place, (each, values) in enumerate(zip(known, heights, strict=True)):
        centres = np.arange(len(order)) + (place - (len(known) - 1) / 2) * width
        colours = [evidence_colour(value) for value in values] if alone else styles[each.column].colour
        bars = axes.bar(centres, values, width=width, color=colours)
        for bar, value in zip(bars, values, strict=True):
            if value < 0:
                bar.set(hatch="/////", edgecolor="white", linewidth=0)
    if errors.any():
        axes.errorbar(
            range(len(order)), heights[0], errors, fmt="none", ecolor="black", elinewidth=0.5, capsize=1.0, capthick=0.5
        )
    axes.set_xlim(-0.6, len(order) - 0.4)
    every = frame.every(len(numbers))
    ticks = {float(place): number for place, number in enumerate(numbers) if level or not place % every}
    frame.along(axes, ticks, "channel", rotation=0 if level else 90)


def _bars(values: FloatArray, order: npt.NDArray[np.intp], alone: bool) -> Values:
    """The heights of the bars: see `_coefficients`."""
    scale = 1.0 if alone else float(np.linalg.norm(values.astype(np.float64))) or 1.0
    # Rounded, for what a device adds in its last digits to change no byte of the figure.
    return np.array([float(f"{value / scale:.{_DIGITS}g}") for value in values[order].astype(np.float64)])


def _weights(row: ExplainedRow) -> list[_Weights]:
    """Of all columns that have coefficients.

    Raises:
        FigureError: there are none, or they are of other channels than the first one's.
    """
    known = [
        _Weights(column, made.coefficients, made.stderr)
        for column, made in enumerate(row.explanations)
        if made.coefficients is not None
    ]
    if not known:
        raise FigureError("none of these methods weights channels: there are no coefficients to draw")
    places = {(row.explanations[each.column].model, row.explanations[each.column].layer) for each in known}
    if len(places) > 1:
        raise FigureError("coefficients of several layers or networks are of other channels each: draw one of them")
    return known


def _line(style: Style) -> dict[str, Any]:
    strokes = DASHES[style.dash]
    return {"color": style.colour, "linestyle": (0, strokes) if strokes else "-", "linewidth": 1.0}
