"""The way from one total to another in signed steps."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from cam_core.charts.signs import signed_bars, signed_text
from cam_core.palette import NEUTRAL


def waterfall_chart(
    start: tuple[str, float], steps: Sequence[tuple[str, float]], end: tuple[str, float], *, unit: str = "logits"
) -> go.Figure:
    """Bars that begin where the one before ended; those for what goes down are hatched, and every one has its sign.

    Args:
        start, end: name and value of the two totals, drawn from 0.
        steps: name and change.
    """
    at, bases = start[1], []
    for _, change in steps:
        bases.append(at)
        at += change
    names = [name for name, _ in steps]
    changes = [change for _, change in steps]
    figure = go.Figure(
        [
            go.Bar(
                x=[start[0], end[0]],
                y=[start[1], end[1]],
                marker={"color": NEUTRAL},
                text=[f"{value:.2f}".replace("-", "−") for value in (start[1], end[1])],
                textposition="outside",
                hovertemplate=f"%{{x}}: %{{y:.4f}} {unit}<extra></extra>",
            ),
            go.Bar(
                x=names,
                y=changes,
                base=bases,
                marker=signed_bars(changes),
                text=[signed_text(change) for change in changes],
                textposition="outside",
                hovertemplate=f"%{{x}}: %{{text}} {unit}<extra></extra>",
            ),
        ]
    )
    figure.update_layout(
        height=300,
        margin={"l": 0, "r": 0, "t": 22, "b": 0},
        showlegend=False,
        dragmode=False,
        barmode="overlay",
        bargap=0.25,
    )
    figure.update_traces(textfont={"size": 10}, textangle=0, cliponaxis=False)
    figure.update_xaxes(
        type="category", categoryorder="array", categoryarray=[start[0], *names, end[0]], showgrid=False, tickangle=-45
    )
    figure.update_yaxes(title_text=unit, zeroline=True, zerolinecolor=NEUTRAL, nticks=6)
    return figure
