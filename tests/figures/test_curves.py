"""Curves for print, and the chart on the page: what is in them, and that nothing is cut off."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from itertools import pairwise

import plotly.graph_objects as go
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cam_core.analysis.curves import CurveLine, CurvePanel, CurveReport
from cam_core.charts import Mark, curves_chart
from cam_core.figures import Design, FigureError, curve_figure, encode_figure
from cam_core.metrics.curves.perturbation import Kind
from cam_core.metrics.curves.points import Curve, CurvePoint
from cam_core.metrics.curves.spread import band

TITLES = {"one": "Grad-CAM", "other": "LIFT-CAM"}
SVG = "{http://www.w3.org/2000/svg}"


def curve(name: str, kind: Kind, values: list[float], total: int = 0) -> Curve:
    made = Curve(name, kind)
    count = total or len(values)
    for index, value in enumerate(values):
        made.add(CurvePoint(name, kind, index, count, index / (count - 1), value))
    return made


def drawn(curve: Curve, titles: Mapping[str, str] = TITLES) -> CurveLine:
    return CurveLine(curve.name, titles[curve.name], curve.fractions, curve.values, curve.complete, curve.auc)


def panel(kind: Kind, titles: Mapping[str, str] = TITLES, control: bool = True) -> CurvePanel:
    curves = [curve(name, kind, [0.9, 0.4 + 0.1 * place, 0.0]) for place, name in enumerate(titles)]
    random = [curve("random", kind, [0.9, 0.7, 0.1]), curve("random", kind, [0.9, 0.5, 0.1])]
    return CurvePanel(kind, tuple(drawn(one, titles) for one in curves), band=band(random) if control else None)


def report(*panels: CurvePanel, score: str = "probability") -> CurveReport:
    return CurveReport(score, panels)


def texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_figure_names_curves_axes_and_the_control() -> None:
    words = texts(encode_figure(curve_figure(report(panel("deletion"), panel("insertion"))), "svg"))
    assert {"Grad-CAM", "LIFT-CAM", "2 random maps: mean and range"} <= set(words)
    assert {"Deletion", "Insertion", "pixels removed", "pixels shown", "probability of the class"} <= set(words)
    alone = report(panel("deletion", control=False), score="logit")
    without = texts(encode_figure(curve_figure(alone), "svg"))
    assert "logit" in without and not any("random" in word for word in without)


@pytest.mark.parametrize("width", [85.0, 174.0])
def test_nothing_is_cut_off(width: float) -> None:
    titles = {f"method {n}": f"A method with a long name {n}" for n in range(7)}
    figure = curve_figure(report(panel("deletion", titles), panel("insertion", titles)), Design(width=width))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    page = figure.bbox
    drawn = list(figure.texts)
    for axes in figure.axes:
        drawn.append(axes.title)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            drawn += [axis.label, *(label for place, label in ticks if low <= place <= high)]
    for text in drawn:
        box = text.get_window_extent(renderer)
        assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1, text.get_text()
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1, text.get_text()
    entries = sorted((text.get_window_extent(renderer) for text in figure.texts), key=lambda box: (box.y0, box.x0))
    assert not any(one.overlaps(other) for one, other in pairwise(entries))
    beside = len({round(axes.get_position().x0, 3) for axes in figure.axes})
    assert beside == (2 if width == 174 else 1)


def test_same_curves_same_bytes() -> None:
    one, two = (encode_figure(curve_figure(report(panel("deletion"))), "pdf") for _ in range(2))
    assert one == two


def test_no_point_no_figure() -> None:
    with pytest.raises(FigureError, match="at least one point"):
        curve_figure(report())
    with pytest.raises(FigureError, match="at least one point"):
        curve_figure(report(CurvePanel("deletion", (drawn(Curve("one", "deletion")),))))


def test_chart_has_curves_band_and_marks() -> None:
    figure = go.Figure(curves_chart(panel("deletion"), mark=Mark(0.3, {"one": 0.5, "other": 0.6})))
    lines = {trace.name: trace for trace in figure.data}
    assert list(lines["one"].x) == [0, 0.3, 0.5, 1] and list(lines["one"].y) == [0.9, 0.5, 0.4, 0.0], "through its dot"
    assert list(lines["other"].y)[1] == 0.6 and len(lines["lowest"].y) == 3
    assert list(lines["lowest"].y) == [0.9, 0.5, 0.1] and list(lines["highest"].y) == [0.9, 0.7, 0.1]
    assert (list(lines["one here"].x), list(lines["one here"].y)) == ([0.3], [0.5])
    assert lines["one"].line.color == lines["one here"].marker.color != lines["other"].line.color
    assert figure.layout.shapes[0].x0 == 0.3
    assert figure.layout.yaxis.range[0] == 0


def test_a_mark_at_a_point_of_the_curve_adds_none() -> None:
    (line, *_) = curves_chart(panel("deletion"), mark=Mark(0.5, {"one": 0.4}))["data"][-3:]
    assert line["name"] == "one" and line["y"] == [0.9, 0.4, 0.0] and line["dx"] == 0.5


def test_a_growing_curve_shows_its_points_and_small_scores_fill_the_chart() -> None:
    growing, empty = drawn(curve("one", "insertion", [0.01, 0.02], total=5)), drawn(Curve("other", "insertion"))
    figure = go.Figure(curves_chart(CurvePanel("insertion", (growing, empty))))
    assert figure.data[0].mode == "lines+markers"
    assert figure.layout.yaxis.range[1] == pytest.approx(0.022)
    assert "range" not in curves_chart(CurvePanel("insertion", (growing,)), score="logit")["layout"]["yaxis"]
    assert curves_chart(CurvePanel("insertion", (empty,)))["layout"]["yaxis"]["range"][1] > 0


@pytest.mark.parametrize("score", ["probability", "logit"])
def test_charts_that_stand_side_by_side_have_one_scale(score: str) -> None:
    low = CurvePanel("deletion", (drawn(curve("one", "deletion", [0.3, 0.1, -0.2], total=3)),))
    high = CurvePanel("insertion", (drawn(curve("one", "insertion", [0.0, 0.2, 0.8], total=3)),))
    charts = [go.Figure(curves_chart(panel, score=score, beside=(low, high))) for panel in (low, high)]
    ranges = [tuple(chart.layout.yaxis.range) for chart in charts]
    assert ranges[0] == ranges[1] == ((0, 1.02) if score == "probability" else pytest.approx((-0.25, 0.85)))
    assert charts[0].layout.xaxis.range == charts[1].layout.xaxis.range


def test_an_untrained_network_says_so_over_every_panel() -> None:
    untrained = CurveReport("probability", (panel("deletion"), panel("insertion")), untrained="tiny (random weights)")
    words = texts(encode_figure(curve_figure(untrained), "svg"))
    assert {"Deletion, untrained network", "Insertion, untrained network"} <= set(words)
