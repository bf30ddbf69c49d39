"""The places of everything in a grid, in millimetres from its top left corner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from cam_core.figures.design import FigureError
from cam_core.figures.grid.explained import ExplainedGrid, ExplainedRow
from cam_core.figures.grid.titles import (
    chart_title,
    column_titles,
    input_caption,
    letter,
    map_caption,
    row_facts,
    row_title,
)
from cam_core.figures.layout import BAR, GAP, KEY, PAD, SLIMMEST, RowLabel
from cam_core.figures.scale import Scale
from cam_core.figures.text import POINT, leading, text_width, wrapped
from cam_core.types import Explanation

_WIDER: Final = 1.8  # times as wide as a map: what a chart takes with its numbers
_LOWEST: Final = 25.0  # millimetres that a row with charts is high
_APART: Final = 3.0  # millimetres before each chart
_BETWEEN_KEYS: Final = 4.0


@dataclass(frozen=True)
class GridPanel:
    """A panel, its rectangle and its texts, as the lines that they are broken into."""

    row: ExplainedRow
    frame: Image.Image
    explanation: Explanation | None
    letter: str
    title: list[str]
    caption: list[str]
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class ChartPanel:
    """A chart, its rectangle with all its numbers, and its texts.

    Attributes:
        place: among the charts of its row.
    """

    row: ExplainedRow
    place: int
    letter: str
    title: list[str]
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Key:
    """What a column looks like in charts: its line begins at `left`, its title behind that."""

    column: int
    title: str
    left: float
    middle: float


class GridLayout:
    """Rows of equal panels, titled above the first row and beside each; to their right one colour bar, then charts.

    Attributes:
        height: of the whole figure.
        panels: row by row.
        charts: the same.
        labels: of the rows.
        bar: (left, top, bottom, right) of the colour bar with its words.
        keys: to the charts, below it all.
    Raises:
        FigureError: the width does not hold so many columns and charts.
    """

    def __init__(self, grid: ExplainedGrid, scale: Scale) -> None:
        self._grid, self._look, self._scale = grid, grid.spec.look, scale
        self._design, self._font = self._look.design, self._look.typeface
        self._titles = (["Input"] if self._look.input else []) + column_titles(grid)
        self._divide()
        self.panels: list[GridPanel] = []
        self.charts: list[ChartPanel] = []
        self.labels: list[RowLabel] = []
        self.height = PAD
        for row in grid.rows:
            self._add(row)
        # Half of the colour bar's lowest number stands below it.
        self.height += leading(self._design.small) / 2 if self._look.has_bar else 0.0
        bottom = max(panel.top + panel.height for panel in self.panels)
        self.bar = self._right + GAP, self.panels[0].top, bottom, self._right + self._bar_width
        self.keys: list[Key] = []
        if grid.spec.charts:
            self._add_keys(column_titles(grid))

    def _divide(self) -> None:
        """The width into titles, panels, colour bar and charts."""
        small = self._design.small
        numbers = max(text_width(number, small, self._font) for number in self._scale.numbers)
        self._bar_width = GAP + BAR + 2 * PAD + numbers + 1.6 * small * POINT if self._look.has_bar else 0.0
        self._indent(0.0)
        # A title of many words takes several lines, which make the panels narrower: so again.
        for _ in range(3 if self._look.row_titles else 0):
            most = max(len(self._row_lines(row)) for row in self._grid.rows)
            self._indent(PAD + leading(self._design.font_size) * most)
        charts = len(self._grid.spec.charts)
        if self._panel_width < SLIMMEST:
            beside = f" beside {charts} chart{'s' if charts > 1 else ''}" if charts else ""
            raise FigureError(
                f"{len(self._titles)} panels side by side{beside} do not fit into {self._design.width:g} mm: each "
                f"would be {max(0.0, self._panel_width):.1f} mm wide, and {SLIMMEST:g} is the least"
            )

    def _indent(self, left: float) -> None:
        """Begin the panels there: all are equally wide, and charts wider than they are."""
        self._left = left
        panels, charts = len(self._titles), len(self._grid.spec.charts)
        room = self._design.width - left - self._bar_width - GAP * (panels - 1) - _APART * charts
        self._panel_width = room / (panels + _WIDER * charts)
        self._right = left + panels * (self._panel_width + GAP) - GAP

    def _height_of(self, frame: Image.Image) -> float:
        return self._panel_width * frame.height / frame.width

    def _row_lines(self, row: ExplainedRow) -> list[str]:
        height = max(1.0, max(map(self._height_of, row.frames)))
        words = [row_title(row.shown), *row_facts(row, self._look.captions)]
        return [line for text in words for line in wrapped(text, height, self._design.font_size, self._font)]

    def _add(self, row: ExplainedRow) -> None:
        design, first = self._design, not self.panels
        titled = self._look.column_titles and first
        titles = [self._lines([title] if titled else [], design.font_size) for title in self._titles]
        chart_titles = [
            wrapped(chart_title(chart), self._chart_width, design.font_size, self._font) if titled else []
            for chart in self._grid.spec.charts
        ]
        captions = [self._lines(facts, design.small) for facts in self._captions(row)]
        most = max(map(len, [*titles, *chart_titles]))
        top = self.height + (0.0 if first else GAP)
        top += leading(design.font_size) * most + (PAD if most else 0.0)
        input_alone = [(row.frames[0], None)] if self._look.input else []
        shown = [*input_alone, *zip(row.frames, row.explanations, strict=True)]
        for place, (frame, explanation) in enumerate(shown):
            mark = self._next_letter()
            left = self._left + place * (self._panel_width + GAP)
            rectangle = left, top, self._panel_width, self._height_of(frame)
            self.panels.append(GridPanel(row, frame, explanation, mark, titles[place], captions[place], *rectangle))
        height = max(self._height_of(frame) for frame in row.frames)
        chart_height = max(height, _LOWEST) if chart_titles else 0.0
        for place, title in enumerate(chart_titles):
            left = self._right + self._bar_width + _APART + place * (self._chart_width + _APART)
            mark, rectangle = self._next_letter(), (left, top, self._chart_width, chart_height)
            self.charts.append(ChartPanel(row, place, mark, title, *rectangle))
        if self._look.row_titles:
            self.labels.append(RowLabel(self._row_lines(row), 0.0, top + height / 2))
        most = max(map(len, captions))
        self.height = top + max(chart_height, height + (PAD if most else 0.0) + leading(design.small) * most)

    @property
    def _chart_width(self) -> float:
        return _WIDER * self._panel_width

    def _next_letter(self) -> str:
        return letter(len(self.panels) + len(self.charts), self._look.letters)

    def _add_keys(self, titles: Sequence[str]) -> None:
        """As many in a line as the width holds."""
        small = self._design.small
        self.height += GAP + leading(small) / 2
        left = first = self._left
        for column, title in enumerate(titles):
            width = KEY + PAD + text_width(title, small, self._font)
            if left > first and left + width > self._design.width:
                left, self.height = first, self.height + leading(small)
            self.keys.append(Key(column, title, left, self.height))
            left += width + _BETWEEN_KEYS
        self.height += leading(small) / 2 + PAD

    def _captions(self, row: ExplainedRow) -> list[list[str]]:
        """Facts under each panel of a row, not yet broken into lines."""
        captions, alone = self._look.captions, self._look.input
        maps = [
            map_caption(row, place, captions, first=place == 0 and not alone, empty=self._scale.empty(explanation))
            for place, explanation in enumerate(row.explanations)
        ]
        return [input_caption(row, captions), *maps] if alone else maps

    def _lines(self, texts: Sequence[str], size: float) -> list[str]:
        return [line for text in texts for line in wrapped(text, self._panel_width, size, self._font)]
