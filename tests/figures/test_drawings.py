"""Results as a notebook shows them."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cam_core import SAMPLES, Explanation, compare, explain
from cam_core.analysis.channels import channel_report
from cam_core.analysis.curves import curve_report
from cam_core.figures.drawings import html_of
from cam_core.metrics.curves.points import Curves, add_point, curve_points
from cam_core.shapley import channel_shap
from tests.tiny import tiny_classifier


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    return explain(tiny_classifier("plain"), SAMPLES[0].open(), method="grad-cam")


def picture_in(html: str | None) -> Image.Image:
    assert html is not None
    found = re.search(r"data:image/png;base64,([^\"]+)", html)
    assert found is not None
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


def test_an_explanation_shows_its_heatmap_and_what_it_is(explanation: Explanation) -> None:
    html = explanation._repr_html_()
    shown = np.asarray(picture_in(html).convert("RGB"), dtype=float)
    assert max(shown.shape[:2]) == 224
    assert "Grad-CAM" in str(html)
    assert explanation.label in str(html)
    # Red speaks for the class, blue against it: where the map is largest there is more red than where it is least.
    redness = shown[..., 0] - shown[..., 2]
    side = 224 // explanation.map.shape[0]
    most, least = (
        redness[row * side + side // 2, column * side + side // 2]
        for row, column in (
            np.unravel_index(place, explanation.map.shape)
            for place in (explanation.map.argmax(), explanation.map.argmin())
        )
    )
    assert most > least


def test_labels_and_warnings_are_no_markup(explanation: Explanation) -> None:
    html = html_of(replace(explanation, label="<b>x", warnings=("a < b",)))
    assert "<b>x" not in html
    assert "&lt;b&gt;x" in html
    assert "a &lt; b" in html


def test_curves_draw_themselves(explanation: Explanation) -> None:
    curves: Curves = {}
    for point in curve_points(tiny_classifier("plain"), SAMPLES[0].open(), {"grad-cam": explanation}, steps=4):
        add_point(curves, point)
    (curve,) = curves.values()
    assert picture_in(curve._repr_html_()).width > 300
    assert f"{curve.auc:.3f}" in str(curve._repr_html_())
    report = curve_report(curves, {"grad-cam": explanation})
    assert picture_in(report._repr_html_()).width > 300


def test_channels_draw_themselves() -> None:
    report = channel_report(channel_shap(tiny_classifier("plain"), SAMPLES[0].open(), budget=16))
    assert picture_in(report._repr_html_()).width > 300


def test_a_comparison_shows_every_map_and_how_far_they_agree() -> None:
    beside = compare(tiny_classifier("plain"), SAMPLES[0].open(), ["grad-cam", "hires-cam"])
    assert [made.method for made in beside.explanations] == ["grad-cam", "hires-cam"]
    assert len({made.target for made in beside.explanations}) == 1
    html = str(beside._repr_html_())
    assert "Grad-CAM and HiResCAM: rank correlation" in html
    assert picture_in(html).width > 500


def test_parameters_reach_their_method() -> None:
    beside = compare(tiny_classifier("plain"), SAMPLES[0].open(), ["opti-cam"], params={"opti-cam": {"steps": 3}})
    assert beside.explanations[0].params["steps"] == 3


def test_what_is_no_result_has_no_picture() -> None:
    with pytest.raises(TypeError, match="has no picture"):
        html_of(3)
