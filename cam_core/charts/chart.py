"""Charts in the JSON form of plotly, and what all of them are made of: traces, axes, lines, numbers.

A chart is a plain dictionary, not plotly's `Figure`: that checks every property each time it is built, which takes
longer than all else where charts grow. The tests have charts checked instead.
"""

from __future__ import annotations

import math
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

Part = dict[str, Any]
"""A trace, an axis, a shape: anything in a chart that has properties of its own."""


class Chart(TypedDict):
    """`plotly.graph_objects.Figure(chart)` is the same as a figure; https://plotly.com/javascript/reference/."""

    data: list[Part]
    layout: Part


def rounded(values: npt.ArrayLike, *, decimals: int = 0, digits: int = 0) -> list[float | None]:
    """Numbers as short as a screen lets them be: off by less than half a pixel in a thousand.

    Args:
        values: (n,); what is not finite becomes None, a gap.
        decimals, digits: those that a hover text shows (".3f", ".4g"). It shows the same as of the values themselves.
    """
    numbers = np.asarray(values, dtype=np.float64)
    places = max(_screen_places(numbers[np.isfinite(numbers)]), decimals + 1)
    return [
        _shortened(value, max(places, _digit_places(value, digits))) if math.isfinite(value) else None
        for value in numbers.tolist()
    ]


def _screen_places(numbers: npt.NDArray[np.float64]) -> int:
    """Decimal places down to a thousandth of the extent or less; of the value itself where all are the same."""
    extent = float(np.ptp(numbers)) or abs(float(numbers[0])) if numbers.size else 0.0
    return 4 - math.ceil(math.log10(extent)) if extent else 0


def _digit_places(value: float, digits: int) -> int:
    """Decimal places of so many significant digits and one more."""
    return digits - math.floor(math.log10(abs(value))) if value and digits else 0


def _shortened(value: float, places: int) -> float:
    """Rounded, but never to a 5 at the end, so that who rounds it to fewer places gets what `value` would give."""
    short = round(value, places)
    if short != value and f"{short:.{places}f}".rstrip("0.").endswith("5"):
        return _shortened(value, places + 1)
    return short


def scatter(**properties: Any) -> Part:
    """A trace of lines, points or words."""
    return {"type": "scatter", **properties}


def bars(**properties: Any) -> Part:
    """A trace of bars."""
    return {"type": "bar", **properties}


def axis_title(text: str, standoff: int | None = None) -> Part:
    """A property of an axis; `standoff` in pixels from its labels."""
    return {"title": {"text": text} if standoff is None else {"text": text, "standoff": standoff}}


def margins(top: int) -> Part:
    """A property of the layout: none but above, in pixels."""
    return {"margin": {"l": 0, "r": 0, "t": top, "b": 0}}


def vertical_line(x: float, number: str = "", **line: Any) -> Part:
    """A shape from bottom to top of the panel whose axes have that number: "" for the first, "2", …"""
    return {"type": "line", "x0": x, "x1": x, "xref": f"x{number}", **_bottom_to_top(number), "line": line}


def vertical_stripe(left: float, right: float, number: str = "", **look: Any) -> Part:
    """A shape without an edge, below what is drawn."""
    place = {"x0": left, "x1": right, "xref": f"x{number}", **_bottom_to_top(number)}
    return {"type": "rect", **place, "layer": "below", "line": {"width": 0}, **look}


def horizontal_line(y: float, number: str = "", **line: Any) -> Part:
    """A shape from left to right of a panel."""
    ends = {"x0": 0, "x1": 1, "xref": f"x{number} domain", "y0": y, "y1": y, "yref": f"y{number}"}
    return {"type": "line", **ends, "line": line}


def _bottom_to_top(number: str) -> Part:
    return {"y0": 0, "y1": 1, "yref": f"y{number} domain"}


def beside(gap: float, titles: tuple[str, str], x: Part, y: tuple[Part, Part]) -> Part:
    """The part of a layout that puts two panels side by side: their axes, and their titles above.

    Args:
        gap: between them, as a share of the width.
        titles: one per panel.
        x: the axis that both have below.
        y: the axis of each.
    """
    width = (1 - gap) / 2
    starts = (0, 1 - width)
    return {
        "xaxis": {"anchor": "y", "domain": [0, width], **x},
        "yaxis": {"anchor": "x", "domain": [0, 1], **y[0]},
        "xaxis2": {"anchor": "y2", "domain": [1 - width, 1], **x},
        "yaxis2": {"anchor": "x2", "domain": [0, 1], **y[1]},
        "annotations": [_above(title, start + width / 2) for title, start in zip(titles, starts, strict=True)],
    }


def _above(text: str, x: float) -> Part:
    place = {"x": x, "xref": "paper", "xanchor": "center", "y": 1, "yref": "paper", "yanchor": "bottom"}
    return {"text": text, "showarrow": False, "font": {"size": 12}, **place}
