"""A logit as channels are taken away, against what was predicted."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from cam_core.palette import FOR, NEUTRAL, SECOND


def removal_chart(measured: Sequence[float], predicted: Sequence[float], at: int) -> go.Figure:
    """Two lines over the number of channels removed, and a marker at one number.

    Args:
        measured, predicted: (n + 1,) logits after 0 … n channels.
        at: the number that is marked.
    """
    numbers = list(range(len(measured)))
    hover = "%{x} removed: %{y:.3f}"
    figure = go.Figure(
        [
            go.Scatter(
                x=numbers, y=list(measured), name="the network", mode="lines", line={"color": FOR, "width": 2.5},
                hovertemplate=f"{hover}<extra>the network</extra>",
            ),
            go.Scatter(
                x=numbers, y=list(predicted), name="predicted by φ", mode="lines",
                line={"color": SECOND, "width": 2, "dash": "dash"}, hovertemplate=f"{hover}<extra>predicted</extra>",
            ),
            go.Scatter(
                x=[at, at], y=[measured[at], predicted[at]], mode="markers", showlegend=False, hoverinfo="skip",
                marker={"color": [FOR, SECOND], "symbol": ["circle", "diamond"], "size": 11},
            ),
        ]
    )  # fmt: skip
    figure.add_vline(at, line={"color": NEUTRAL, "width": 1})
    figure.update_layout(
        height=280,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        dragmode=False,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    figure.update_xaxes(title_text="channels removed", title_standoff=4, showgrid=False, zeroline=False)
    figure.update_yaxes(title_text="logit", zeroline=True, zerolinecolor=NEUTRAL, nticks=6)
    return figure
