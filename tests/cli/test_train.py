"""`train`: several runs by one command, resumed by the same one, interrupted without loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cam_core.cli import train as command
from tests.cli.calls import Call, run

QUICK = ("--backbone", "resnet8", "--size", 16, "--batch-size", 4, "--device", "cpu", "--epochs", 2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for index in range(6):
            Image.fromarray(generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
                folder / label / f"{index}.png"
            )
    return folder


def rows(output: str) -> list[dict[str, str]]:
    header, *lines = (line.split("\t") for line in output.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_each_architecture_and_seed_is_a_run(succeed: Call, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (
        "train",
        "--arch",
        "lfi",
        "--arch",
        "baseline",
        "--seeds",
        "0,2",
        "--data",
        photos,
        "--out",
        out,
        *QUICK,
    )
    first = succeed(*arguments)
    table = rows(first.stdout)
    assert [(row["architecture"], row["seed"]) for row in table] == [
        ("lfi", "0"),
        ("lfi", "2"),
        ("baseline", "0"),
        ("baseline", "2"),
    ]
    assert first.stderr.count("epoch 2/2") == 4
    card = json.loads((out / "lfi-seed2" / "best.json").read_text())
    assert (card["arch"], card["seed"], card["labels"], card["data"]) == ("lfi", 2, ["cat", "dog"], "folder photos")
    again = succeed(*arguments)
    assert again.stdout == first.stdout and "epoch" not in again.stderr


def test_interrupted_it_says_what_is_kept_and_goes_on(
    succeed: Call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = ("train", "--data", photos, "--out", out, "--seeds", "0,1", *QUICK)
    real = command.train

    def interrupted(settings: Any, *, on_epoch: Callable[[Any], Any], **options: Any) -> Any:
        def then_stop(report: Any) -> None:
            on_epoch(report)
            if settings.seed == 1:
                raise KeyboardInterrupt

        return real(settings, on_epoch=then_stop, **options)

    monkeypatch.setattr(command, "train", interrupted)
    result = run(*arguments)
    assert result.exit_code == 130
    assert "lfi, seed 1: stopped; what was learnt is in" in result.stderr and "interrupted" in result.stderr
    assert [row["seed"] for row in rows(result.stdout)] == ["0"]
    assert (out / "lfi-seed1" / "best.safetensors").is_file()
    monkeypatch.setattr(command, "train", real)
    resumed = succeed(*arguments)
    assert resumed.stderr.count("epoch") == 1 and "epoch 2/2" in resumed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--arch", "lfy"), "arch='lfy' is not one of lfi, baseline, abn"),
        (("--seeds", "0;1"), "--seeds takes whole numbers with commas between them, as 0,1,2, not '0;1'"),
        (("--data", "nowhere"), "there is no data 'nowhere'"),
        (("--epochs", 0), "epochs=0 must be at least 1"),
        (("--threads", 0), "--threads 0 must be at least 1"),
        (("--backbone", "resnet9"), "resnet9"),
        (("--device", "cuda:7"), "there is no device 'cuda:7'"),
    ],
)
def test_refusals(
    refuse: Callable[..., str], photos: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    assert message in refuse("train", "--data", photos, "--out", tmp_path / "out", *QUICK, *arguments)
