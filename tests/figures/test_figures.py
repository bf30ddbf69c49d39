"""Figures for print: sizes in millimetres, text as text, colours as numbers, nothing left behind."""

from __future__ import annotations

import ast
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cam_core import figures
from cam_core.figures import (
    DOUBLE_COLUMN,
    FORMATS,
    SINGLE_COLUMN,
    Design,
    FigureError,
    Row,
    encode_figure,
    figure_format,
    heatmap_figure,
)
from cam_core.methods import METHODS
from cam_core.overlay import ColourMapError
from cam_core.types import Explanation

RAMP = np.array([[-2.0, 0.0, 1.0, 4.0]] * 3, dtype=np.float32)
PHOTO = Image.new("RGB", (60, 45), (200, 100, 50))
FAST = 60  # pixels per inch, where only the layout counts


def explanation(method: str = "grad-cam", raw: np.ndarray = RAMP, **fields: Any) -> Explanation:
    values: dict[str, Any] = {
        "model": "tiny",
        "layer": "layer4",
        "target": 3,
        "label": "German shepherd",
        "score": 5.0,
        "probability": 0.9731,
        "map": raw,
        "saliency": np.zeros((8, 8), dtype=np.float32),
    }
    return Explanation(method=method, **(values | fields))


def texts(figure: Figure) -> list[str]:
    """What stands in the figure, line by line."""
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.texts]


def decoded(figure: Figure) -> np.ndarray:
    with Image.open(io.BytesIO(encode_figure(figure, "png"))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def panel_pixels(figure: Figure, number: int) -> np.ndarray:
    """The pixels of one panel, half a millimetre in from its edges."""
    pixels = decoded(figure)
    height, width = pixels.shape[:2]
    box = figure.axes[number].get_position()
    inset = round(0.5 / 25.4 * figure.dpi) + 1
    rows = slice(round((1 - box.y1) * height) + inset, round((1 - box.y0) * height) - inset)
    columns = slice(round(box.x0 * width) + inset, round(box.x1 * width) - inset)
    return pixels[rows, columns]


# Size


@pytest.mark.parametrize("width", [SINGLE_COLUMN, DOUBLE_COLUMN, 120.0])
def test_width_is_exact_in_every_format(width: float) -> None:
    figure = heatmap_figure([Row(PHOTO, [explanation()])], Design(width=width, dpi=100))
    assert decoded(figure).shape[1] == int(width / 25.4 * 100)
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+) *\]", encode_figure(figure, "pdf"))
    assert box is not None and float(box.group(1)) == pytest.approx(width / 25.4 * 72, abs=0.01)
    points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', encode_figure(figure, "svg"))
    assert points is not None and float(points.group(1)) == pytest.approx(width / 25.4 * 72, abs=0.01)


def test_panels_have_the_photos_shape() -> None:
    figure = heatmap_figure([Row(PHOTO, [explanation()])], Design(dpi=FAST))
    width, height = figure.get_size_inches()
    for axes in figure.axes[:2]:
        box = axes.get_position()
        assert box.height * height / (box.width * width) == pytest.approx(45 / 60)


@pytest.mark.parametrize("width", [SINGLE_COLUMN, DOUBLE_COLUMN])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 9, 21])
def test_everything_stays_inside_and_nothing_overlaps(width: float, count: int) -> None:
    keys = [key for key in METHODS if not METHODS[key].control]
    rows = [Row(PHOTO, [explanation(keys[i % len(keys)], layer=f"features.{i}.conv") for i in range(count)])]
    figure = heatmap_figure(rows, Design(width=width, dpi=200))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    numbers = [label for label in figure.axes[-1].get_yticklabels() if label.get_text()]
    boxes = [item.get_window_extent(renderer) for item in (*figure.texts, *figure.axes, *numbers)]
    slack = 0.25 / 25.4 * 200  # a quarter of a millimetre: glyphs are fitted to whole pixels
    for box in boxes:
        assert min(box.x0, box.y0) >= -slack
        assert box.x1 <= figure.bbox.width + slack and box.y1 <= figure.bbox.height + slack
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            overlap = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
            assert min(overlap) <= slack, (one, other)


@pytest.mark.parametrize(("count", "expected"), [(1, {2}), (5, {6}), (6, {4, 3}), (11, {6})])
def test_one_photos_panels_flow_over_even_lines(count: int, expected: set[int]) -> None:
    figure = heatmap_figure([Row(PHOTO, [explanation()] * count)], Design(width=DOUBLE_COLUMN, dpi=FAST))
    tops = [round(axes.get_position().y1, 6) for axes in figure.axes[:-1]]
    assert {tops.count(top) for top in tops} == expected


def test_several_photos_stand_in_rows_with_common_columns() -> None:
    rows = [Row(PHOTO, [explanation(), explanation("lift-cam")]), Row(PHOTO, [explanation(), explanation("lift-cam")])]
    figure = heatmap_figure(rows, Design(width=SINGLE_COLUMN, dpi=FAST))
    corners = np.array([[axes.get_position().x0, axes.get_position().y1] for axes in figure.axes[:-1]]).reshape(2, 3, 2)
    assert np.allclose(corners[0, :, 0], corners[1, :, 0])
    assert np.allclose(corners[:, :1, 1], corners[:, :, 1])
    assert texts(figure).count("Grad-CAM") == texts(figure).count("Input") == 1


def test_more_columns_than_fit_are_refused() -> None:
    with pytest.raises(FigureError, match=r"9 panels side by side do not fit into 85 mm: each would be 5\.\d mm wide"):
        heatmap_figure([Row(PHOTO, [explanation()] * 8)] * 2, Design(width=SINGLE_COLUMN))


@pytest.mark.parametrize(
    "rows",
    [[], [Row(PHOTO, [])], [Row(PHOTO, [explanation()]), Row(PHOTO, [])]],
    ids=["no row", "an empty row", "a full and an empty row"],
)
def test_nothing_to_draw(rows: list[Row]) -> None:
    with pytest.raises(FigureError, match="at least one map"):
        heatmap_figure(rows)


# Text


def test_text_stays_text() -> None:
    figure = heatmap_figure([Row(PHOTO, [explanation(), explanation("lift-cam")])], Design(dpi=FAST))
    svg, pdf = encode_figure(figure, "svg").decode(), encode_figure(figure, "pdf")
    for words in ("Grad-CAM", "LIFT-CAM", "German shepherd", "relative saliency"):
        assert re.search(rf"<text[^>]*>[^<]*{words}", svg)
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf


@pytest.mark.parametrize(
    ("probability", "said"), [(0.9731, "p = 0.973"), (0.99997, "p > 0.999"), (1e-7, "p < 0.001"), (0.0006, "p = 0.001")]
)
def test_class_and_probability_stand_over_the_photo(probability: float, said: str) -> None:
    figure = heatmap_figure([Row(PHOTO, [explanation(probability=probability)])], Design(dpi=FAST))
    assert f"German shepherd ({said})" in texts(figure)


def test_of_several_photos_each_has_its_class_beside_it_upright() -> None:
    rows = [Row(PHOTO, [explanation()]), Row(PHOTO, [explanation(target=7, label="cat", probability=0.25)])]
    figure = heatmap_figure(rows, Design(dpi=FAST))
    upright = [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.texts if text.get_rotation() == 90]
    assert upright == ["German shepherd", "p = 0.973", "cat", "p = 0.250", "relative saliency"]


def test_classes_and_layers_that_differ_are_named_under_each_map() -> None:
    maps = [explanation(), explanation(target=7, label="cat", layer="layer2 + layer3", probability=0.25)]
    figure = heatmap_figure([Row(PHOTO, maps)], Design(dpi=FAST))
    found = texts(figure)
    for words in ("Input", "German shepherd", "p = 0.973", "layer4", "cat", "p = 0.250", "layer2 + layer3"):
        assert words in found
    assert "layer4" not in texts(heatmap_figure([Row(PHOTO, [maps[0]])], Design(dpi=FAST)))


@pytest.mark.parametrize(
    ("raw", "signed", "empty"),
    [(RAMP, False, False), (-RAMP - 4, False, True), (-RAMP - 4, True, False), (RAMP * 0 + 3, True, True)],
    ids=["positive", "nowhere positive", "negative but signed", "constant"],
)
def test_empty_map_says_so(raw: np.ndarray, signed: bool, empty: bool) -> None:
    figure = heatmap_figure([Row(PHOTO, [explanation(raw=raw)])], Design(dpi=FAST, signed=signed))
    assert ("(empty map)" in texts(figure)) == empty


def test_label_is_no_formula_and_breaks_at_spaces() -> None:
    label = "a_b^c $5 $6 American-Staffordshire-terrier-and-many-words-more \\alpha"
    figure = heatmap_figure([Row(PHOTO, [explanation(label=label)] * 3)], Design(width=SINGLE_COLUMN, dpi=FAST))
    lines = texts(figure)[: texts(figure).index("Grad-CAM")]
    assert lines[0].startswith("a_b^c $5 $6")
    assert any(line.startswith("American-Staff") and line.endswith("…") for line in lines)
    assert "\\alpha (p = 0.973)" in " ".join(lines)
    for form in FORMATS:
        assert encode_figure(figure, form)


# Colours


@pytest.mark.parametrize(("signed", "colours"), [(False, "inferno"), (True, "RdBu_r")])
def test_own_scale_spans_the_colour_map(signed: bool, colours: str) -> None:
    """Between the centres of its columns a bilinear map is linear: 0 … 4 or −4 … 4 spans all colours."""
    figure = heatmap_figure([Row(PHOTO, [explanation()])], Design(opacity=1, signed=signed, dpi=200))
    found = panel_pixels(figure, 1)
    for position in (0.05, 0.25, 0.375, 0.5, 0.625, 0.75, 0.95):
        value = np.interp(4 * position - 0.5, range(4), RAMP[0] if signed else RAMP[0].clip(min=0))
        expected = np.array(colormaps[colours]((value / 4 + 1) / 2 if signed else value / 4)[:3]) * 255
        near = found[len(found) // 2, round(position * (found.shape[1] - 1))]
        assert np.abs(near - expected).max() <= 12, position


def test_photo_is_shown_as_it_is_and_the_map_is_blended_over_it() -> None:
    constant = explanation(raw=np.zeros((2, 2), dtype=np.float32))
    figure = heatmap_figure([Row(PHOTO, [constant])], Design(opacity=0.25, dpi=100))
    assert np.abs(panel_pixels(figure, 0) - [200, 100, 50]).max() <= 1
    zero = np.array(colormaps["inferno"](0.0)[:3]) * 255
    assert np.abs(panel_pixels(figure, 1) - (0.75 * np.array([200, 100, 50]) + 0.25 * zero)).max() <= 1


def test_shared_scale_compares_maps_in_raw_values() -> None:
    rows = [Row(PHOTO, [explanation(raw=RAMP), explanation(raw=RAMP / 2)])]
    figure = heatmap_figure(rows, Design(opacity=1, shared=True, dpi=100))
    strong, weak = (panel_pixels(figure, number)[:, -1].mean(0) for number in (1, 2))
    assert np.abs(strong - np.array(colormaps["inferno"](1.0)[:3]) * 255).max() <= 3
    assert np.abs(weak - np.array(colormaps["inferno"](0.5)[:3]) * 255).max() <= 3
    bar = figure.axes[-1]
    assert bar.get_ylim() == (0, 4)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "1", "2", "3", "4"]
    assert "raw saliency" in texts(figure)


def test_signed_scale_is_centred_and_has_a_proper_minus() -> None:
    bar = heatmap_figure([Row(PHOTO, [explanation()])], Design(signed=True, shared=True, dpi=FAST)).axes[-1]
    assert bar.get_ylim() == (-4, 4)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["−4", "−2", "0", "2", "4"]


def test_shared_scale_of_nothing_is_one_colour() -> None:
    nothing = explanation(raw=np.zeros((2, 2), dtype=np.float32))
    assert encode_figure(heatmap_figure([Row(PHOTO, [nothing])], Design(shared=True, dpi=FAST)), "pdf")


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"width": 5}, FigureError, "width=5 is out of range"),
        ({"opacity": 1.5}, FigureError, "opacity=1.5"),
        ({"font_size": float("nan")}, FigureError, "font_size=nan"),
        ({"dpi": 0}, FigureError, "dpi=0"),
        ({"colour_map": "hsv"}, ColourMapError, "unknown colour map 'hsv'; there are: inferno"),
        ({"colour_map": "RdBu_r"}, ColourMapError, "positive values need a sequential colour map"),
        ({"colour_map": "inferno", "signed": True}, ColourMapError, "signed values need a diverging colour map"),
    ],
    ids=str,
)
def test_design_that_cannot_be(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Design(**settings)


# Files


def test_same_figure_gives_the_same_bytes_from_any_thread() -> None:
    settings_before = dict(matplotlib.rcParams)

    def draw(number: int) -> bytes:
        design = Design(width=SINGLE_COLUMN if number % 2 else DOUBLE_COLUMN, font_size=7 + number % 2, dpi=FAST)
        figure = heatmap_figure([Row(PHOTO, [explanation(), explanation("lift-cam")])], design)
        return encode_figure(figure, FORMATS[number % 3])

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(draw, range(18)))
    assert together == [draw(number) for number in range(18)]
    assert dict(matplotlib.rcParams) == settings_before


def test_nothing_touches_pyplot() -> None:
    for path in Path(figures.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any("pyplot" in name or "pylab" in name for name in names), path


def test_format_follows_the_ending() -> None:
    figure = heatmap_figure([Row(PHOTO, [explanation()])], Design(dpi=FAST))
    for name, start in (("a.PNG", b"\x89PNG"), ("b.pdf", b"%PDF"), ("c.svg", b"<?xml")):
        assert encode_figure(figure, figure_format(name)).startswith(start)
    for name in ("d.jpg", "d", "d.pdf.gz", ".pdf"):
        with pytest.raises(FigureError, match="names no figure format"):
            figure_format(name)
    with pytest.raises(FigureError, match="not as 'eps'"):
        encode_figure(figure, "eps")


def test_an_untrained_network_says_so_below_the_photo() -> None:
    assert "untrained network" not in texts(heatmap_figure([Row(PHOTO, [explanation()])]))
    for rows in ([Row(PHOTO, [explanation(trained=False)])], [Row(PHOTO, [explanation(trained=False)])] * 2):
        assert texts(heatmap_figure(rows)).count("untrained network") == len(rows)
