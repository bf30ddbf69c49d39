"""What commands are made of: requests, files, records, progress, the program around them."""

from __future__ import annotations

import json
import math
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cam_core
from cam_core import Explanation
from cam_core.cli.outputs import OutputError, as_json, check_outputs, write_output
from cam_core.cli.progress import watching
from cam_core.cli.requests import read_requests
from cam_core.types import MethodError
from tests.cli.calls import Call, run

ROOT = Path(__file__).parents[2]

# Requests


def test_plain_parameter_is_for_all_that_have_it_and_an_addressed_one_wins() -> None:
    params = ["score-cam:score=logit", "score=probability", "is-cam:steps=3"]
    score, steps, other = read_requests(["score-cam", "is-cam", "grad-cam"], params, [])
    assert score.params["score"] == "logit"
    assert steps.params["score"] == "probability" and steps.params["steps"] == 3
    assert other.params == {}


def test_values_have_their_declared_types_and_what_is_not_given_its_default() -> None:
    (request,) = read_requests(["opti-cam"], ["early_stop=No", "steps=1e2", "learning_rate=0.5"], [])
    values = request.params
    assert (values["early_stop"], values["steps"], values["learning_rate"]) == (False, 100, 0.5)
    assert type(values["steps"]) is int
    assert values["preset"] == "paper"


def test_value_may_hold_an_equals_sign_and_a_colon() -> None:
    with pytest.raises(MethodError, match="'a=b:c' is not one of paper, repo"):
        read_requests(["opti-cam"], ["preset=a=b:c"], [])


def test_layers_by_method() -> None:
    layers = ["a.0", "refine-cam:b.1", "refine-cam:c.2", "unknown:d"]
    one, several = read_requests(["grad-cam", "refine-cam"], [], layers)
    assert one.layers == ["a.0", "unknown:d"]
    assert several.layers == ["b.1", "c.2"]
    assert read_requests(["grad-cam"], [], [])[0].layers is None


# Files


def test_content_replaces_what_was_there_and_keeps_a_link_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("older")
    link.symlink_to(target)
    write_output(link, b"newer")
    assert link.is_symlink() and target.read_bytes() == b"newer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    usual, ours = tmp_path / "usual", tmp_path / "ours"
    usual.touch()
    write_output(ours, b"")
    assert ours.stat().st_mode == usual.stat().st_mode


def test_device_is_written_to_and_not_replaced() -> None:
    check_outputs([Path(os.devnull)])
    write_output(Path(os.devnull), b"gone")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_one_file_for_two_things_is_found_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OutputError, match="named twice"):
        check_outputs([tmp_path / "file", tmp_path / "link"])


# Records


def test_json_is_valid_readable_and_complete() -> None:
    record = {"a": {"numbers": [[1.0, 2.5], [3.0, -4.0]], "text": "α"}, "list": [{"b": None}, {}], "empty": []}
    text = as_json(record).decode()
    assert json.loads(text) == record
    assert '  "numbers": [[1.0, 2.5], [3.0, -4.0]],' in text.splitlines()
    assert "α" in text


def test_what_is_not_finite_is_null_and_reads_back_as_nan() -> None:
    def refuse(word: str) -> Any:
        raise AssertionError(word)

    arrays = {"map": np.zeros((2, 2), np.float32), "saliency": np.zeros((4, 4), np.float32)}
    trace = np.array([1.0, np.nan, np.inf], np.float32)
    one = Explanation("m", "n", "l", 0, "c", math.nan, 0.5, extras={"trace": trace}, **arrays)
    entry = json.loads(as_json(one.to_dict()), parse_constant=refuse)
    read = Explanation.from_dict(entry)
    assert np.isnan(read.extras["trace"][1:]).all() and read.extras["trace"][0] == 1
    assert entry["score"] is None


# Progress


def test_bar_shows_how_far(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watching("Score-CAM [0]") as progress:
        progress(0, 8)
        progress(3, 8)
    assert "Score-CAM [0]" in (shown := capsys.readouterr().err) and "3/8" in shown
    with watching("Loading", in_bytes=True) as progress:
        progress(1_500_000, 45_000_000)
    assert "1.5 MB/45.0 MB" in capsys.readouterr().err


def test_no_bar_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("Score-CAM") as progress:
        progress(3, 8)
        progress(3, 0)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# Program


def test_version_is_that_of_the_package(succeed: Call) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert succeed("--version").stdout == f"camscope {cam_core.__version__}\n"
    module, _, name = project["scripts"]["camscope"].partition(":")
    assert module == "cam_core.cli" and name == "app"


def test_without_a_command_help_lists_them(succeed: Call) -> None:
    shown = succeed().stdout
    assert all(f" {name} " in shown for name in ("explain", "models", "layers", "methods"))


def test_a_fault_of_ours_is_not_dressed_up_as_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cam_core.cli.explain.read_requests", faulty)
    assert isinstance(run("explain", "dog").exception, ZeroDivisionError)
