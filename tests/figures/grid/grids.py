"""Grids of given maps, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from cam_core.figures import Chart, Column, ExplainedGrid, FigureSpec, Look, Shown
from cam_core.figures.grid.explained import ExplainedRow
from cam_core.metrics.curves.perturbation import Kind
from cam_core.metrics.curves.points import Curve, CurvePoint
from cam_core.types import Explanation

RAMP = np.array([[-2.0, 0.0, 1.0, 4.0]] * 3, dtype=np.float32)
PHOTO = Image.new("RGB", (400, 300), (200, 100, 50))
METHODS = ("grad-cam", "lift-cam", "layer-cam", "eigen-cam")
FAST = 60  # pixels per inch, where only the layout counts


def explanation(method: str = "grad-cam", **fields: Any) -> Explanation:
    values: dict[str, Any] = {
        "model": "tiny",
        "layer": "layer4",
        "target": 3,
        "label": "German shepherd",
        "score": 5.0,
        "probability": 0.9731,
        "map": RAMP,
        "saliency": np.zeros((8, 8), dtype=np.float32),
    }
    return Explanation(method=method, **(values | fields))


def grid(rows: Sequence[Sequence[Explanation]], frame: Image.Image = PHOTO, **look: Any) -> ExplainedGrid:
    """Rows of maps over one photo each, which are called "photo 0" and so on."""
    shown = tuple(Shown(f"folder/photo {number}.jpg") for number in range(len(rows)))
    columns = tuple(Column(made.method) for made in rows[0])
    spec = FigureSpec(shown, columns, look=Look(**{"dpi": FAST} | look))
    made = [ExplainedRow(one, "0" * 64, (frame,) * len(row), tuple(row)) for one, row in zip(shown, rows, strict=True)]
    return ExplainedGrid(spec, tuple(made))


def grid_of(rows: int = 2, columns: int = 3, **look: Any) -> ExplainedGrid:
    return grid([[explanation(METHODS[n % len(METHODS)]) for n in range(columns)] for _ in range(rows)], **look)


def zoomed(made: ExplainedGrid, zoom: tuple[float, float, float]) -> ExplainedGrid:
    rows = tuple(replace(row, shown=replace(row.shown, zoom=zoom)) for row in made.rows)
    return replace(made, spec=replace(made.spec, images=tuple(row.shown for row in rows)), rows=rows)


def curve(kind: Kind, values: Sequence[float], name: str = "grad-cam") -> Curve:
    """Over evenly spaced shares of the pixels."""
    last = len(values) - 1
    made = Curve(name, kind)
    for index, value in enumerate(values):
        made.add(CurvePoint(name, kind, index, len(values), index / last, value))
    return made


def charted(made: ExplainedGrid, *charts: Chart) -> ExplainedGrid:
    """With charts, whose curves fall from 0.9 to 0.1; of further rows and columns less in the first half."""
    rows = tuple(
        replace(
            row,
            curves=tuple(
                tuple(
                    curve(chart.curve, [0.9, 0.9 - 0.8 / (1 + number + column), 0.1], each.method)
                    for column, each in enumerate(row.explanations)
                )
                for chart in charts
                if chart.curve
            ),
        )
        for number, row in enumerate(made.rows)
    )
    return replace(made, spec=replace(made.spec, charts=charts), rows=rows)


def texts(figure: Figure) -> list[str]:
    """What stands in the figure, line by line."""
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.texts]
