"""`--target` on the commands that explain: the difference of two classes, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cam_core import explain, load_image
from cam_core.shapley import channel_shap
from tests.cli.calls import Call
from tests.tiny import tiny_classifier

pytestmark = pytest.mark.usefixtures("tiny_network")


def test_explain_writes_the_difference(succeed: Call, photo: Path, tmp_path: Path) -> None:
    record, figure = tmp_path / "maps.json", tmp_path / "maps.svg"
    call = ("explain", photo, "-M", "lift-cam", "-M", "grad-cam", "--target", "class 1 - 3", "--json", record)
    result = succeed(*call, "--out", figure)
    written = json.loads(record.read_text())["explanations"]
    expected = explain(tiny_classifier("plain"), load_image(photo), method="lift-cam", target="1 - 3")
    np.testing.assert_allclose(written[0]["coefficients"], expected.coefficients, atol=1e-6)
    assert [each["target"] for each in written] == ["1 - 3"] * 2 and written[0]["probability"] is None
    _, *rows = (line.split("\t") for line in result.stdout.splitlines())
    assert [row[1:3] for row in rows] == [["class 1 − class 3", "–"]] * 2
    assert f"class 1 − class 3: {expected.score:.4f}" in result.stderr
    assert "class 1 − class 3" in figure.read_text()


def test_channels_of_a_difference(succeed: Call, photo: Path) -> None:
    arguments = ("-m", "residual", "-l", "relu1", "--target", "-2", "--budget", 40, "--seed", 3, "-M", "lift-cam")
    result = succeed("channels", photo, *arguments)
    names, first, *_ = (line.split("\t") for line in result.stdout.splitlines())
    estimate = channel_shap(
        tiny_classifier("residual"), load_image(photo), layer="relu1", target="-2", budget=40, seed=3
    )
    largest = float(estimate.phi[int(estimate.phi.abs().argmax())])
    assert float(first[names.index("phi")]) == pytest.approx(largest, rel=1e-3)
    assert "not class 2 (-2) at relu1 of tiny residual" in result.stderr
    assert f"negative logit {estimate.v_all:.4f}, without any channel" in result.stderr


def test_curve_of_a_function(succeed: Call, photo: Path, tmp_path: Path) -> None:
    target, figure = tmp_path / "curve.csv", tmp_path / "curve.svg"
    call = ("curve", photo, "-M", "grad-cam", "--steps", 4, "--random", 1, "--csv", target, "--out", figure)
    succeed(*call, "--target", "tests.cli.targets:margin")
    first = float(target.read_text().splitlines()[1].split(",")[-1])
    logits = tiny_classifier("plain").logits(tiny_classifier("plain").as_batch(load_image(photo)))[0]
    assert first == pytest.approx(float(logits[0] - logits[4]), abs=1e-5)
    assert "value of the target" in figure.read_text()


def test_class_may_be_given_as_a_target(succeed: Call, photo: Path) -> None:
    outputs = [succeed("explain", photo, "-M", "cam", *way).stdout for way in (("--target", "3"), ("--class", "3"))]
    rows = [[row.split("\t")[:4] for row in output.splitlines()] for output in outputs]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("command", ["explain", "channels", "curve"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "class 1 - clas 2"), "no class is called 'clas 2' (near: class 2"),
        (("--target", "1 - 7"), "target 7 is out of range for 5 classes"),
        (("--target", "-1", "--class", "2"), "ask about two things"),
        (
            ("--target", "nowhere:f"),
            "the module nowhere cannot be imported (ModuleNotFoundError: No module",
        ),
        (("--target", "math:pi"), "the module math has no function 'pi': its type is float"),
        (("--target", "tests.cli.targets:all_logits"), "tests.cli.targets:all_logits gives (1, 5) for 1 images"),
        (("--target", "tests.cli.targets:fails"), "tests.cli.targets:fails raised ZeroDivisionError: "),
    ],
)
def test_what_is_wrong_with_a_target(
    refuse: Callable[..., str], photo: Path, command: str, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refuse(command, photo, *arguments)
