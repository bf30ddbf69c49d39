"""A score as channels are taken away, against what was predicted."""

from __future__ import annotations

from collections.abc import Sequence

from cam_core.charts.chart import Chart, Part, axis_title, margins, rounded, scatter, vertical_line
from cam_core.palette import MEASURED, NEUTRAL, SECOND


def removal_chart(measured: Sequence[float], predicted: Sequence[float], at: int, *, quantity: str = "logit") -> Chart:
    """Two lines over the number of channels removed, and a marker at one number.

    Args:
        measured, predicted: (n + 1,) scores after 0 … n channels.
        at: the number that is marked.
        quantity: the score's name.
    """
    marks = scatter(
        x=[at, at],
        y=[measured[at], predicted[at]],
        mode="markers",
        showlegend=False,
        hoverinfo="skip",
        marker={"color": [MEASURED, SECOND], "symbol": ["circle", "diamond"], "size": 11},
    )
    lines = [
        _line(measured, "the network", "the network", {"color": MEASURED, "width": 2.5}),
        _line(predicted, "predicted by φ", "predicted", {"color": SECOND, "width": 2, "dash": "dash"}),
    ]
    layout = {
        "height": 280,
        **margins(8),
        "dragmode": False,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": {**axis_title("channels removed", 4), "showgrid": False, "zeroline": False},
        "yaxis": {**axis_title(quantity), "zeroline": True, "zerolinecolor": NEUTRAL, "nticks": 6},
        "shapes": [vertical_line(at, color=NEUTRAL, width=1)],
    }
    return {"data": [*lines, marks], "layout": layout}


def _line(values: Sequence[float], name: str, hovered: str, look: Part) -> Part:
    return scatter(
        x=list(range(len(values))),
        y=rounded(values, decimals=3),
        name=name,
        mode="lines",
        line=look,
        hovertemplate=f"%{{x}} removed: %{{y:.3f}}<extra>{hovered}</extra>",
    )
