"""Deletion and insertion curves for print: panels of equal size, one legend below them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cam_core.analysis.curves import CurvePanel, CurveReport
from cam_core.figures.design import Design, FigureError
from cam_core.figures.layout import KEY
from cam_core.figures.output import drawing
from cam_core.figures.text import INCH, UNTRAINED, leading, text_width
from cam_core.metrics.curves.points import AXIS_OF_KIND, AXIS_OF_SCORE
from cam_core.metrics.curves.spread import CONTROL, Band
from cam_core.palette import DASHES, NEUTRAL, style_of

_NARROWEST: Final = 52.0  # millimetres of a panel with its numbers
_FLATTEST, _TALLEST = 28.0, 55.0  # millimetres of a panel's own height
_RIGHT: Final = 4.5  # millimetres: half of the last number stands beyond the axis
_Line = tuple[float, tuple[float, ...]] | Literal["-"]  # as matplotlib has it: an offset, and strokes and gaps


def curve_figure(report: CurveReport, design: Design | None = None) -> Figure:
    """Curves side by side, or one below the other where the width does not hold them.

    Raises:
        FigureError: nothing to draw.
    """
    if not any(len(line.values) for panel in report.panels for line in panel.lines):
        raise FigureError("a figure of curves needs at least one point")
    design = design or Design()
    with drawing():
        return _Drawing(report, design).figure


class _Drawing:
    """One figure being drawn. Positions are millimetres from the top left corner."""

    def __init__(self, report: CurveReport, design: Design) -> None:
        self._design, self._score = design, report.score
        self._network = f", {UNTRAINED}" if report.untrained else ""
        self._line = leading(design.small)
        panels, entries = report.panels, _legend(report.panels)
        rows = self._legend_rows(entries)
        across = max(1, min(len(panels), int(design.width // _NARROWEST)))
        down = -(-len(panels) // across)
        width, left, below = design.width / across, 4.2 * self._line, 3.4 * self._line
        inner = min(_TALLEST, max(_FLATTEST, 0.62 * (width - left)))
        outer = leading(design.font_size) * 1.3 + inner + below
        height = down * outer + (len(rows) + 0.5) * self._line * 1.25
        self.figure = Figure(figsize=(design.width / INCH, height / INCH), dpi=design.dpi)
        self._size = design.width, height
        for number, panel in enumerate(panels):
            corner = (number % across) * width, (number // across) * outer
            self._panel(panel, corner[0] + left, corner[1] + outer - below - inner, width - left - _RIGHT, inner)
        for number, row in enumerate(rows):
            self._legend_row(row, down * outer + (number + 0.6) * self._line * 1.25)

    def _panel(self, panel: CurvePanel, left: float, top: float, width: float, height: float) -> None:
        across, down = self._size
        axes = self.figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
        if panel.band is not None and len(panel.band.fractions):
            _draw_band(axes, panel.band)
        for line in panel.lines:
            colour, style = _looks(line.name)
            axes.plot(line.fractions, line.values, color=colour, linestyle=style, linewidth=1.1)
        small = self._design.small
        axes.set_title(f"{panel.kind.capitalize()}{self._network}", fontsize=self._design.font_size, pad=2.5)
        axes.set_xlabel(AXIS_OF_KIND[panel.kind], fontsize=small, labelpad=1.5)
        axes.set_ylabel(AXIS_OF_SCORE[self._score], fontsize=small, labelpad=2)
        axes.set_xlim(0, 1)
        if self._score == "probability":
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(length=2, width=0.4, pad=1.5, labelsize=small)
        axes.spines[["top", "right"]].set_visible(False)

    def _legend_rows(self, entries: Sequence[Entry]) -> list[list[Entry]]:
        """As many entries a row as the width holds."""
        rows: list[list[Entry]] = [[]]
        for entry in entries:
            if rows[-1] and self._row_width([*rows[-1], entry]) > self._design.width:
                rows.append([])
            rows[-1].append(entry)
        return rows

    def _row_width(self, row: Sequence[Entry]) -> float:
        return sum(self._entry_width(entry) for entry in row)

    def _entry_width(self, entry: Entry) -> float:
        return KEY + 1.2 + text_width(entry[0], self._design.small) + 4.0

    def _legend_row(self, row: Sequence[Entry], middle: float) -> None:
        across, down = self._size
        left, height = max(0.0, (across - self._row_width(row)) / 2), 1 - middle / down
        for entry in row:
            title, colour, style = entry
            ends = [left / across, (left + KEY) / across]
            line = Line2D(ends, [height] * 2, color=colour, linestyle=style, linewidth=1.1)
            self.figure.add_artist(line)
            size = self._design.small
            self.figure.text((left + KEY + 1.2) / across, height, title, fontsize=size, va="center_baseline")
            left += self._entry_width(entry)


Entry = tuple[str, str, _Line]  # title, colour, line style


def _looks(name: str) -> tuple[str, _Line]:
    colour, dash, _ = style_of(name)
    return colour, (0, DASHES[dash]) if DASHES[dash] else "-"


def _legend(panels: Sequence[CurvePanel]) -> list[Entry]:
    entries: list[Entry] = [(line.title, *_looks(line.name)) for line in panels[0].lines]
    band = next((panel.band for panel in panels if panel.band is not None), None)
    if band is not None:
        entries.append((f"{band.count} random maps: mean and range", *_looks(CONTROL)))
    return entries


def _draw_band(axes: Axes, band: Band) -> None:
    axes.fill_between(band.fractions, band.low, band.high, color=NEUTRAL, alpha=0.25, linewidth=0)
    colour, style = _looks(CONTROL)
    axes.plot(band.fractions, band.mean, color=colour, linestyle=style, linewidth=1.0)
