"""An estimate as it settles over its passes."""

from __future__ import annotations

from collections.abc import Sequence

from cam_core.analysis.channels import Checkpoint
from cam_core.charts.chart import Chart, Part, axis_title, beside, horizontal_line, margins, rounded, scatter
from cam_core.palette import AGAINST, FOR, NEUTRAL


def convergence_chart(checkpoints: Sequence[Checkpoint], *, limit: float) -> Chart:
    """Two panels over tail passes: cosine to the estimate that came last, and relative standard error with its limit.

    Args:
        checkpoints: noise that is not finite is unknown and left out.
        limit: of the noise, below which the estimate counts as converged.
    """
    passes = [checkpoint.passes for checkpoint in checkpoints]
    cosines = [checkpoint.cosine for checkpoint in checkpoints]
    noise = [checkpoint.noise for checkpoint in checkpoints]
    x = {**axis_title("tail passes", 4), "rangemode": "tozero", "zeroline": False, "nticks": 5}
    layout = {
        "height": 240,
        **margins(26),
        "showlegend": False,
        "dragmode": False,
        "shapes": [horizontal_line(limit, "2", color=NEUTRAL, dash="dash", width=1.5)],
        **beside(0.14, ("cosine to the current estimate", "relative standard error"), x, _quantities(cosines)),
    }
    lines = [_line("", passes, cosines, FOR, "circle"), _line("2", passes, noise, AGAINST, "diamond")]
    return {"data": lines, "layout": layout}


def _line(panel: str, passes: list[int], values: list[float], colour: str, symbol: str) -> Part:
    return scatter(
        x=passes,
        y=rounded(values, decimals=4),
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": 6, "symbol": symbol},
        hovertemplate="%{x} passes: %{y:.4f}<extra></extra>",
        xaxis=f"x{panel}",
        yaxis=f"y{panel}",
    )


def _quantities(cosines: list[float]) -> tuple[Part, Part]:
    common = {"zeroline": False, "nticks": 5, "automargin": True}
    least = min(cosines, default=1.0)
    margin = max(0.002, 0.08 * (1 - least))
    return {**common, "range": [least - margin, 1 + margin]}, {**common, "rangemode": "tozero"}
