"""An estimate as it settles over its passes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cam_core.analysis.channels import Checkpoint
from cam_core.palette import AGAINST, FOR, NEUTRAL


def convergence_chart(checkpoints: Sequence[Checkpoint], *, limit: float) -> go.Figure:
    """Two panels over tail passes: cosine to the estimate that came last, and relative standard error with its limit.

    Args:
        checkpoints: noise that is not finite is unknown and left out.
        limit: of the noise, below which the estimate counts as converged.
    """
    figure = make_subplots(
        1, 2, horizontal_spacing=0.14, subplot_titles=("cosine to the current estimate", "relative standard error")
    )
    passes = [checkpoint.passes for checkpoint in checkpoints]
    cosines = [checkpoint.cosine for checkpoint in checkpoints]
    known = [checkpoint.noise if math.isfinite(checkpoint.noise) else None for checkpoint in checkpoints]
    for column, (values, colour) in enumerate(((cosines, FOR), (known, AGAINST)), 1):
        figure.add_trace(
            go.Scatter(
                x=passes,
                y=values,
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"size": 6, "symbol": "circle" if column == 1 else "diamond"},
                hovertemplate="%{x} passes: %{y:.4f}<extra></extra>",
            ),
            row=1,
            col=column,
        )
    figure.add_hline(limit, line={"color": NEUTRAL, "dash": "dash", "width": 1.5}, row=1, col=2)
    figure.update_layout(height=240, margin={"l": 0, "r": 0, "t": 26, "b": 0}, showlegend=False, dragmode=False)
    figure.update_annotations(font={"size": 12})
    figure.update_xaxes(title_text="tail passes", title_standoff=4, rangemode="tozero", zeroline=False, nticks=5)
    figure.update_yaxes(zeroline=False, nticks=5, automargin=True)
    margin = max(0.002, 0.08 * (1 - min(cosines, default=1.0)))
    figure.update_yaxes(range=[min(cosines, default=1.0) - margin, 1 + margin], row=1, col=1)
    figure.update_yaxes(rangemode="tozero", row=1, col=2)
    return figure
