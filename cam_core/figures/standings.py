"""Methods by metrics for print: a panel per metric, a line per method, each mean with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cam_core.evaluation.report.leading import lead, standing_of
from cam_core.evaluation.scores import Column
from cam_core.evaluation.statistics import Comparison, Standing
from cam_core.figures.canvas import Canvas
from cam_core.figures.design import Design, FigureError
from cam_core.figures.output import drawing
from cam_core.figures.text import leading, text_width, wrapped
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS, Metric
from cam_core.palette import INK, NEUTRAL, SHAPES, style_of

_MARKS: Final = dict(zip(SHAPES, "oDsP^X*pv", strict=True))  # by their name in plotly
_NARROWEST: Final = 34.0  # millimetres of a panel
_TITLE: Final = 0.92  # of a panel's width: on a screen, letters are a little wider than their outlines
_GAP: Final = 4.0  # millimetres between panels
_ARROWS: Final = {"higher": "higher is better →", "lower": "← lower is better"}


def standings_figure(comparisons: Sequence[Comparison], design: Design | None = None) -> Figure:
    """Means with intervals, the best of each network as a full mark; controls are grey.

    Raises:
        FigureError: nothing to draw, or a width that does not hold the methods' names.
    """
    if not any(standing.interval for comparison in comparisons for standing in comparison.standings):
        raise FigureError("a figure of standings needs at least one value")
    with drawing():
        return _Drawing(comparisons, design or Design()).canvas.figure


class _Drawing:
    """One figure being drawn. Positions are millimetres from the top left corner."""

    def __init__(self, comparisons: Sequence[Comparison], design: Design) -> None:
        self._design, self._line = design, 1.45 * leading(design.small)
        self._rows = _rows([standing.column for standing in comparisons[0].standings])
        self._names = max(text_width(_name(row), design.small) for row in self._rows) + 3
        room = design.width - self._names
        if room < _NARROWEST:
            raise FigureError(f"{design.width:g} mm do not hold the methods' names and a panel beside them")
        across = min(len(comparisons), int((room + _GAP) // (_NARROWEST + _GAP)))
        width = (room - (across - 1) * _GAP) / across
        titles = [wrapped(_title(METRICS[each.metric]), _TITLE * width, design.small) for each in comparisons]
        head = (max(map(len, titles)) + 0.6) * leading(design.small)
        inner, below = len(self._rows) * self._line, 3.2 * leading(design.small)
        down = -(-len(comparisons) // across)
        self.canvas = Canvas(design, down * (head + inner + below))
        for place, (comparison, title) in enumerate(zip(comparisons, titles, strict=True)):
            left = self._names + (place % across) * (width + _GAP)
            top = (place // across) * (head + inner + below)
            if place % across == 0:
                self._labels(top + head)
            self.canvas.lines(title, left + width / 2, top, design.small)
            self._panel(comparison, self.canvas.axes(left, top + head, width, inner))

    def _labels(self, top: float) -> None:
        small = self._design.small
        for place, row in enumerate(self._rows):
            middle = top + (place + 0.5) * self._line
            weight = "bold" if isinstance(row, str) else "normal"
            self.canvas.text(_name(row), 0, middle, ha="left", va="center_baseline", fontsize=small, fontweight=weight)

    def _panel(self, comparison: Comparison, axes: Axes) -> None:
        small = self._design.small
        for place, row in enumerate(self._rows):
            standing = None if isinstance(row, str) else standing_of(comparison, row)
            if standing is not None and standing.interval is not None:
                full = standing.column == lead(comparison, standing.column.run).best
                _mark(axes, standing, len(self._rows) - 1 - place, full, small)
        axes.set_ylim(-0.5, len(self._rows) - 0.5)
        axes.set_yticks([])
        axes.margins(x=0.08)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(length=1.5, width=0.4, pad=1.2, labelsize=small)
        axes.grid(axis="x", color=NEUTRAL, alpha=0.3, linewidth=0.3)
        axes.set_xlabel(_ARROWS[comparison.direction], fontsize=small, labelpad=1.5)
        axes.spines[["top", "right", "left"]].set_visible(False)


_Row = Column | str  # a method, or the name of the network that those below belong to


def _rows(columns: Sequence[Column]) -> list[_Row]:
    runs = list(dict.fromkeys(column.run for column in columns))
    rows: list[_Row] = []
    for run in runs:
        rows += [run] if len(runs) > 1 else []
        rows += [column for column in columns if column.run == run]
    return rows


def _name(row: _Row) -> str:
    return row if isinstance(row, str) else METHODS[row.method].title


def _title(metric: Metric) -> str:
    return f"{metric.title}, {metric.unit}" if metric.unit else metric.title


def _mark(axes: Axes, standing: Standing, height: int, full: bool, size: float) -> None:
    """A method's mean as its own mark, full where it leads, and the interval as a line through it."""
    assert standing.interval is not None
    interval = standing.interval
    colour, _, shape = style_of(standing.column.method)
    axes.plot([interval.low, interval.high], [height] * 2, color=colour, linewidth=1.0, zorder=1)
    axes.plot(
        [interval.mean],
        [height],
        color=colour,
        marker=_MARKS[shape],
        markersize=size / 2,
        markerfacecolor=colour if full else "white",
        markeredgecolor=INK if full else colour,
        markeredgewidth=0.6,
        zorder=2,
    )
