"""Bars of Shapley values with their standard errors; below them the coefficients of methods on the same channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cam_core.charts.chart import Chart, Part, axis_title, bars, margins, rounded, scatter, vertical_stripe
from cam_core.charts.signs import signed_bars, signed_text
from cam_core.methods import title_of
from cam_core.numbers import significant
from cam_core.palette import INK, NEUTRAL, REFERENCE, style_of

_MOST_LABELS = 26
"""With more bars than this there is no room for a number at each."""


def channel_chart(
    channels: Sequence[int],
    phi: npt.ArrayLike,
    stderr: npt.ArrayLike,
    beside: Mapping[str, npt.ArrayLike],
    chosen: int | None = None,
    *,
    unit: str = "logits",
) -> Chart:
    """Bars of phi ± standard error; below, all coefficients on one scale. Every trace: one point per channel.

    Args:
        channels: (n,) the channels shown, from left to right.
        phi, stderr: (n,); errors that are not finite are unknown and not drawn.
        beside: method → (n,) scaled coefficients; bars of `palette.REFERENCE`, marks of the others. The lower panel is
            left out where there is none.
        chosen: the channel that is marked.
        unit: of phi.
    """
    values, errors = np.asarray(phi, dtype=np.float64), np.asarray(stderr, dtype=np.float64)
    names = [str(channel) for channel in channels]
    data = [_bars(names, values, errors, unit)]
    if len(names) <= _MOST_LABELS:
        data.append(_labels(names, values, errors))
    data += [_series(name, names, scaled) for name, scaled in beside.items()]
    layout = {
        "height": 440 if beside else 300,
        **margins(8),
        "dragmode": False,
        "bargap": 0.25,
        "legend": {"orientation": "h", "y": -0.14 if beside else -0.2, "yanchor": "top", "x": 0},
        **_axes(-60 if len(names) > _MOST_LABELS else 0, panels=2 if beside else 1, unit=unit),
    }
    if chosen is not None and chosen in channels:
        place = list(channels).index(chosen)
        panels = ("", "2") if beside else ("",)
        stripes = [
            vertical_stripe(place - 0.5, place + 0.5, panel, fillcolor=NEUTRAL, opacity=0.22) for panel in panels
        ]
        layout["shapes"] = stripes
    return {"data": data, "layout": layout}


def _axes(tickangle: int, panels: int, unit: str) -> Part:
    """The channels are named below the lower panel alone; what is zoomed into in one is so in the other."""
    x = {"type": "category", "showgrid": False, "tickangle": tickangle, "tickfont": {"size": 10}}
    y = {"zeroline": True, "zerolinecolor": NEUTRAL, "nticks": 6}
    named, phi = {**x, **axis_title("channel", 4)}, {**y, **axis_title(f"φ, {unit}")}
    if panels == 1:
        return {"xaxis": named, "yaxis": phi}
    return {
        "xaxis": {**x, "anchor": "y", "matches": "x2", "showticklabels": False},
        "yaxis": {**phi, "anchor": "x", "domain": [0.4548, 1]},
        "xaxis2": {**named, "anchor": "y2"},
        "yaxis2": {**y, **axis_title("relative size"), "anchor": "x2", "domain": [0, 0.3948]},
    }


def _known(errors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.isfinite(errors), errors, 0.0)


def _bars(names: list[str], phi: npt.NDArray[np.float64], errors: npt.NDArray[np.float64], unit: str) -> Part:
    whiskers = {"type": "data", "array": rounded(_known(errors)), "thickness": 1.3, "width": 3, "color": NEUTRAL}
    return bars(
        x=names,
        y=rounded(phi, decimals=4),
        marker=signed_bars(phi.tolist()),
        error_y=whiskers,
        customdata=[f"± {significant(error, 2)}" if np.isfinite(error) else "error unknown" for error in errors],
        hovertemplate=f"channel %{{x}}<br>φ = %{{y:+.4f}} %{{customdata}} {unit}<extra></extra>",
        showlegend=False,
    )


def _labels(names: list[str], phi: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]) -> Part:
    """The numbers, beyond the whiskers."""
    return scatter(
        x=names,
        y=rounded(phi + np.sign(phi) * _known(errors)),
        mode="text",
        text=[signed_text(value) for value in phi.tolist()],
        textposition=["bottom center" if value < 0 else "top center" for value in phi],
        textfont={"size": 10},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )


def _series(name: str, names: list[str], values: npt.ArrayLike) -> Part:
    title = title_of(name)
    colour, _, shape = style_of(name)
    common = {
        "x": names,
        "y": rounded(values, decimals=3),
        "name": title,
        "hovertemplate": f"channel %{{x}}<br>{title}: %{{y:+.3f}}<extra></extra>",
        "xaxis": "x2",
        "yaxis": "y2",
    }
    if name == REFERENCE:
        return bars(**common, marker={"color": colour, "opacity": 0.45})
    look = {"color": colour, "symbol": shape, "size": 8, "line": {"width": 1, "color": INK}}
    return scatter(**common, mode="markers", marker=look)
