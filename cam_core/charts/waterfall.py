"""The way from one total to another in signed steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from cam_core.charts.chart import Chart, Part, axis_title, bars, margins, rounded
from cam_core.charts.signs import signed_bars, signed_text
from cam_core.numbers import decimals
from cam_core.palette import NEUTRAL


def waterfall_chart(
    start: tuple[str, float], steps: Sequence[tuple[str, float]], end: tuple[str, float], *, unit: str = "logits"
) -> Chart:
    """Bars that begin where the one before ended; those for what goes down are hatched, and every one has its sign.

    Args:
        start, end: name and value of the two totals, drawn from 0.
        steps: name and change.
    """
    names = [name for name, _ in steps]
    changes = [change for _, change in steps]
    layout = {
        "height": 300,
        **margins(22),
        "showlegend": False,
        "dragmode": False,
        "barmode": "overlay",
        "bargap": 0.25,
        "xaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [start[0], *names, end[0]],
            "showgrid": False,
            "tickangle": -45,
        },
        "yaxis": {**axis_title(unit), "zeroline": True, "zerolinecolor": NEUTRAL, "nticks": 6},
    }
    return {"data": [_totals(start, end, unit), _steps(start[1], names, changes, unit)], "layout": layout}


def _totals(start: tuple[str, float], end: tuple[str, float], unit: str) -> Part:
    values = [start[1], end[1]]
    return bars(
        x=[start[0], end[0]],
        y=rounded(values, decimals=4),
        marker={"color": NEUTRAL},
        hovertemplate=f"%{{x}}: %{{y:.4f}} {unit}<extra></extra>",
        **_numbers([decimals(value, 2) for value in values]),
    )


def _steps(start: float, names: list[str], changes: list[float], unit: str) -> Part:
    return bars(
        x=names,
        y=rounded(changes),
        base=rounded(list(accumulate(changes, initial=start))[:-1]),
        marker=signed_bars(changes),
        hovertemplate=f"%{{x}}: %{{text}} {unit}<extra></extra>",
        **_numbers([signed_text(change) for change in changes]),
    )


def _numbers(texts: list[str]) -> Part:
    """Numbers at the ends of bars."""
    return {
        "text": texts,
        "textposition": "outside",
        "textfont": {"size": 10},
        "textangle": 0,
        "cliponaxis": False,
    }
