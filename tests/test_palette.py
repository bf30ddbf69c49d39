"""One look a method, on screen and in print; colours that are told apart, and that stand in one file alone."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import matplotlib.colors
import numpy as np
import plotly.graph_objects as go
import pytest

from cam_core import METHODS
from cam_core.analysis.channels import channel_report
from cam_core.analysis.curves import CurveLine, CurvePanel, CurveReport
from cam_core.charts import channel_chart, curves_chart, waterfall_chart
from cam_core.figures import channel_figure, curve_figure
from cam_core.metrics.curves.points import Curve, CurvePoint
from cam_core.metrics.curves.spread import control_name
from cam_core.overlay import ACTIVATION, DIVERGING, colourise, limits
from cam_core.palette import (
    AGAINST,
    DASHES,
    FOR,
    HUES,
    NEUTRAL,
    REFERENCE,
    SHAPES,
    method_colour,
    style_of,
    translucent,
)
from cam_core.shapley import channel_shap
from pages.shared import pickers, tables
from tests.tiny import tiny_classifier, tiny_images

ROOT = Path(__file__).parents[1]
CONTROLS = {key for key, method in METHODS.items() if method.control}
PAPERS = ["lift-cam", "shap-cam", "opti-cam", "lfi-cam"]
COMMON = ["grad-cam", "grad-cam++", "score-cam", "ablation-cam", "layer-cam"]
LIGHT, DARK = "#ffffff", "#12171c"  # the backgrounds in .streamlit/config.toml

# Machado et al. 2009, severity 1.0: linear RGB → linear RGB.
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
TO_XYZ = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07218], [0.01933, 0.11919, 0.95030]])


def linear(colour: str) -> np.ndarray:
    """sRGB → linear light (IEC 61966-2-1)."""
    values = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """CIE 1976 L*a*b*, D65."""
    ratio = TO_XYZ @ light / [0.95047, 1, 1.08883]
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, seen: object = None) -> float:
    """Distance in CIELAB, as seen through a matrix of linear light."""
    matrix = np.eye(3) if seen is None else np.array(seen)
    first, second = (lab(np.clip(matrix @ linear(colour), 0, 1)) for colour in (one, other))
    return float(np.linalg.norm(first - second))


def drawn(values: list[float], colour_map: str) -> list[str]:
    """The colours of values in a signed map."""
    array = np.array([values], dtype=np.float32)
    return [
        "#{:02x}{:02x}{:02x}".format(*colour)
        for colour in colourise(array, colour_map, limits([array], signed=True))[0]
    ]


def hue(colour: str) -> float:
    """Degrees in CIELAB."""
    _, red, yellow = lab(linear(colour))
    return float(np.degrees(np.arctan2(yellow, red)))


def contrast(one: str, other: str) -> float:
    """WCAG 2: (L1 + 0.05) / (L2 + 0.05)."""
    dark, light = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def grown(name: str) -> Curve:
    made = Curve(name, "deletion")
    for index, value in enumerate((0.9, 0.4, 0.1)):
        made.add(CurvePoint(name, "deletion", index, 3, index / 2, value))
    return made


def test_every_method_has_looks_of_its_own() -> None:
    lines = {key: style_of(key)[:2] for key in METHODS}
    assert len(set(lines.values())) == len(METHODS), "two share colour and dash: name the newer at the end of the list"
    points = {(style_of(key).colour, style_of(key).shape) for key in METHODS}
    assert len(points) == len(METHODS)


def test_the_papers_and_the_common_methods_have_a_hue_and_a_solid_line() -> None:
    shown = [style_of(key) for key in PAPERS + COMMON]
    assert {style.dash for style in shown} == {"solid"}
    assert len({style.colour for style in shown}) == len(shown)


def test_controls_are_grey_and_nothing_else_is() -> None:
    assert {key for key in METHODS if method_colour(key) == NEUTRAL} == CONTROLS
    assert style_of(control_name(3)) == style_of("random")
    assert method_colour(REFERENCE) == NEUTRAL


def test_an_unknown_name_has_the_same_looks_every_time_and_no_control_s() -> None:
    for name in ("my-cam", "another (mine)", ""):
        style = style_of(name)
        assert style == style_of(name)
        assert style.colour in HUES and style.dash in DASHES and style.shape in SHAPES
        assert style not in {style_of(key) for key in METHODS}


@pytest.mark.parametrize("seen", [np.eye(3).tolist(), PROTANOPIA, DEUTERANOPIA], ids=["all", "no red", "no green"])
def test_hues_are_told_apart(seen: list[list[float]]) -> None:
    places = [lab(np.clip(np.array(seen) @ linear(hue), 0, 1)) for hue in HUES]
    assert min(np.linalg.norm(one - other) for one, other in combinations(places, 2)) > 21


@pytest.mark.parametrize("seen", [np.eye(3).tolist(), PROTANOPIA, DEUTERANOPIA], ids=["all", "no red", "no green"])
@pytest.mark.parametrize("methods", [pickers.FIRST_METHODS, ("lift-cam", "eigen-cam")], ids=" ".join)
def test_what_pages_open_with_is_told_apart_by_hue_alone(methods: tuple[str, ...], seen: list[list[float]]) -> None:
    assert min(apart(*map(method_colour, pair), seen) for pair in combinations(methods, 2)) > 40


def test_no_method_has_the_colour_of_evidence() -> None:
    assert min(apart(method_colour(key), evidence) for key in METHODS for evidence in (FOR, AGAINST)) > 20


def test_evidence_has_two_colours_in_bars_steps_print_and_signed_maps() -> None:
    estimate = channel_shap(tiny_classifier("residual"), tiny_images(1)[0], layer="relu1", budget=40)
    expected = [AGAINST if value < 0 else FOR for value in estimate.phi.tolist()]
    assert set(expected) == {FOR, AGAINST}
    bars = channel_chart(range(8), estimate.phi, estimate.stderr, {})["data"][0]
    steps = waterfall_chart(("", 0.0), [(str(n), value) for n, value in enumerate(estimate.phi.tolist())], ("", 1.0))
    assert bars["marker"]["color"] == steps["data"][1]["marker"]["color"] == expected
    report = channel_report(estimate)
    printed = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in channel_figure(report, 8).axes[0].patches]
    assert printed == [expected[channel] for channel in report.order]
    against, nothing, speaks_for, _ = drawn([-0.5, 0.0, 0.5, 1.0], DIVERGING[0])
    assert abs(hue(speaks_for) - hue(FOR)) < 12 and abs(hue(against) - hue(AGAINST)) < 12
    assert apart(nothing, LIGHT) < 5


@pytest.mark.parametrize("name", DIVERGING)
def test_the_warm_end_of_every_signed_map_is_for(name: str) -> None:
    against, _, speaks_for = (linear(colour) for colour in drawn([-1.0, 0.0, 1.0], name))
    assert speaks_for[0] > speaks_for[2] and against[2] > against[0]


def test_activation_is_no_evidence() -> None:
    negative, _, active = drawn([-1.0, 0.0, 1.0], ACTIVATION)
    assert ACTIVATION not in DIVERGING
    assert min(apart(one, other) for one in (negative, active) for other in (FOR, AGAINST)) > 40
    assert min(abs(hue(one) - hue(other)) for one in (negative, active) for other in (FOR, AGAINST)) > 30


def test_the_colours_of_evidence_are_asked_for_in_one_place() -> None:
    users = {
        path.name for path in (ROOT / "cam_core").rglob("*.py") if re.search(r"\b(FOR|AGAINST)\b", path.read_text())
    }
    assert users <= {"palette.py", "overlay.py", "signs.py"}, "others ask evidence_colour"


@pytest.mark.parametrize("background", [LIGHT, DARK])
def test_hues_are_legible_on_either_page(background: str) -> None:
    assert background in (ROOT / ".streamlit/config.toml").read_text()
    assert min(contrast(hue, background) for hue in HUES) >= 3


def test_a_method_s_curve_is_the_same_on_screen_in_print_and_in_the_table() -> None:
    names = [*METHODS, control_name(2)]
    curves = [grown(name) for name in reversed(names)]
    lines = [CurveLine(one.name, one.name, one.fractions, one.values, one.complete, one.auc) for one in curves]
    panel = CurvePanel("deletion", tuple(lines))
    screen = {trace.name: (trace.line.color, trace.line.dash) for trace in go.Figure(curves_chart(panel)).data}
    (axes,) = curve_figure(CurveReport("probability", (panel,))).axes
    for curve, line in zip(curves, axes.lines, strict=True):
        colour, dash, _ = style_of(curve.name)
        assert screen[curve.name] == (colour, dash)
        assert line.get_color() == colour
        assert (line.get_linestyle() == "-") == (dash == "solid")
        assert f"{colour} 0px" in tables.line(curve.name)


def test_a_method_s_points_are_the_same_on_screen_and_in_print() -> None:
    estimate = channel_shap(tiny_classifier("residual"), tiny_images(1)[0], layer="relu1", budget=40)
    keys = [key for key, method in METHODS.items() if method.unit][::-1]
    beside = {key: np.arange(8.0) for key in keys}
    screen = channel_chart(range(8), estimate.phi, estimate.stderr, {REFERENCE: estimate.phi, **beside})
    dots = [trace for trace in go.Figure(screen).data if trace.type == "scatter" and trace.mode == "markers"]
    points = {trace.name: trace.marker.color for trace in dots}
    report = channel_report(estimate, beside)
    printed = {line.get_label(): line.get_color() for line in channel_figure(report, 8).axes[1].lines}
    for key in keys:
        title = METHODS[key].title
        assert points[title] == printed[title] == method_colour(key)


def test_dashes_differ_in_pattern() -> None:
    assert len(set(DASHES.values())) == len(DASHES) and all(len(pattern) % 2 == 0 for pattern in DASHES.values())


def test_translucent() -> None:
    assert translucent("#0a80ff", 0.25) == "rgba(10, 128, 255, 0.25)"


def test_no_colour_is_written_anywhere_else() -> None:
    files = [path for folder in ("cam_core", "pages") for path in (ROOT / folder).rglob("*")] + [ROOT / "app.py"]
    paths = [path for path in files if path.suffix in (".py", ".css")]
    assert ROOT / "pages/shared/app.css" in paths
    written = re.compile(r"""["'\s:(]#[0-9a-fA-F]{6}\b|["'\s:(]#[0-9a-fA-F]{3}[;"'\s]|rgba?\(\s*\d""")
    found = {str(path.relative_to(ROOT)) for path in paths if written.search(path.read_text(encoding="utf-8"))}
    assert found == {"cam_core/palette.py"}
