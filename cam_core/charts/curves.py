"""Deletion and insertion curves as they grow, with a mark on each at the fraction that is being looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cam_core.analysis.curves import CurveLine, CurvePanel
from cam_core.charts.chart import Chart, Part, axis_title, rounded, scatter, vertical_line
from cam_core.metrics.base import Values
from cam_core.metrics.curves.points import AXIS_OF_KIND, AXIS_OF_SCORE
from cam_core.metrics.curves.spread import Band
from cam_core.palette import NEUTRAL, method_colour, style_of, translucent

_MARGIN: Final = 0.05  # of the extent, above and below the curves


@dataclass(frozen=True)
class Mark:
    """The fraction that is being looked at, and the scores there by the name of the curve."""

    fraction: float
    values: Mapping[str, float] = field(default_factory=dict)


def curves_chart(
    panel: CurvePanel,
    *,
    score: str = "probability",
    mark: Mark | None = None,
    beside: Sequence[CurvePanel] = (),
    height: int = 320,
) -> Chart:
    """Curves of one kind over the band of the random control.

    Args:
        panel: its lines, complete or not, are drawn in the style of the method that their name says.
        score: "probability" or "logit", as the curves have it.
        mark: a vertical line, and a dot on each curve, which is drawn through it also between its points.
        beside: the panels that are looked at together: their charts have one scale.
        height: pixels.
    """
    data = _band(panel.band) if panel.band is not None and len(panel.band.fractions) else []
    places = {line.name: place for place, line in enumerate(panel.lines, 1)}
    data += [_line(line, places[line.name], mark) for line in panel.lines]
    layout = _layout(panel, _range(beside or (panel,), score), score, height)
    if mark is not None:
        data += [_dot(name, places.get(name, 0), mark.fraction, value) for name, value in mark.values.items()]
        layout["shapes"] = [vertical_line(mark.fraction, color=NEUTRAL, width=1)]
    return {"data": data, "layout": layout}


def trace_opacity(place: int) -> float:
    """All but 1, and another one for each place among the lines, from 1; the control's place is 0.

    Nothing else that plotly puts into a page says whose a trace is: style sheets find it by this number.
    """
    return round(1 - (place + 1) / 10_000, 4)


def _band(control: Band) -> list[Part]:
    places = _places(control.fractions)
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, **places}
    edge["opacity"] = trace_opacity(0)
    return [
        scatter(y=rounded(control.low), name="lowest", **edge),
        scatter(
            y=rounded(control.high),
            name="highest",
            fill="tonexty",
            fillcolor=translucent(NEUTRAL, 0.25),
            **edge,
        ),
        scatter(
            **places,
            y=rounded(control.mean, decimals=3),
            mode="lines",
            name="random",
            opacity=trace_opacity(0),
            line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
            hovertemplate=f"Mean of {control.count} random maps: %{{y:.3f}}<extra></extra>",
        ),
    ]


def _places(fractions: Values) -> Part:
    """Where points are: begin and step where they are evenly spaced, as those of complete curves, else one by one."""
    if not len(fractions):
        return {"x": []}
    first, last, count = float(fractions[0]), float(fractions[-1]), len(fractions)
    step = (last - first) / max(count - 1, 1)
    even: Values = first + step * np.arange(count, dtype=np.float64)
    if np.allclose(fractions, even, rtol=0, atol=1e-4) and np.array_equal(_percent(fractions), _percent(even)):
        return {"x0": first, "dx": step}
    return {"x": rounded(fractions, decimals=3)}


def _percent(fractions: Values) -> Values:
    """As the axis and the hover texts write them (".0%")."""
    return np.floor(100 * fractions + 0.5)


def _line(line: CurveLine, place: int, mark: Mark | None) -> Part:
    colour, dash, _ = style_of(line.name)
    fractions, values = _through(line, mark)
    return scatter(
        **_places(fractions),
        y=rounded(values, decimals=3),
        mode="lines" if line.complete else "lines+markers",
        name=line.name,
        opacity=trace_opacity(place),
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 4},
        hovertemplate=f"{line.title}: %{{y:.3f}}<extra></extra>",
    )


def _through(line: CurveLine, mark: Mark | None) -> tuple[Values, Values]:
    """The points of a line, and the marked one among them: it was measured as they were."""
    if mark is None or line.name not in mark.values or not len(line.fractions):
        return line.fractions, line.values
    place = int(np.searchsorted(line.fractions, mark.fraction))
    if np.isclose(line.fractions, mark.fraction, rtol=0, atol=1e-6).any():
        return line.fractions, line.values
    return np.insert(line.fractions, place, mark.fraction), np.insert(line.values, place, mark.values[line.name])


def _dot(name: str, place: int, fraction: float, value: float) -> Part:
    return scatter(
        x=[fraction],
        y=[value],
        mode="markers",
        name=f"{name} here",
        opacity=trace_opacity(place),
        marker={"color": method_colour(name), "size": 10, "line": {"color": "white", "width": 1.5}},
        hoverinfo="skip",
    )


def _layout(panel: CurvePanel, scale: Part, score: str, height: int) -> Part:
    return {
        "height": height,
        "margin": {"l": 8, "r": 22, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "x unified",
        "uirevision": panel.kind,  # what a reader has zoomed into stays while the curves grow
        "xaxis": {
            **axis_title(AXIS_OF_KIND[panel.kind], 8),
            "tickformat": ".0%",
            "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1],
            "range": [0, 1],
            "zeroline": False,
            "automargin": True,
        },
        "yaxis": {
            **axis_title(AXIS_OF_SCORE[score], 14),
            "zeroline": False,
            "automargin": True,
            **scale,
        },
    }


def _range(panels: Sequence[CurvePanel], score: str) -> Part:
    """From 0 for probabilities; logits have no zero, and a chart that stands alone is fitted by plotly."""
    values = [line.values for panel in panels for line in panel.lines if len(line.values)]
    if score == "probability":
        top = max((float(line.max()) for line in values), default=1.0)
        return {"range": [0, 1.02 if top > 0.5 else 1.1 * top or 1.0]}
    if len(panels) < 2 or not values:
        return {}
    bands = [edge for panel in panels if panel.band is not None for edge in (panel.band.low, panel.band.high)]
    drawn = np.concatenate([*values, *bands])
    low, high = float(drawn.min()), float(drawn.max())
    margin = _MARGIN * (high - low or 1.0)
    return {"range": rounded([low - margin, high + margin])}
