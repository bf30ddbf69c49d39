"""Bars of Shapley values with their standard errors; below them the coefficients of methods on the same channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cam_core.charts.signs import signed_bars, signed_text
from cam_core.methods import title_of
from cam_core.palette import INK, NEUTRAL, REFERENCE, style_of

_MOST_LABELS = 26
"""With more bars than this there is no room for a number at each."""


def channel_chart(
    channels: Sequence[int],
    phi: npt.ArrayLike,
    stderr: npt.ArrayLike,
    beside: Mapping[str, npt.ArrayLike],
    chosen: int | None = None,
) -> go.Figure:
    """Bars of phi ± standard error in logits; below, all coefficients on one scale. Every trace: one point per channel.

    Args:
        channels: (n,) the channels shown, from left to right.
        phi, stderr: (n,) logits; errors that are not finite are unknown and not drawn.
        beside: method → (n,) scaled coefficients; bars of `palette.REFERENCE`, marks of the others. The lower panel is
            left out where there is none.
        chosen: the channel that is marked.
    """
    values, errors = np.asarray(phi, dtype=np.float64), np.asarray(stderr, dtype=np.float64)
    names = [str(channel) for channel in channels]
    rows = 2 if beside else 1
    figure = make_subplots(
        rows, 1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.58, 0.42] if beside else None
    )
    _add_bars(figure, names, values, errors)
    for name, scaled in beside.items():
        figure.add_trace(_series(name, names, np.asarray(scaled, dtype=np.float64)), row=2, col=1)
    if chosen is not None and chosen in channels:
        place = list(channels).index(chosen)
        figure.add_vrect(place - 0.5, place + 0.5, fillcolor=NEUTRAL, opacity=0.22, layer="below", line_width=0)
    figure.update_layout(
        height=440 if beside else 300,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        dragmode=False,
        bargap=0.25,
        legend={"orientation": "h", "y": -0.14 if beside else -0.2, "yanchor": "top", "x": 0},
    )
    figure.update_xaxes(type="category", showgrid=False, tickangle=-60 if len(names) > _MOST_LABELS else 0)
    figure.update_xaxes(title_text="channel", title_standoff=4, row=rows)
    figure.update_yaxes(zeroline=True, zerolinecolor=NEUTRAL, nticks=6)
    figure.update_yaxes(title_text="φ, logits", row=1)
    if beside:
        figure.update_yaxes(title_text="unit L2 norm", row=2)
    return figure


def _add_bars(
    figure: go.Figure, names: list[str], phi: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]
) -> None:
    known = np.where(np.isfinite(errors), errors, 0.0)
    texts = [f"± {error:.2g}" if np.isfinite(error) else "error unknown" for error in errors]
    figure.add_trace(
        go.Bar(
            x=names,
            y=phi,
            marker=signed_bars(phi.tolist()),
            error_y={"type": "data", "array": known, "thickness": 1.3, "width": 3, "color": NEUTRAL},
            customdata=texts,
            hovertemplate="channel %{x}<br>φ = %{y:+.4f} %{customdata} logits<extra></extra>",
            showlegend=False,
        ),
        row=1,
        col=1,
    )
    if len(names) > _MOST_LABELS:
        return
    figure.add_trace(
        go.Scatter(
            x=names,
            y=phi + np.sign(phi) * known,
            mode="text",
            text=[signed_text(value) for value in phi.tolist()],
            textposition=["bottom center" if value < 0 else "top center" for value in phi],
            textfont={"size": 10},
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
        ),
        row=1,
        col=1,
    )


def _series(name: str, names: list[str], values: npt.NDArray[np.float64]) -> go.Bar | go.Scatter:
    title = title_of(name)
    colour, _, shape = style_of(name)
    hover = f"channel %{{x}}<br>{title}: %{{y:+.3f}}<extra></extra>"
    if name == REFERENCE:
        return go.Bar(x=names, y=values, name=title, marker={"color": colour, "opacity": 0.45}, hovertemplate=hover)
    look = {"color": colour, "symbol": shape, "size": 8, "line": {"width": 1, "color": INK}}
    return go.Scatter(x=names, y=values, name=title, mode="markers", marker=look, hovertemplate=hover)
