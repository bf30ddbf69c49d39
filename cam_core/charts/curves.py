"""Deletion and insertion curves as they grow, with a mark on each at the fraction that is being looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import plotly.graph_objects as go

from cam_core.analysis.curves import CurveLine, CurvePanel
from cam_core.metrics.curves.points import AXIS_OF_KIND, AXIS_OF_SCORE
from cam_core.metrics.curves.spread import Band
from cam_core.palette import NEUTRAL, method_colour, style_of, translucent


@dataclass(frozen=True)
class Mark:
    """The fraction that is being looked at, and the scores there by the name of the curve."""

    fraction: float
    values: Mapping[str, float] = field(default_factory=dict)


def curves_chart(
    panel: CurvePanel, *, score: str = "probability", mark: Mark | None = None, height: int = 320
) -> go.Figure:
    """Curves of one kind over the band of the random control.

    Args:
        panel: its lines, complete or not, are drawn in the style of the method that their name says.
        score: "probability" or "logit", as the curves have it.
        mark: a vertical line, and a dot on each curve.
        height: pixels.
    """
    figure = go.Figure()
    if panel.band is not None and len(panel.band.fractions):
        _add_band(figure, panel.band)
    for line in panel.lines:
        _add_line(figure, line)
    if mark is not None:
        _add_mark(figure, mark)
    _lay_out(figure, panel, score, height)
    return figure


def _add_band(figure: go.Figure, control: Band) -> None:
    edge = {"x": control.fractions, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(y=control.low, name="lowest", **edge)
    figure.add_scatter(y=control.high, name="highest", fill="tonexty", fillcolor=translucent(NEUTRAL, 0.25), **edge)
    figure.add_scatter(
        x=control.fractions,
        y=control.mean,
        mode="lines",
        name="random",
        line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        hovertemplate=f"Mean of {control.count} random maps: %{{y:.3f}}<extra></extra>",
    )


def _add_line(figure: go.Figure, line: CurveLine) -> None:
    colour, dash, _ = style_of(line.name)
    figure.add_scatter(
        x=line.fractions,
        y=line.values,
        mode="lines" if line.complete else "lines+markers",
        name=line.name,
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 4},
        hovertemplate=f"{line.title}: %{{y:.3f}}<extra></extra>",
    )


def _add_mark(figure: go.Figure, mark: Mark) -> None:
    figure.add_vline(x=mark.fraction, line={"color": NEUTRAL, "width": 1})
    for name, value in mark.values.items():
        figure.add_scatter(
            x=[mark.fraction],
            y=[value],
            mode="markers",
            name=f"{name} here",
            marker={"color": method_colour(name), "size": 10, "line": {"color": "white", "width": 1.5}},
            hoverinfo="skip",
        )


def _lay_out(figure: go.Figure, panel: CurvePanel, score: str, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 22, "t": 8, "b": 8},
        showlegend=False,
        hovermode="x unified",
        uirevision=panel.kind,  # what a reader has zoomed into stays while the curves grow
    )
    figure.update_xaxes(
        title={"text": AXIS_OF_KIND[panel.kind], "standoff": 8},
        tickformat=".0%",
        tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1],
        range=[0, 1],
        zeroline=False,
        automargin=True,
    )
    top = max((float(line.values.max()) for line in panel.lines if len(line.values)), default=1.0)
    figure.update_yaxes(title={"text": AXIS_OF_SCORE[score], "standoff": 14}, zeroline=False, automargin=True)
    if score == "probability":
        figure.update_yaxes(range=[0, 1.02 if top > 0.5 else 1.1 * top or 1.0])
