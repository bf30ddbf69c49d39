"""Charts and the figure of channels hold the numbers that they were given, and signs without colour."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from cam_core import load_model
from cam_core.analysis.channels import Checkpoint, channel_report
from cam_core.charts import channel_chart, convergence_chart, removal_chart, waterfall_chart
from cam_core.charts.signs import signed_text
from cam_core.figures import Design, FigureError, channel_figure, encode_figure
from cam_core.images import sample
from cam_core.palette import REFERENCE
from cam_core.shapley import channel_shap
from tests.tiny import tiny_classifier, tiny_images

PHI = np.array([0.5, -1.25, 0.75])
ERRORS = np.array([0.1, 0.2, math.inf])


def test_bars_have_errors_signs_and_patterns() -> None:
    figure = go.Figure(channel_chart([7, 3, 9], PHI, ERRORS, {}))
    bars, labels = figure.data
    assert list(bars.x) == ["7", "3", "9"] and list(bars.y) == PHI.tolist()
    assert list(bars.error_y.array) == [0.1, 0.2, 0.0], "an unknown error is not drawn"
    assert "unknown" in bars.customdata[2]
    assert list(bars.marker.pattern.shape) == ["", "/", ""]
    assert list(labels.text) == ["+0.50", "−1.25", "+0.75"]
    assert labels.y[1] < -1.25 and labels.y[0] > 0.5, "numbers stand beyond the whiskers"


def test_methods_stand_in_a_panel_of_their_own_with_one_point_a_channel() -> None:
    beside = {REFERENCE: PHI / 2, "lift-cam": PHI / 3, "grad-cam": -PHI}
    figure = go.Figure(channel_chart([7, 3, 9], PHI, ERRORS, beside, chosen=3))
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == [REFERENCE, "LIFT-CAM", "Grad-CAM"]
    assert all(len(trace.x) == 3 for trace in figure.data), "a click's number is the channel's place in every trace"
    symbols = [trace.marker.symbol for trace in figure.data if trace.name in ("LIFT-CAM", "Grad-CAM")]
    assert len(set(symbols)) == 2, "told apart by shape too"
    assert figure.layout.shapes[0].x0 == 0.5 and figure.layout.shapes[0].x1 == 1.5


def test_many_bars_have_no_numbers() -> None:
    figure = channel_chart(range(40), np.ones(40), np.zeros(40), {})
    assert len(figure["data"]) == 1


def test_waterfall_bars_begin_where_the_one_before_ended() -> None:
    steps = [("4", 3.0), ("2", -0.5), ("gap", 0.25)]
    figure = go.Figure(waterfall_chart(("v(∅)", -1.0), steps, ("logit", 1.75)))
    totals, bars = figure.data
    assert list(totals.y) == [-1.0, 1.75]
    assert list(bars.base) == [-1.0, 2.0, 1.5] and list(bars.y) == [3.0, -0.5, 0.25]
    assert list(bars.text) == ["+3.00", "−0.50", "+0.25"]
    assert list(figure.layout.xaxis.categoryarray) == ["v(∅)", "4", "2", "gap", "logit"]


def test_convergence_leaves_out_what_is_unknown() -> None:
    figure = go.Figure(convergence_chart([Checkpoint(10, 0.9, math.inf), Checkpoint(20, 1.0, 0.2)], limit=0.1))
    cosine, noise = figure.data
    assert list(cosine.x) == [10, 20] and list(cosine.y) == [0.9, 1.0]
    assert list(noise.y) == [None, 0.2]
    assert figure.layout.shapes[0].y0 == 0.1


def test_removal_marks_both_lines_at_the_number() -> None:
    measured, predicted, marks = go.Figure(removal_chart([5.0, 3.0, 1.0], [5.0, 4.0, 2.0], 1)).data
    assert list(measured.y) == [5.0, 3.0, 1.0] and list(predicted.y) == [5.0, 4.0, 2.0]
    assert list(marks.x) == [1, 1] and list(marks.y) == [3.0, 4.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.734, "+0.73"), (-1.0755, "−1.08"), (0.0123, "+0.012"), (-0.00012, "−1.2\u00a0×\u00a010⁻⁴"), (0.0, "+0.00")],
)
def test_signed_numbers(value: float, text: str) -> None:
    assert signed_text(value) == text


def test_figure_for_print_in_every_format() -> None:
    estimate = channel_shap(tiny_classifier("residual"), tiny_images(1)[0], layer="relu1", budget=40)
    beside = {"lift-cam": np.arange(8.0), "grad-cam": -np.arange(8.0)}
    report = channel_report(estimate, beside)
    figure = channel_figure(report, 5, Design(width=85))
    assert figure.get_figwidth() * 25.4 == pytest.approx(85)
    top, bottom = figure.axes
    shown = estimate.phi.abs().argsort(descending=True)[:5]
    assert [bar.get_height() for bar in top.patches] == pytest.approx(estimate.phi[shown].tolist())
    assert [bool(bar.get_hatch()) for bar in top.patches] == (estimate.phi[shown] < 0).tolist()
    assert [text.get_text() for text in bottom.get_legend().get_texts()] == [REFERENCE, "LIFT-CAM", "Grad-CAM"]
    assert [label.get_text() for label in bottom.get_xticklabels()] == [str(int(channel)) for channel in shown]
    svg = encode_figure(figure, "svg")
    assert estimate.label.encode() in svg and b"unit L2 norm" in svg
    assert svg == encode_figure(channel_figure(report, 5, Design(width=85)), "svg"), "the same bytes"


def test_a_long_name_of_a_class_stays_inside_the_figure() -> None:
    estimate = channel_shap(tiny_classifier("residual"), tiny_images(1)[0], layer="relu1", budget=40)
    report = replace(channel_report(estimate), label="soft-coated Wheaten terrier, as judges of dog shows write it")
    figure = channel_figure(report, 5, Design(width=85))
    figure.draw_without_rendering()
    assert figure.get_tightbbox().width * 25.4 <= 85


def test_figure_of_exact_values_has_one_panel_and_says_so() -> None:
    estimate = channel_shap(tiny_classifier("plain"), tiny_images(1)[0], layer="features.3")
    figure = channel_figure(channel_report(estimate), 20)
    (axes,) = figure.axes
    assert "exact" in axes.get_title(loc="left") and len(axes.patches) == 8 and not axes.collections


def test_figure_refuses_what_does_not_fit() -> None:
    estimate = channel_shap(tiny_classifier("plain"), tiny_images(1)[0], layer="features.3")
    with pytest.raises(FigureError, match="not 0"):
        channel_figure(channel_report(estimate), 0)
    wide = channel_shap(load_model("efficientnet_lite0"), sample("dog").open(), layer="bn2")
    with pytest.raises(FigureError, match="200 channels do not fit into 85 mm: 53 is the most"):
        channel_figure(channel_report(wide), 200, Design(width=85))
