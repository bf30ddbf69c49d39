"""`classes` at work: two classes' maps in a table, the channels behind them, the files, and what it refuses."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from cam_core import SAMPLES, explain, load_image
from tests.cli.calls import Call
from tests.tiny import tiny_classifier

pytestmark = pytest.mark.usefixtures("tiny_network")

PAIR = next(sample for sample in SAMPLES if sample.collage)


def table(output: str) -> list[dict[str, str]]:
    names, *rows = (line.split("\t") for line in output.splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_the_table_has_both_maps_and_both_sides_of_the_contrast(succeed: Call, photo: Path) -> None:
    result = succeed("classes", photo, "--target", 3, "--versus", "class 1", "-M", "lift-cam")
    rows = table(result.stdout)
    assert [row["map"] for row in rows] == [
        "class 3",
        "class 1",
        "class 3 rather than class 1",
        "class 1 rather than class 3",
    ]
    clf = tiny_classifier("plain")
    a, b = (explain(clf, load_image(photo), method="lift-cam", target=target) for target in (3, 1))
    apart = a.map - b.map
    expected = [a.map.max(), b.map.max(), apart.max(), -apart.min()]
    assert [float(row["largest value"]) for row in rows] == pytest.approx(expected, rel=1e-3)
    rank = spearmanr(a.map.ravel(), b.map.ravel()).statistic
    assert f"LIFT-CAM: rank correlation of the two maps {rank:.2f}".replace("-0.00", "0.00") in result.stderr
    assert "the map of the difference is the difference of the maps" in result.stderr
    assert f"class 3 (class 3, logit {a.score:.4f}, p = {a.probability:.4f}) and class 1" in result.stderr


def test_a_method_that_does_not_add_up_says_by_how_much(succeed: Call, photo: Path) -> None:
    result = succeed("classes", photo, "-m", "residual", "-l", "relu1", "-M", "grad-cam++", "--channels", 0)
    assert re.search(r"the map of the difference deviates by \d+% of the largest value", result.stderr)
    assert "channels of" not in result.stderr


def test_a_sample_has_regions_and_a_file_has_none(succeed: Call) -> None:
    rows = table(succeed("classes", PAIR.key, "-M", "grad-cam").stdout)
    regions = [name for name in rows[0] if name.startswith("on ")]
    assert len(regions) == 2 and all(re.fullmatch(r"on .+ \(0\.\d\d of the image\)", name) for name in regions)
    assert {row[name] for row in rows for name in regions} <= {"–"} | {f"{n / 1000:.3f}" for n in range(1001)}
    assert not [name for name in table(succeed("classes", PAIR.path, "-M", "grad-cam").stdout)[0] if "on " in name]


def test_b_is_the_next_probable_class_where_no_animal_is_known(succeed: Call, photo: Path) -> None:
    first, second = (entry.label for entry in tiny_classifier("plain").predict(load_image(photo), top=2))
    assert [row["map"] for row in table(succeed("classes", photo, "-M", "grad-cam").stdout)[:2]] == [first, second]


def test_channels_are_told_and_written(succeed: Call, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    result = succeed("classes", photo, "--target", 0, "--versus", 2, "--channels", 2, "--csv", path)
    assert "channels of features.3 that tell the two apart (6 tail passes, exact):" in result.stderr
    told = re.findall(r"^  (\d+): phi (\S+), of class 0 (\S+), of class 2 (\S+)$", result.stderr, flags=re.MULTILINE)
    assert len(told) == 2
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for (channel, *values), row in zip(told, rows, strict=False):
        assert channel == row["channel"]
        numbers = [float(value.replace("−", "-")) for value in values]
        written = [float(row[name]) for name in ("phi class 0 - class 2", "phi class 0", "phi class 2")]
        np.testing.assert_allclose(numbers, written, atol=1e-4)
        assert numbers[0] == pytest.approx(numbers[1] - numbers[2], abs=2e-4)


def test_a_figure_in_several_formats(succeed: Call, photo: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"classes.{ending}" for ending in ("pdf", "svg", "png")]
    succeed("classes", photo, "-M", "lift-cam", *(part for path in outputs for part in ("--out", path)))
    pdf, svg, png = (path.read_bytes() for path in outputs)
    assert pdf.startswith(b"%PDF-") and png.startswith(b"\x89PNG")
    assert b"Difference of the two" in svg and b"LIFT-CAM" in svg


def test_finer_cam_has_no_map_of_a_difference_and_says_so(succeed: Call, photo: Path) -> None:
    result = succeed("classes", photo, "-M", "finer-cam")
    assert "Finer-CAM: no map of the difference itself: finer-cam sets a class apart" in result.stderr
    assert len(table(result.stdout)) == 4


def test_a_method_that_ignores_the_class_is_named(succeed: Call, photo: Path) -> None:
    assert "Eigen-CAM: Eigen-CAM does not look at the class" in succeed("classes", photo, "-M", "eigen-cam").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "2", "--versus", "class 2"), "A and B are the same class, class 2: choose two different ones"),
        (("--versus", "99"), "99"),
        (("--target", "clas 3"), "near: class 3"),
        (("-M", "magic"), "magic"),
        (("--layer", "features.9"), "features.9"),
        (("--out", "classes.bmp"), "classes.bmp"),
        (("--csv", "nowhere/channels.csv"), "there is no folder nowhere"),
        (("--colormap", "inferno"), "signed values need a diverging colour map"),
    ],
)
def test_what_is_wrong_is_one_line(
    refuse: Callable[..., str], photo: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refuse("classes", photo, *arguments)
