"""The places of everything in a grid, in millimetres from its top left corner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from cam_core.figures.design import FigureError
from cam_core.figures.grid.explained import ExplainedGrid, ExplainedRow
from cam_core.figures.grid.titles import column_titles, input_caption, letter, map_caption, row_facts, row_title
from cam_core.figures.layout import BAR, GAP, PAD, SLIMMEST, RowLabel
from cam_core.figures.scale import Scale
from cam_core.figures.text import POINT, leading, text_width, wrapped
from cam_core.types import Explanation


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


class GridLayout:
    """Rows of equal panels, titled above the first row and beside each; one colour bar to the right of them all.

    Attributes:
        height: of the whole figure.
        panels: row by row.
        labels: of the rows.
        bar: (left, top, bottom) of the colour bar.
    Raises:
        FigureError: the width does not hold so many columns.
    """

    def __init__(self, grid: ExplainedGrid, scale: Scale) -> None:
        self._grid, self._look, self._scale = grid, grid.spec.look, scale
        self._design, self._font = self._look.design, self._look.typeface
        self._titles = (["Input"] if self._look.input else []) + column_titles(grid)
        self._divide()
        self.panels: list[GridPanel] = []
        self.labels: list[RowLabel] = []
        self.height = PAD
        for row in grid.rows:
            self._add(row)
        # Half of the colour bar's lowest number stands below it.
        self.height += leading(self._design.small) / 2 if self._look.has_bar else 0.0
        self.bar = self._right + GAP, self.panels[0].top, max(panel.top + panel.height for panel in self.panels)

    def _divide(self) -> None:
        """The width into titles, panels and colour bar."""
        small = self._design.small
        numbers = max(text_width(number, small, self._font) for number in self._scale.numbers)
        self._right = self._design.width
        if self._look.has_bar:
            self._right -= GAP + BAR + 2 * PAD + numbers + 1.6 * small * POINT
        self._indent(0.0)
        # A title of many words takes several lines, which make the panels narrower: so again.
        for _ in range(3 if self._look.row_titles else 0):
            most = max(len(self._row_lines(row)) for row in self._grid.rows)
            self._indent(PAD + leading(self._design.font_size) * most)
        if self._panel_width < SLIMMEST:
            raise FigureError(
                f"{len(self._titles)} panels side by side do not fit into {self._design.width:g} mm: each would be "
                f"{max(0.0, self._panel_width):.1f} mm wide, and {SLIMMEST:g} is the least"
            )

    def _indent(self, left: float) -> None:
        self._left = left
        count = len(self._titles)
        self._panel_width = (self._right - left - GAP * (count - 1)) / count

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
        captions = [self._lines(facts, design.small) for facts in self._captions(row)]
        most = max(map(len, titles))
        top = self.height + (0.0 if first else GAP)
        top += leading(design.font_size) * most + (PAD if most else 0.0)
        input_alone = [(row.frames[0], None)] if self._look.input else []
        shown = [*input_alone, *zip(row.frames, row.explanations, strict=True)]
        for place, (frame, explanation) in enumerate(shown):
            mark = letter(len(self.panels), self._look.letters)
            left = self._left + place * (self._panel_width + GAP)
            rectangle = left, top, self._panel_width, self._height_of(frame)
            self.panels.append(GridPanel(row, frame, explanation, mark, titles[place], captions[place], *rectangle))
        height = max(self._height_of(frame) for frame in row.frames)
        if self._look.row_titles:
            self.labels.append(RowLabel(self._row_lines(row), 0.0, top + height / 2))
        most = max(map(len, captions))
        self.height = top + height + (PAD if most else 0.0) + leading(design.small) * most

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
