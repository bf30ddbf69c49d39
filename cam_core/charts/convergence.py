"""An estimate as it settles over its passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cam_core.analysis.channels import Checkpoint
from cam_core.charts.chart import Chart, Part, axis_title, beside, horizontal_line, margins, rounded, scatter
from cam_core.palette import MEASURED, NEUTRAL

_STARTS: Final = (0.99, 0.95, 0.9, 0.8, 0.5, 0.0)
"""Where the axis of the cosine begins: at the highest of these that lies below all cosines."""


def convergence_chart(checkpoints: Sequence[Checkpoint], *, limit: float) -> Chart:
    """Two panels over tail passes: cosine to the estimate that came last, and relative standard error with its limit.

    Args:
        checkpoints: noise that is not finite is unknown and left out.
        limit: of the noise, below which the estimate counts as converged.
    """
    passes = [checkpoint.passes for checkpoint in checkpoints]
    cosines = [checkpoint.cosine for checkpoint in checkpoints]
    noise = [checkpoint.noise for checkpoint in checkpoints]
    last = max(passes, default=1)
    x = {**axis_title("tail passes", 4), "range": [0, 1.04 * last], "zeroline": False, "nticks": 5}
    layout = {
        "height": 240,
        **margins(26),
        "showlegend": False,
        "dragmode": False,
        "shapes": [horizontal_line(limit, "2", color=NEUTRAL, dash="dash", width=1.5)],
        **beside(0.14, ("similarity (cosine)", "uncertainty (share of φ)"), x, _quantities(cosines)),
    }
    lines = [_line("", passes, cosines, "circle"), _line("2", passes, noise, "diamond")]
    return {"data": lines, "layout": layout}


def _line(panel: str, passes: list[int], values: list[float], symbol: str) -> Part:
    return scatter(
        x=passes,
        y=rounded(values, decimals=4),
        mode="lines+markers",
        line={"color": MEASURED, "width": 2},
        marker={"size": 6, "symbol": symbol},
        cliponaxis=False,
        hovertemplate="%{x} passes: %{y:.4f}<extra></extra>",
        xaxis=f"x{panel}",
        yaxis=f"y{panel}",
    )


def _quantities(cosines: list[float]) -> tuple[Part, Part]:
    """Both axes end at a round number; that of the cosine at 1, for there is nothing above it."""
    common = {"zeroline": False, "nticks": 5, "automargin": True}
    least = min(cosines, default=1.0)
    start = next((round_number for round_number in _STARTS if round_number < least), -1.0)
    return {**common, "range": [start, 1]}, {**common, "rangemode": "tozero"}
