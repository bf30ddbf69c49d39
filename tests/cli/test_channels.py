"""`channels` at work: the table, the facts, the files, and what it refuses."""

from __future__ import annotations

import csv
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from cam_core import load_image
from cam_core.cli.channels import channels
from cam_core.shapley import BUDGET, channel_shap, stream_channel_shap
from tests.cli.calls import Call
from tests.tiny import tiny_classifier

pytestmark = pytest.mark.usefixtures("tiny_network")


def table(output: str) -> list[dict[str, str]]:
    names, *rows = (line.split("\t") for line in output.splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("function", [channels, channel_shap, stream_channel_shap])
def test_where_no_budget_is_named_it_is_the_same_everywhere(function: Callable[..., object]) -> None:
    assert inspect.signature(function).parameters["budget"].default == BUDGET == 320


def test_table_is_the_estimate_largest_first(succeed: Call, photo: Path) -> None:
    arguments = ("-m", "residual", "--layer", "relu1", "--class", 2, "--budget", 40, "--seed", 3, "--top", 5)
    result = succeed("channels", photo, *arguments)
    rows = table(result.stdout)
    found = channel_shap(tiny_classifier("residual"), load_image(photo), layer="relu1", target=2, budget=40, seed=3)
    order = found.phi.abs().argsort(descending=True)[:5].tolist()
    assert [int(row["channel"]) for row in rows] == order
    assert [int(row["rank"]) for row in rows] == [1, 2, 3, 4, 5]
    for row in rows:
        assert float(row["phi"]) == pytest.approx(float(found.phi[int(row["channel"])]), rel=1e-3)
        assert float(row["stderr"]) == pytest.approx(float(found.stderr[int(row["channel"])]), rel=1e-3)


def test_facts_are_on_stderr(succeed: Call, photo: Path) -> None:
    facts = succeed("channels", photo, "-m", "residual", "-l", "relu1", "-c", 2, "--budget", 40).stderr
    assert "class 2 (class 2, p = " in facts and "at relu1 of tiny residual" in facts
    assert "owen: 40 tail passes, " in facts and "converged (relative standard error" in facts
    assert "without any channel" in facts and "gap" in facts and "dead" in facts


def test_linear_tail_is_exact_by_any_estimator(succeed: Call, photo: Path) -> None:
    result = succeed("channels", photo, "--layer", "features.3", "--estimator", "permutation", "-M", "lift-cam")
    assert "exact: 2 tail passes, exact" in result.stderr
    assert "LIFT-CAM: cosine to SHAP 1.000" in result.stderr
    assert all(float(row["stderr"]) == 0 for row in table(result.stdout))


def test_omitted_layer_is_one_with_a_nonlinear_tail(succeed: Call, photo: Path) -> None:
    result = succeed("channels", photo, "--budget", 64)
    assert "at features.2 of tiny plain" in result.stderr and "tail passes, exact" not in result.stderr


def test_methods_are_set_beside_in_table_and_csv(succeed: Call, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    result = succeed("channels", photo, "-M", "grad-cam", "-M", "lift-cam", "--top", 2, "--csv", path)
    shown = table(result.stdout)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(shown[0]) == list(rows[0]) and {"Grad-CAM", "LIFT-CAM"} <= set(shown[0])
    assert len(shown) == 2 and sorted(int(row["channel"]) for row in rows) == list(range(8))
    assert float(rows[0]["Grad-CAM"]) == pytest.approx(float(shown[0]["Grad-CAM"]), rel=1e-3)
    assert f"wrote {path}" in result.stderr


def test_parameters_reach_the_methods_beside(succeed: Call, photo: Path, tmp_path: Path) -> None:
    columns = []
    for budget in (16, 256):
        path = tmp_path / f"{budget}.csv"
        succeed("channels", photo, "-M", "owen-cam", "-p", f"budget={budget}", "--csv", path)
        columns.append([line.rsplit(",", 1)[1] for line in path.read_text().splitlines()[1:]])
    assert columns[0] != columns[1]


def test_figures_in_several_formats(succeed: Call, photo: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"bars.{ending}" for ending in ("pdf", "svg", "png")]
    succeed("channels", photo, "-M", "lift-cam", *(part for path in outputs for part in ("--out", path)))
    pdf, svg, png = (path.read_bytes() for path in outputs)
    assert pdf.startswith(b"%PDF-") and png.startswith(b"\x89PNG")
    assert b"channel of features.2" in svg and b"LIFT-CAM" in svg


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--estimator", "magic"), "unknown estimator 'magic'"),
        (("--layer", "features.9"), "features.9"),
        (("--class", "99"), "99"),
        (("-M", "layer-cam"), "layer-cam has no coefficient for each channel; these have: cam, "),
        (("-M", "magic"), "magic"),
        (("-p", "budget=9"), "budget"),
        (("--out", "bars.bmp"), "bars.bmp"),
        (("--csv", "nowhere/channels.csv"), "there is no folder nowhere"),
        (("--budget", "0"), "budget"),
        (("--width", "1"), "width"),
        (("-m", "max-pool", "-l", "features.1", "-M", "cam"), "stands in the way"),
    ],
)
def test_what_is_wrong_is_one_line(
    refuse: Callable[..., str], photo: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refuse("channels", photo, *arguments)


def test_nothing_is_written_where_something_is_wrong(refuse: Callable[..., str], photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    refuse("channels", photo, "--top", 500, "--width", 20, "--out", tmp_path / "a.bmp", "--csv", path)
    assert not path.exists()
