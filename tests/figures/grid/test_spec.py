"""Specs: through JSON and back, and refused in words where they are wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cam_core.figures import VENUES, Column, FigureError, FigureSpec, Look, Network, Shown
from cam_core.overlay import ColourMapError
from cam_core.types import CamError, MethodError

FULL = FigureSpec(
    (Shown("dog", 258, "A dog", (0.1, 0.2, 0.3)), Shown("photos/cat.jpg", "tiger cat", sha256="ab")),
    (
        Column("score-cam"),
        Column("is-cam", (("steps", 20),), "blocks.5", "a - b", Network("resnet50", "random", 3), "IS-CAM, 20 steps"),
    ),
    Network("resnet18"),
    "layer3",
    7,
    "float64",
    Look("nature-page", 100.5, "serif", 9, False, "(a)", False, False, "each", "mask", 0.7, 0.4, True, True, "PuOr_r"),
)


def test_a_spec_comes_back_from_json() -> None:
    assert FigureSpec.from_json(FULL.to_json()) == FULL
    assert FigureSpec.from_dict(json.loads(json.dumps(FULL.to_dict()))) == FULL
    assert FULL.to_dict()["columns"][1]["params"] == {"steps": 20}


def test_texts_stand_for_images_and_methods_alone_and_what_is_omitted_has_its_default() -> None:
    read = FigureSpec.from_dict({"images": ["dog"], "columns": ["grad-cam"], "model": "resnet18"})
    assert read == FigureSpec((Shown("dog"),), (Column("grad-cam"),), Network("resnet18"))


def broken(**changes: Any) -> dict[str, Any]:
    return FULL.to_dict() | changes


@pytest.mark.parametrize(
    ("record", "error", "words"),
    [
        ([], FigureError, r"figure is \[\], and should be an object with images"),
        ({"images": ["dog"]}, FigureError, "figure lacks columns"),
        (broken(image="dog"), FigureError, "figure has no field 'image'; it has: images, columns"),
        (broken(images=[]), FigureError, "a figure has 1 to 20 images, not 0"),
        (broken(columns=["grad-cam"] * 21), FigureError, "a figure has 1 to 20 columns, not 21"),
        (broken(images="dog"), FigureError, "figure.images is 'dog', and should be a list"),
        (broken(images=[{"image": 3}]), FigureError, r"figure.images\[0\].image is 3, and should be a text"),
        (broken(images=[""]), FigureError, "names no image"),
        (
            broken(images=[{"image": "dog", "target": 2.5}]),
            FigureError,
            "target is 2.5, and should be a whole number or a text or null",
        ),
        (broken(images=[{"image": "dog", "zoom": [0, 0]}]), FigureError, "zoom has 2 entries, and should have 3"),
        (broken(images=[{"image": "dog", "zoom": [0.9, 0, 0.2]}]), FigureError, "the zoom 0.9, 0, 0.2 of dog leaves"),
        (
            broken(images=[{"image": "dog", "zoom": "x"}]),
            FigureError,
            "zoom is 'x', and should be a list",
        ),
        (
            broken(columns=[{"method": "cam", "model": 3}]),
            FigureError,
            r"columns\[0\].model is 3, and should be null or an object",
        ),
        (broken(columns=["grad-kam"]), MethodError, "unknown method 'grad-kam'"),
        (broken(columns=[{"method": "is-cam", "params": {"steps": 0}}]), MethodError, "steps=0 is out of range"),
        (broken(seed=True), FigureError, "figure.seed is True, and should be a whole number"),
        (broken(seed=-1), FigureError, "seed=-1 must be at least 0"),
        (broken(look={"venue": "cvrp"}), FigureError, "unknown venue 'cvrp'; there are: cvpr-column"),
        (broken(look={"width": 3}), FigureError, "width=3 is out of range"),
        (broken(look={"font": "No such font"}), FigureError, "no font called 'No such font' is installed"),
        (broken(look={"letters": "1"}), FigureError, "figure.look.letters is '1', and is one of '', 'a'"),
        (broken(look={"threshold": 1.0}), FigureError, "threshold=1.0 is out of range"),
        (broken(look={"colour_map": "hsv"}), ColourMapError, "unknown colour map 'hsv'"),
        (broken(look={"signed": 1}), FigureError, "figure.look.signed is 1, and should be true or false"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(record: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        FigureSpec.from_dict(record)


def test_a_file_that_is_no_spec_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    with pytest.raises(FigureError, match=r"spec.json cannot be read: No such file"):
        FigureSpec.read(path)
    path.write_text("{")
    with pytest.raises(FigureError, match=r"spec.json: the figure's spec is no JSON"):
        FigureSpec.read(path)
    path.write_text('{"images": ["dog"], "columns": ["x"]}')
    with pytest.raises(CamError, match=r"spec.json: unknown method 'x'"):
        FigureSpec.read(path)
    path.write_text(FULL.to_json())
    assert FigureSpec.read(path) == FULL


def test_a_cell_has_the_columns_own_answers_before_the_rows_and_the_figures() -> None:
    own, common = FULL.columns[1], FULL.columns[0]
    cell = FULL.cell(FULL.images[0], own, "digest")
    assert (cell.column.layer, cell.column.target, cell.column.model) == ("blocks.5", "a - b", own.model)
    cell = FULL.cell(FULL.images[0], common, "digest")
    assert (cell.column.layer, cell.column.target, cell.column.model) == ("layer3", 258, FULL.model)
    assert cell == FULL.cell(replace(FULL.images[0], title="x", zoom=None), replace(common, title="y"), "digest")
    several = FULL.cell(FULL.images[0], Column("refine-cam"), "digest")
    assert several.column.layer == "", "a method over several layers chooses them"


@pytest.mark.parametrize(
    ("venue", "width", "font"),
    [
        ("cvpr-column", 82.55, "serif"),
        ("cvpr-page", 174.6, "serif"),
        ("eccv", 122, "serif"),
        ("icml-page", 6.75 * 25.4, "serif"),
        ("neurips", 5.5 * 25.4, "serif"),
        ("aaai-column", 3.3 * 25.4, "serif"),
        ("nature-column", 89, "sans"),
        ("nature-page", 183, "sans"),
        ("pnas-page", 178, "sans"),
        ("elsevier-page", 190, "sans"),
    ],
)
def test_venues_ask_for_what_their_guides_say(venue: str, width: float, font: str) -> None:
    assert VENUES[venue].width == pytest.approx(width, abs=0.1)
    assert (Look(venue).typeface, Look(venue).design.width) == (font, VENUES[venue].width)
    assert 6 <= Look(venue).design.small <= 9
    assert Look(venue, width=100, font="sans", font_size=12).design.width == 100
