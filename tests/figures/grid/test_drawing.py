"""The grid drawn: sizes in millimetres, nothing cut off, text that stays text, colours as numbers."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cam_core.figures import FigureError, grid_doubts, grid_figure, grid_file
from cam_core.figures.text import font_families
from tests.figures.grid.grids import PHOTO, RAMP, explanation, grid, grid_of, texts, zoomed

ROOT = Path(__file__).parents[3]


def pixels(figure: Figure, number: int) -> np.ndarray:
    """The picture that stands in one of the axes."""
    return np.asarray(figure.axes[number].images[0].get_array()).astype(int)


def shaped(figure: Figure, number: int) -> tuple[float, float]:
    """Width and height of axes, millimetres."""
    box, (width, height) = figure.axes[number].get_position(), figure.get_size_inches()
    return box.width * width * 25.4, box.height * height * 25.4


# Size


@pytest.mark.parametrize(("look", "width"), [({}, 174.625), ({"venue": "eccv"}, 121.92), ({"width": 100.0}, 100.0)])
def test_width_is_exact_in_every_format(look: dict[str, Any], width: float) -> None:
    made = grid_of(**look)
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+) *\]", grid_file(made, "pdf"))
    assert box is not None and float(box.group(1)) / 72 * 25.4 == pytest.approx(width, abs=0.01)
    points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', grid_file(made, "svg"))
    assert points is not None and float(points.group(1)) / 72 * 25.4 == pytest.approx(width, abs=0.01)
    with Image.open(io.BytesIO(grid_file(made, "png"))) as picture:
        assert picture.width == int(round(width, 2) / 25.4 * 60)


def test_panels_are_alike_and_have_the_photos_shape() -> None:
    figure = grid_figure(grid_of(2, 3))
    assert len(figure.axes) == 2 * 4 + 1
    sizes = np.array([shaped(figure, number) for number in range(8)])
    assert np.allclose(sizes, sizes[0]) and sizes[0, 1] / sizes[0, 0] == pytest.approx(300 / 400)


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"venue": "cvpr-column", "letters": "(a)", "captions": "each"},
        {"venue": "nature-page", "captions": "each", "shared": True, "signed": True},
        {"venue": "neurips", "input": False, "colour_bar": False, "letters": "a"},
        {"venue": "eccv", "row_titles": False, "column_titles": False, "captions": "none"},
        {"font_size": 14.0},
    ],
    ids=str,
)
def test_everything_stays_inside_and_no_text_meets_another_or_a_panel(look: dict[str, Any]) -> None:
    figure = grid_figure(grid_of(3, 3, **look | {"dpi": 200}))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    letters = [text for text in figure.texts if text.get_fontweight() == "bold"]
    numbers = [label for axes in figure.axes if axes.axison for label in axes.get_yticklabels()]
    outside = [text for text in figure.texts if text not in letters]
    boxes = [item.get_window_extent(renderer) for item in (*outside, *numbers, *figure.axes)]
    slack = 0.3 / 25.4 * 200
    for box in [*boxes, *(letter.get_window_extent(renderer) for letter in letters)]:
        assert min(box.x0, box.y0) >= -slack
        assert box.x1 <= figure.bbox.width + slack and box.y1 <= figure.bbox.height + slack
    for one, other in combinations(boxes, 2):
        overlap = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(overlap) <= slack, (one, other)


def test_more_columns_than_fit_are_refused() -> None:
    with pytest.raises(FigureError, match=r"13 panels side by side do not fit into 82.55 mm: each would be \d\.\d mm"):
        grid_figure(grid_of(1, 12, venue="cvpr-column"))


# Text


def test_columns_rows_classes_and_letters_are_named() -> None:
    words = texts(grid_figure(grid_of(2, 2, letters="(a)")))
    assert words.count("Input") == words.count("Grad-CAM") == words.count("LIFT-CAM") == 1
    assert "photo 0" in words and "photo 1" in words
    assert words.count("German shepherd") == words.count("p = 0.973") == 2
    assert [word for word in words if re.fullmatch(r"\([a-z]\)", word)] == [f"({letter})" for letter in "abcdef"]


@pytest.mark.parametrize(
    ("captions", "input_alone", "count"),
    [("each", True, 4), ("once", False, 2), ("none", True, 0), ("beside", True, 2)],
)
def test_classes_stand_under_each_panel_once_a_row_or_nowhere(captions: str, input_alone: bool, count: int) -> None:
    words = texts(grid_figure(grid_of(2, 2, captions=captions, input=input_alone)))
    assert words.count("German shepherd") == count


def test_what_a_row_explains_may_stand_upright_beside_it() -> None:
    figure = grid_figure(grid_of(1, 2, captions="beside"))
    upright = [text.get_text() for text in figure.texts if text.get_rotation() == 90]
    assert upright == ["photo 0", "German shepherd", "p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.973", "relative saliency"]


def test_columns_are_titled_by_what_they_differ_in() -> None:
    cat = {"target": 7, "label": "cat", "probability": 0.25}
    classes = texts(grid_figure(grid([[explanation(), explanation(**cat)]])))
    assert classes.count("German shepherd") == 2 and classes.count("cat") == 2, "title and caption"
    assert "Grad-CAM" not in classes
    layers = texts(grid_figure(grid([[explanation(), explanation(layer="layer2")]])))
    assert "layer4" in layers and "layer2" in layers
    networks = texts(grid_figure(grid([[explanation(), explanation(model="efficientnet_lite0 (random weights, seed 1)",
                                                                   trained=False)]])))  # fmt: skip
    assert "tiny" in networks and "EfficientNet-Lite0" in " ".join(networks)
    assert networks.count("untrained network") == 1


def test_an_empty_map_says_so() -> None:
    assert "(empty map)" in texts(grid_figure(grid([[explanation(map=RAMP * 0)]])))


@pytest.mark.parametrize("font", ["sans", "serif"])
def test_text_stays_text_and_fonts_are_embedded(font: str) -> None:
    made = grid_of(font=font)
    svg, pdf = grid_file(made, "svg").decode(), grid_file(made, "pdf")
    for words in ("Grad-CAM", "LIFT-CAM", "German shepherd", "relative saliency", "photo 0"):
        assert re.search(rf"<text[^>]*>[^<]*{words}", svg)
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    first = font_families(font)[0]
    # A font's name in a PDF has six letters and a plus before it.
    assert re.search(rb"/BaseFont /[A-Z]{6}\+" + first.replace(" ", "").encode(), pdf)


def test_letters_go_on_after_z() -> None:
    words = texts(grid_figure(grid_of(7, 3, letters="A")))
    assert {"A", "Z", "AA", "AB"} <= set(words) and "AC" not in words


# Colours


def test_the_map_is_blended_over_the_photo_and_the_photo_is_shown_as_it_is() -> None:
    figure = grid_figure(grid([[explanation(map=RAMP * 0)]], opacity=0.25))
    assert np.abs(pixels(figure, 0) - [200, 100, 50]).max() <= 1
    zero = np.array(colormaps["inferno"](0.0)[:3]) * 255
    assert np.abs(pixels(figure, 1) - (0.75 * np.array([200, 100, 50]) + 0.25 * zero)).max() <= 1


def test_shared_scale_compares_maps_in_raw_values() -> None:
    figure = grid_figure(grid([[explanation(), explanation("lift-cam", map=RAMP / 2)]], opacity=1, shared=True))
    strong, weak = (pixels(figure, number)[:, -1].mean(0) for number in (1, 2))
    assert np.abs(strong - np.array(colormaps["inferno"](1.0)[:3]) * 255).max() <= 3
    assert np.abs(weak - np.array(colormaps["inferno"](0.5)[:3]) * 255).max() <= 3


def test_a_mask_darkens_what_is_below_the_threshold_and_needs_no_bar() -> None:
    figure = grid_figure(grid([[explanation()]], style="mask", opacity=0.8, threshold=0.5))
    assert len(figure.axes) == 2
    found = pixels(figure, 1)
    # Bilinear between the centres of four columns: 0, 0, 1, 4; half of 4 is reached at 2.5 + 1/3 columns.
    edge = (2.5 + 1 / 3) / 4 * found.shape[1]
    dark = np.abs(found - 0.2 * np.array([200, 100, 50])).max(axis=2) <= 1
    assert dark[:, : int(edge) - 1].all() and not dark[:, int(edge) + 2 :].any()
    assert np.abs(found[:, int(edge) + 2 :] - [200, 100, 50]).max() <= 1


def test_contours_are_lines_where_the_map_has_these_values_and_leave_the_photo_alone() -> None:
    figure = grid_figure(grid([[explanation()]], style="contours"))
    assert (pixels(figure, 1) == [200, 100, 50]).all()
    (lines,) = figure.axes[1].collections
    assert list(lines.levels) == [0.25, 0.5, 0.75]
    across = [path.vertices[:, 0] for path in lines.get_paths()]
    # ¼ of 4 is the value 1, in the middle of the third of four columns; then 2 and 3 on the way to the fourth.
    for found, expected in zip(across, (2.5, 2.5 + 1 / 3, 2.5 + 2 / 3), strict=True):
        assert np.allclose(found, expected / 4, atol=2 / 256)


def test_crameris_colours_are_offered_beside_matplotlibs() -> None:
    figure = grid_figure(grid([[explanation()]], opacity=1, colour_map="cmc.batlow"))
    assert np.abs(pixels(figure, 1)[5, -1] - np.array(colormaps["cmc.batlow"](1.0)[:3]) * 255).max() <= 1


def test_a_zoom_shows_its_part_in_the_farthest_corner() -> None:
    half = PHOTO.copy()
    half.paste((0, 0, 255), (0, 0, 200, 300))
    figure = grid_figure(zoomed(grid([[explanation()]], frame=half), (0.1, 0.1, 0.2)))
    panel, inset = figure.axes[0].get_position(), figure.axes[1].get_position()
    assert (inset.x1, inset.y0) == pytest.approx((panel.x1, panel.y0))
    assert inset.width / panel.width == pytest.approx(0.45)
    assert (pixels(figure, 1) == [0, 0, 255]).all(), "all of the part is in the blue half"
    assert (figure.axes[1].get_xlim(), figure.axes[1].get_ylim()) == (
        pytest.approx((0.1, 0.3)),
        pytest.approx((0.3, 0.1)),
    )
    values = grid_figure(zoomed(grid([[explanation()]], opacity=1), (0.7, 0.0, 0.3)))
    inset = values.axes[3].images[0].get_array()
    # From 0.7 to 1 of the width: the value at 0.7 is 1 + 3 · (2.8 − 2.5) = 1.9 of 4.
    assert np.abs(np.asarray(inset)[3, 0] - np.array(colormaps["inferno"](1.9 / 4)[:3]) * 255).max() <= 12


# Files


def test_images_are_embedded_without_loss() -> None:
    made = grid_of(1, 1)
    svg = grid_file(made, "svg").decode()
    first = re.findall(r"data:image/png;base64,\s*([^\"]+)", svg)[0]
    with Image.open(io.BytesIO(base64.b64decode(first))) as picture:
        embedded = np.asarray(picture.convert("RGB"))
    assert sorted({tuple(colour) for colour in embedded.reshape(-1, 3).tolist()}) == [(200, 100, 50)]
    assert embedded.shape[:2] == pixels(grid_figure(made), 0).shape[:2]
    assert b"DCTDecode" not in grid_file(made, "pdf"), "no JPEG in it"


def test_the_file_says_what_was_asked_and_no_folder() -> None:
    made = grid_of(1, 1)
    with Image.open(io.BytesIO(grid_file(made, "png"))) as picture:
        record = json.loads(picture.text["Description"])
    assert record["figure"]["images"][0]["image"] == "photo 0.jpg"
    assert record["figure"]["columns"][0]["method"] == "grad-cam"
    (told,) = record["maps"][0]
    assert (told["network"], told["layer"], told["class"], told["target"]) == ("tiny", "layer4", "German shepherd", 3)
    assert "camscope" in record["made_with"]
    assert "folder" not in made.description


@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
def test_same_grid_same_bytes(form: str) -> None:
    one, two = (grid_file(grid_of(letters="a", font="serif"), form) for _ in range(2))
    assert one == two


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_same_bytes_also_in_another_process(form: str) -> None:
    """Where sets have another order: fonts are cut to the letters that are used."""
    program = (
        "import sys; from cam_core.figures import grid_file; from tests.figures.grid.grids import grid_of; "
        f"sys.stdout.buffer.write(grid_file(grid_of(letters='a', font='serif'), {form!r}))"
    )
    other = os.environ | {"PYTHONHASHSEED": "77"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, env=other, check=True)
    assert done.stdout == grid_file(grid_of(letters="a", font="serif"), form)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")
def test_a_pdf_can_be_searched_and_has_its_size(tmp_path: Path) -> None:
    path = tmp_path / "grid.pdf"
    path.write_bytes(grid_file(grid_of(3, 4), "pdf"))

    def told(*command: str) -> str:
        return subprocess.run([*command], capture_output=True, text=True, check=True).stdout

    words = told("pdftotext", str(path), "-")
    assert "Grad-CAM" in words and "German shepherd" in words
    size = re.search(r"Page size: +([\d.]+) x", told("pdfinfo", str(path)))
    assert size is not None and float(size.group(1)) / 72 * 25.4 == pytest.approx(174.6, abs=0.5)
    fonts = told("pdffonts", str(path)).splitlines()[2:]
    assert fonts and all(re.search("TrueType +\\S+ +yes yes", line) for line in fonts)


# Doubts


def test_doubts_name_small_letters_enlarged_pixels_and_doubtful_maps() -> None:
    assert grid_doubts(grid_of(dpi=100)) == []
    said = grid_doubts(grid([[explanation(warnings=("It is constant.",))]], font_size=6, dpi=600))
    assert said[0] == "Captions and numbers have 5.25 points: below 6 many venues refuse them."
    assert re.fullmatch(r"photo 0 has 400 pixels across \d\d\.\d mm, which is \d+ dpi: .* 600 dpi\.", said[1])
    assert said[2:] == ["photo 0, Grad-CAM: It is constant."]
    (zoom,) = grid_doubts(zoomed(grid([[explanation()] * 3], dpi=200), (0, 0, 0.2)))
    assert zoom.startswith("The enlarged part of photo 0 has 80 pixels across")
    assert grid_doubts(grid_of(8, 2, dpi=100))[0].startswith("The figure is 3")
    nature = {"venue": "nature-column", "dpi": 100, "input": False}
    assert not any("high" in said for said in grid_doubts(grid_of(4, 2, **nature)))
    assert grid_doubts(grid_of(6, 2, **nature))[0].endswith("mm high: a page with a caption holds about 170.")
    faint = [[explanation(), explanation("lift-cam", map=RAMP / 100)]]
    assert grid_doubts(grid(faint, dpi=100)) == []
    (pale,) = grid_doubts(grid(faint, dpi=100, shared=True))
    assert pale.startswith("photo 0, LIFT-CAM: nearly blank on the shared scale") and "0.04 at most, of 4." in pale
