"""`curve` at work: the table, the points, the figure, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cam_core import explain, load_image
from cam_core.metrics.curves.points import Curves, add_point, curve_points
from cam_core.metrics.curves.spread import random_control
from tests.cli.calls import Call
from tests.tiny import tiny_classifier

pytestmark = pytest.mark.usefixtures("tiny_network")


def points(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_points_are_those_of_the_notebook(succeed: Call, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "curve.csv"
    succeed(
        *("curve", photo, "--method", "grad-cam", "--kind", "deletion", "--steps", 8, "--baseline", "mean"),
        *("--class", 3, "--random", 2, "--seed", 4, "--csv", target),
    )
    assert target.read_text().splitlines()[0] == "method,kind,fraction,value"
    rows = points(target)
    assert {row["method"] for row in rows} == {"grad-cam", "random (seed 4)", "random (seed 5)"}
    assert len(rows) == 3 * 9
    clf, image = tiny_classifier("plain"), load_image(photo)
    curves: Curves = {}
    made = explain(clf, image, method="grad-cam", target=3)
    for point in curve_points(clf, image, {"grad-cam": made}, kinds=("deletion",), target=3, steps=8, baseline="mean"):
        add_point(curves, point)
    expected = curves["grad-cam", "deletion"]
    own = [row for row in rows if row["method"] == "grad-cam"]
    assert [float(row["fraction"]) for row in own] == pytest.approx(expected.fractions.tolist())
    assert [float(row["value"]) for row in own] == pytest.approx(expected.values.tolist(), abs=1e-5)


def test_the_control_looks_where_the_methods_look(succeed: Call, photo: Path, tmp_path: Path) -> None:
    """Noise on 16 × 16 positions is another control than noise on 4 × 4."""
    target = tmp_path / "curve.csv"
    call = ("curve", photo, "-M", "grad-cam", "--class", 3, "--steps", 8, "--random", 2, "--seed", 4, "--csv", target)
    succeed(*call, "--layer", "features.1")
    at_layer = points(target)
    clf, image = tiny_classifier("plain"), load_image(photo)
    control = random_control(clf, image, "features.1", 3, seed=4, count=2)
    curves: Curves = {}
    for point in curve_points(clf, image, control, kinds=("deletion",), target=3, steps=8, seed=4):
        add_point(curves, point)
    for name in ("random (seed 4)", "random (seed 5)"):
        own = [float(row["value"]) for row in at_layer if row["method"] == name]
        assert own == pytest.approx(curves[name, "deletion"].values.tolist(), abs=1e-5)
    succeed(*call)
    assert [row for row in points(target) if row["method"] == name] != [r for r in at_layer if r["method"] == name]


def test_areas_are_printed_with_the_direction_and_the_control(succeed: Call, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "curve.csv"
    result = succeed(
        *("curve", photo, "-M", "grad-cam", "-M", "lift-cam", "-k", "insertion", "-k", "deletion", "--steps", 8),
        *("--csv", target),
    )
    head, *lines = (line.split("\t") for line in result.stdout.splitlines())
    assert head == ["method", "kind", "area", "better", "beside random"]
    assert [(line[0], line[1], line[3]) for line in lines] == [
        (name, kind, better)
        for kind, better in (("deletion", "lower"), ("insertion", "higher"))
        for name in ("grad-cam", "lift-cam", "5 random maps")
    ]
    rows = [row for row in points(target) if (row["method"], row["kind"]) == ("grad-cam", "deletion")]
    area = np.trapezoid([float(row["value"]) for row in rows], [float(row["fraction"]) for row in rows])
    assert float(lines[0][2]) == pytest.approx(area, abs=1e-4)
    assert lines[0][4] in ("better", "within", "worse")
    assert " to " in lines[2][4]


def test_without_random_maps_there_is_nothing_to_stand_beside(succeed: Call, photo: Path) -> None:
    lines = succeed("curve", photo, "--steps", 4, "--random", 0).stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].split("\t")[4] == "–"


def test_doubts_are_on_stderr(succeed: Call, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "next to nothing" not in succeed("curve", photo, "--steps", 4, "--random", 0).stderr
    monkeypatch.setattr("cam_core.analysis.curves.IMPROBABLE", 0.999)
    monkeypatch.setattr("cam_core.analysis.curves.left_at_baseline", lambda curve: 0.93)
    result = succeed("curve", photo, "--steps", 4, "--random", 0, "--class", 2)
    assert "The network gives class 2 a probability of " in result.stderr
    assert "Below 100 % there is next to nothing to lose" in result.stderr
    assert "deletion: With every pixel replaced, 93 % of the probability is still there." in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_figures_in_every_format(succeed: Call, photo: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"curves.{form}" for form in ("pdf", "svg", "png")]
    outs = [part for file in files for part in ("--out", file)]
    result = succeed("curve", photo, "-k", "deletion", "-k", "insertion", "--steps", 6, "--random", 2, *outs)
    assert files[0].read_bytes().startswith(b"%PDF")
    text = files[1].read_text()
    for words in (
        "LIFT-CAM",
        "Deletion",
        "Insertion",
        "2 random maps: mean and range",
        "probability of the class",
        "pixels removed",
    ):
        assert words in text
    assert files[2].read_bytes().startswith(b"\x89PNG")
    assert all(f"wrote {file}" in result.stderr for file in files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "erosion"], "unknown kind of curve 'erosion'; there are: deletion, insertion"),
        (["--baseline", "white"], "baseline='white' is not one of zero, mean, blur, noise"),
        (["--steps", "0"], "steps=0 is out of range"),
        (["--score", "loss"], "score='loss' is not one of probability, logit"),
        (["--out", "curve.bmp"], "names no figure format"),
        (["--csv", "nowhere/curve.csv"], "there is no folder nowhere"),
        (["--method", "guess-cam"], "unknown method 'guess-cam'"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    refuse: Callable[..., str], photo: Path, arguments: list[str], message: str
) -> None:
    assert message in refuse("curve", photo, *arguments)
