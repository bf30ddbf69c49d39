"""One quantity over the steps of an optimisation."""

from __future__ import annotations

from cam_core.charts.chart import Chart, margins, rounded, scatter
from cam_core.palette import MEASURED
from cam_core.types import FloatArray


def trace_chart(values: FloatArray, title: str, *, step: str = "step", height: int = 120) -> Chart:
    """One quantity over the steps of an optimisation: a small line chart without ornament.

    Args:
        values: (n,).
        title: what the values are.
        step: what one step is called in the hover text.
        height: pixels.
    """
    line = scatter(
        y=rounded(values, digits=4),
        mode="lines",
        line={"color": MEASURED, "width": 2},
        hovertemplate=f"{step} %{{x}}: %{{y:.4g}}<extra></extra>",
    )
    layout = {
        "height": height,
        **margins(18),
        "title": {"text": title, "font": {"size": 12}, "x": 0, "y": 0.98, "yanchor": "top"},
        "showlegend": False,
        "xaxis": {"showgrid": False, "zeroline": False, "nticks": 4},
        "yaxis": {"zeroline": False, "nticks": 3, "automargin": True},
    }
    return {"data": [line], "layout": layout}
