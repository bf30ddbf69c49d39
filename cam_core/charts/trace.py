"""One quantity over the steps of an optimisation."""

from __future__ import annotations

import plotly.graph_objects as go

from cam_core.palette import FOR
from cam_core.types import FloatArray


def trace_chart(values: FloatArray, title: str, *, step: str = "step", height: int = 120) -> go.Figure:
    """One quantity over the steps of an optimisation: a small line chart without ornament.

    Args:
        values: (n,).
        title: what the values are.
        step: what one step is called in the hover text.
        height: pixels.
    """
    line = go.Scatter(
        y=values,
        mode="lines",
        line={"color": FOR, "width": 2},
        hovertemplate=f"{step} %{{x}}: %{{y:.4g}}<extra></extra>",
    )
    figure = go.Figure(line)
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 18, "b": 0},
        title={"text": title, "font": {"size": 12}, "x": 0, "y": 0.98, "yanchor": "top"},
        showlegend=False,
    )
    figure.update_xaxes(showgrid=False, zeroline=False, nticks=4)
    figure.update_yaxes(zeroline=False, nticks=3, automargin=True)
    return figure
