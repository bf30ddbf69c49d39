"""Every chart is one that plotly accepts, and says what one built by hand says; its numbers are short and right."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cam_core.analysis.channels import Checkpoint
from cam_core.analysis.curves import CurveLine, CurvePanel
from cam_core.charts import (
    Chart,
    Mark,
    channel_chart,
    convergence_chart,
    curves_chart,
    learning_chart,
    removal_chart,
    trace_chart,
    waterfall_chart,
)
from cam_core.charts.chart import rounded
from cam_core.metrics.curves.spread import Band
from cam_core.palette import MEASURED, NEUTRAL, REFERENCE

ROOT = Path(__file__).parents[2]
SCORES = np.random.default_rng(0).random((5, 29))
HERE = Mark(0.2, {"grad-cam": 0.5, "lift-cam": 0.25})


def panel(points: int, total: int = 29, control: bool = True) -> CurvePanel:
    """The first `points` of `total`, which are evenly spaced."""
    fractions = np.arange(points) / (total - 1)
    values = SCORES[:, :points]
    names = ("grad-cam", "lift-cam")
    lines = [CurveLine(name, name, fractions, values[row], points == total, 0.5) for row, name in enumerate(names)]
    return CurvePanel("deletion", tuple(lines), band=Band(5, fractions, *values[2:]) if control else None)


def checkpoints(count: int) -> list[Checkpoint]:
    return [Checkpoint(64 * n, 1 - 0.1 / n**2, 0.5 / n if n > 1 else math.inf) for n in range(1, count + 1)]


def channels(count: int, beside: bool, chosen: int | None = None) -> Chart:
    phi = np.random.default_rng(1).normal(size=count)
    methods = {REFERENCE: phi / 2, "lift-cam": phi / 3, "grad-cam": -phi}
    return channel_chart(range(count), phi, np.abs(phi) / 10, methods if beside else {}, chosen)


def learning(count: int, mark: int | None = None) -> Chart:
    series = SCORES[:3, :count].tolist()
    return learning_chart(*series, epochs=20, mark=mark)


def waterfall(count: int) -> Chart:
    return waterfall_chart(("v(∅)", -1.0), [(str(n), (-1.0) ** n / 3) for n in range(count)], ("logit", 1.5))


CHARTS: dict[str, Chart] = {
    "curves": curves_chart(panel(29), mark=HERE),
    "curves, growing": curves_chart(panel(7)),
    "curves, one point": curves_chart(panel(1), score="logit", height=200),
    "curves, no point": curves_chart(panel(0), mark=Mark(0.3)),
    "curves, no control": curves_chart(panel(29, control=False)),
    "curves, nothing": curves_chart(CurvePanel("insertion")),
    "channels": channels(20, beside=True, chosen=3),
    "channels alone": channels(20, beside=False, chosen=3),
    "channels, many": channels(60, beside=True),
    "channels, one": channels(1, beside=True, chosen=0),
    "channels, none": channels(0, beside=False),
    "channels, errors unknown": channel_chart([4, 2], [1.0, math.nan], [math.inf, math.nan], {}),
    **{f"convergence, {count}": convergence_chart(checkpoints(count), limit=0.1) for count in (0, 1, 2, 20)},
    **{f"learning, {count}": learning(count) for count in (0, 1, 20)},
    "learning, mark": learning(20, mark=7),
    **{f"removal, {n}": removal_chart([0.5] * n, SCORES[0, :n].tolist(), n - 1) for n in (1, 2, 29)},
    **{f"trace, {count}": trace_chart(SCORES[0, :count].astype(np.float32), "objective") for count in (0, 1, 29)},
    "trace, gaps": trace_chart(np.array([1.0, math.nan, math.inf, 2.0], dtype=np.float32), "objective"),
    **{f"waterfall, {count}": waterfall(count) for count in (0, 1, 12)},
}


def wire(chart: Chart) -> str:
    """As Streamlit sends it."""
    return str(plotly.io.to_json(chart, validate=False))


@pytest.mark.parametrize("name", CHARTS)
def test_plotly_accepts_it_and_reads_what_is_written(name: str) -> None:
    chart = CHARTS[name]
    read = json.loads(go.Figure(chart).to_json())
    read["layout"].pop("template")
    sent = json.loads(wire(chart))
    assert sent == read


@pytest.mark.parametrize("name", CHARTS)
def test_it_is_plain_json(name: str) -> None:
    assert json.loads(json.dumps(CHARTS[name], allow_nan=False)) == CHARTS[name], "no arrays, no tuples, no NaN"


@pytest.mark.parametrize("name", CHARTS)
def test_what_a_trace_or_a_line_stands_on_is_there(name: str) -> None:
    chart = CHARTS[name]
    for trace in chart["data"]:
        for letter in "xy":
            assert trace.get(f"{letter}axis", letter).replace(letter, f"{letter}axis") in chart["layout"]
    for shape in chart["layout"].get("shapes", []):
        for letter in "xy":
            assert shape[f"{letter}ref"].removesuffix(" domain").replace(letter, f"{letter}axis") in chart["layout"]


def test_two_methods_and_a_band_take_three_kilobytes() -> None:
    """With a mark, each line has its own places besides: it runs through its dot, between two points of the steps."""
    assert len(wire(curves_chart(panel(29), mark=HERE))) < 3450
    assert len(wire(curves_chart(panel(29), mark=Mark(0.5, HERE.values)))) < 3100, "at a step"
    assert len(wire(curves_chart(panel(29)))) < 2700


@pytest.mark.slow
def test_plotly_is_not_needed() -> None:
    program = "import sys; sys.modules['plotly'] = None; import cam_core.charts, cam_core.cli, cam_core.figures"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_a_curve_chart_by_hand() -> None:
    fractions = np.array([0.0, 0.5, 1.0])
    low, mean, high = np.array([[0.5, 0.1, 0.0], [0.75, 0.2, 0.0], [1.0, 0.3, 0.0]])
    line = CurveLine("random", "Noise", np.array([0.0, 0.25, 1.0]), np.array([0.9, 1 / 3, 0.0625]), False, 0.4)
    chart = curves_chart(CurvePanel("deletion", (line,), band=Band(5, fractions, low, mean, high)))
    edge = {"type": "scatter", "x0": 0.0, "dx": 0.5, "mode": "lines", "line": {"width": 0}, "opacity": 0.9999}
    silent = {"hoverinfo": "skip", "showlegend": False}
    filled = {"fill": "tonexty", "fillcolor": "rgba(138, 143, 148, 0.25)"}
    dotted = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
    assert chart["data"] == [
        {**edge, **silent, "name": "lowest", "y": [0.5, 0.1, 0.0]},
        {**edge, **silent, **filled, "name": "highest", "y": [1.0, 0.3, 0.0]},
        {
            **edge,
            "name": "random",
            "y": [0.75, 0.2, 0.0],
            "line": dotted,
            "hovertemplate": "Mean of 5 random maps: %{y:.3f}<extra></extra>",
        },
        {
            "type": "scatter",
            "x": [0.0, 0.25, 1.0],
            "y": [0.9, 0.3333, 0.0625],
            "mode": "lines+markers",
            "name": "random",
            "opacity": 0.9998,
            "line": {"color": NEUTRAL, "width": 2, "dash": "dot"},
            "marker": {"size": 4},
            "hovertemplate": "Noise: %{y:.3f}<extra></extra>",
        },
    ]
    assert chart["layout"]["yaxis"]["range"] == [0, 1.02]


def test_two_panels_by_hand() -> None:
    chart = convergence_chart([Checkpoint(64, 0.75, math.inf), Checkpoint(128, 1.0, 2 / 3)], limit=0.1)
    cosine, noise = chart["data"]
    assert (cosine["x"], cosine["y"], cosine["line"]["color"]) == ([64, 128], [0.75, 1.0], MEASURED)
    assert (noise["x"], noise["y"], noise["line"]["color"]) == ([64, 128], [None, 0.66667], MEASURED)
    assert (noise["xaxis"], noise["yaxis"]) == ("x2", "y2")
    layout = chart["layout"]
    assert [layout[axis]["domain"] for axis in ("xaxis", "xaxis2")] == [[0, 0.43], [pytest.approx(0.57), 1]]
    assert [title["x"] for title in layout["annotations"]] == [pytest.approx(0.215), pytest.approx(0.785)]
    assert layout["yaxis"]["range"] == [0.5, 1], "nothing is above a cosine of 1"
    assert layout["xaxis"]["range"] == layout["xaxis2"]["range"], "one axis for both"
    assert layout["shapes"][0]["xref"] == "x2 domain" and layout["shapes"][0]["yref"] == "y2"


def test_places_are_those_that_a_hover_text_names() -> None:
    """At 12.5 % a text says 13 %; a step of 1 ∕ 56 seven times, whatever it comes to, must not make it 12 %."""
    for total in (8, 28, 40, 56, 104, 200, 224):
        fractions = np.arange(total + 1) / total
        line = CurveLine("grad-cam", "", fractions, fractions, True, 0.5)
        (trace,) = curves_chart(CurvePanel("deletion", (line,)))["data"]
        drawn = trace["x"] if "x" in trace else [trace["x0"] + n * trace["dx"] for n in range(total + 1)]
        np.testing.assert_allclose(drawn, fractions, atol=1e-4)
        assert [math.floor(100 * x + 0.5) for x in drawn] == [math.floor(100 * x + 0.5) for x in fractions]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(0, 4))
def test_rounded_numbers_are_off_by_less_than_can_be_seen_and_read_the_same(values: list[float], decimals: int) -> None:
    short = rounded(values, decimals=decimals)
    extent = max(values) - min(values) or abs(values[0])
    assert np.abs(np.subtract(short, values)).max() <= extent / 1999
    assert [f"{number:.{decimals}f}" for number in short] == [f"{value:.{decimals}f}" for value in values]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_numbers_read_by_their_digits_read_the_same(values: list[float]) -> None:
    assert [f"{number:.4g}" for number in rounded(values, digits=4)] == [f"{value:.4g}" for value in values]


def test_rounded_by_hand() -> None:
    assert rounded([0.123456, 0.9, math.nan, -math.inf], decimals=3) == [0.12346, 0.9, None, None], "not 0.1235"
    assert rounded([0.0, 12.34567, 1234.567]) == [0.0, 12.3, 1234.6]
