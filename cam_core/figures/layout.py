"""The places of everything in a figure, in millimetres from its top left corner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from cam_core.figures.design import Design, FigureError, Row
from cam_core.figures.scale import Scale
from cam_core.figures.text import POINT, UNTRAINED, leading, text_width, wrapped
from cam_core.methods import title_of
from cam_core.numbers import significant
from cam_core.targets import TargetScore
from cam_core.targets.asking import LOGIT
from cam_core.targets.reading import read_target
from cam_core.types import Explanation, TargetError

GAP, PAD, BAR = 1.5, 0.9, 2.4  # millimetres: between panels, between text and panel, width of the colour bar
KEY = 7.0  # millimetres of a line that stands for a curve in a legend
_SLIM = 22.0  # millimetres: a panel's least width, where lines may be broken
SLIMMEST = 8.0  # millimetres: the same where they may not


@dataclass(frozen=True)
class Panel:
    """A photo, or (with an explanation) a heatmap over it; texts as the lines that they are broken into."""

    frame: Image.Image
    explanation: Explanation | None
    title: list[str]
    caption: list[str]


@dataclass(frozen=True)
class Place:
    """A panel and its rectangle."""

    panel: Panel
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class RowLabel:
    """Lines of text, upright, from `left` on, centred on `middle`."""

    lines: list[str]
    left: float
    middle: float


class Layout:
    """One photo has its class over it; of several, each has its class to its left, upright.

    Attributes:
        height: of the whole figure.
        places: of all panels, line by line.
        labels: of the rows, where there are several.
        bar: (left, top, bottom) of the colour bar.
    """

    def __init__(self, rows: Sequence[Row], design: Design, scale: Scale) -> None:
        self._design, self._scale = design, scale
        self._several = len(rows) > 1
        self._divide(rows)
        self.places: list[Place] = []
        self.labels: list[RowLabel] = []
        self.height = PAD
        for row in rows:
            self._add(row, titled=row is rows[0])
        self.height += leading(design.small) / 2  # half of the colour bar's lowest number stands below it
        self.bar = self._right, self.places[0].top, max(place.top + place.height for place in self.places)

    def _divide(self, rows: Sequence[Row]) -> None:
        """The width into panels, with the rows' labels to their left and the colour bar to their right."""
        small = self._design.small
        numbers = max(text_width(number, small) for number in self._scale.numbers)
        self._right = self._design.width - (BAR + 2 * PAD + numbers + 1.6 * small * POINT)
        self._columns = 1 + max(len(row.explanations) for row in rows)
        if not self._several:
            fitting = max(1, int(self._right / (_SLIM + GAP)))
            self._columns = math.ceil(self._columns / math.ceil(self._columns / fitting))  # lines of even length
        self._indent(0.0)
        # A label of many words takes several lines, which make the panels narrower: so again.
        for _ in range(3 if self._several else 0):
            self._indent(PAD + leading(small) * max(len(self._row_label(row)) for row in rows))
        if self._panel_width < SLIMMEST:
            raise FigureError(
                f"{self._columns} panels side by side do not fit into {self._design.width:g} mm: each would be "
                f"{max(0.0, self._panel_width):.1f} mm wide, and {SLIMMEST:g} is the least"
            )

    def _indent(self, left: float) -> None:
        self._left = left
        self._panel_width = (self._right - left) / self._columns - GAP  # a gap behind each panel, also the last

    def _row_label(self, row: Row) -> list[str]:
        if row.common is None:
            return []
        height = self._panel_width * row.frame.height / row.frame.width
        return [*wrapped(row.common.label, height, self._design.small), probability(row.common)]

    def _add(self, row: Row, titled: bool) -> None:
        panels = [self._photo(row, titled), *(self._map(row, explanation, titled) for explanation in row.explanations)]
        height = self._panel_width * row.frame.height / row.frame.width
        for start in range(0, len(panels), self._columns):
            self._add_line(panels[start : start + self._columns], height)
        if self._several:
            lines = self._row_label(row)
            left = self._left - PAD - leading(self._design.small) * len(lines)
            self.labels.append(RowLabel(lines, left, self.places[-1].top + height / 2))

    def _add_line(self, panels: Sequence[Panel], height: float) -> None:
        titles, captions = (max(len(getattr(panel, text)) for panel in panels) for text in ("title", "caption"))
        top = self.height + (GAP if self.places else 0.0)
        top += leading(self._design.font_size) * titles + (PAD if titles else 0.0)
        for column, panel in enumerate(panels):
            left = self._left + column * (self._panel_width + GAP)
            self.places.append(Place(panel, left, top, self._panel_width, height))
        self.height = top + height + (PAD if captions else 0.0) + leading(self._design.small) * captions

    def _photo(self, row: Row, titled: bool) -> Panel:
        alone = None if self._several else row.common
        title = "Input" if alone is None else f"{alone.label} ({probability(alone)})"
        lines = wrapped(title, self._panel_width, self._design.font_size) if titled else []
        trained = all(explanation.trained for explanation in row.explanations)
        caption = [] if trained else wrapped(UNTRAINED, self._panel_width, self._design.small)
        return Panel(row.frame, None, lines, caption)

    def _map(self, row: Row, explanation: Explanation, titled: bool) -> Panel:
        title = wrapped(title_of(explanation.method), self._panel_width, self._design.font_size) if titled else []
        facts = [] if row.common else [explanation.label, probability(explanation)]
        facts += [explanation.layer] if len({shown.layer for shown in row.explanations}) > 1 else []
        facts += ["(empty map)"] if self._scale.empty(explanation) else []
        caption = [line for fact in facts for line in wrapped(fact, self._panel_width, self._design.small)]
        return Panel(row.frame, explanation, title, caption)


def probability(explanation: Explanation) -> str:
    """ "p = 0.973", or "−11.1 logits" of what has no probability; without a place to break the line."""
    p = explanation.probability
    if p is None:
        return f"{significant(explanation.score, 3)}{_unit(explanation)}"
    text = "p < 0.001" if p < 0.0005 else "p > 0.999" if p >= 0.9995 else f"p = {p:.3f}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def score_of(explanation: Explanation) -> TargetScore | None:
    """What is explained, where that is no class but made of some: None of a class, and of what names none."""
    try:
        meant = read_target(str(explanation.target), ())
    except TargetError:
        return None
    return meant if isinstance(meant, TargetScore) else None


def _unit(explanation: Explanation) -> str:
    """That of a formula of logits; what else a network may be asked about has none that is known here."""
    score = score_of(explanation)
    return "\N{NO-BREAK SPACE}logits" if score is not None and score.unit == LOGIT.unit else ""
