"""`evaluate` at work: rows and summary, and that whatever stops it, the table comes out the same."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cam_core import evaluate, explain, load_image
from cam_core.evaluation.results import read_rows, read_settings, summarise
from cam_core.metrics.ground_truth import framed
from tests.cli.calls import Call
from tests.tiny import tiny_classifier

ROOT = Path(__file__).parents[2]
COMMON = (
    *("--method", "grad-cam", "--method", "random", "--method", "opti-cam", "--param", "opti-cam:steps=5"),
    *("--metric", "average-drop", "--metric", "deletion-auc", "--metric-param", "deletion-auc:steps=8"),
)
IMAGES, METHODS = 4, 3
UNITS = IMAGES * METHODS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos."""
    path = tmp_path / "photos"
    path.mkdir()
    generator = np.random.default_rng(0)
    for name in "abcd":
        coarse = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 30)).save(path / f"{name}.png")
    return path


def lines(output: str) -> list[dict[str, str]]:
    head, *rows = (line.split("\t") for line in output.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.usefixtures("tiny_network")
def test_rows_and_their_summary(succeed: Call, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    result = succeed("evaluate", folder, *COMMON, "--out", out)
    rows = read_rows(out)
    assert len(rows) == UNITS * 2
    clf, image = tiny_classifier("plain"), load_image(folder / "b.png")
    made = explain(clf, image, method="opti-cam", steps=5)
    (row,) = [r for r in rows if (r.image, r.method, r.metric) == ("b.png", "opti-cam", "deletion-auc")]
    assert row.value == evaluate(clf, image, made, metric="deletion-auc", steps=8).value
    for line, expected in zip(lines(result.stdout), summarise(rows), strict=True):
        assert (line["method"], line["metric"], line["better"]) == (expected.method, expected.metric, "lower")
        assert expected.interval is not None
        assert float(line["mean"]) == pytest.approx(expected.interval.mean, rel=1e-3)
        assert float(line["95 % low"]) <= float(line["mean"]) <= float(line["95 % high"])
        assert (line["n"], line["missing"]) == ("4", "0")
    assert "n = 4: an interval over fewer than 30 images is itself uncertain" in result.stderr
    assert f"wrote {out}" in result.stderr


@pytest.mark.usefixtures("tiny_network")
def test_a_photo_that_cannot_be_read_is_counted_and_named(succeed: Call, folder: Path, tmp_path: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no photo")
    result = succeed("evaluate", folder, "-M", "grad-cam", "--metric", "sparseness", "--out", tmp_path / "r.parquet")
    (line,) = lines(result.stdout)
    assert (line["n"], line["missing"]) == ("4", "1")
    assert "1 without a value: " in result.stderr and "broken.jpg" in result.stderr


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "drop"], "unknown metric 'drop'"),
        (["--metric-param", "steps=8"], "none of average-drop, average-increase, average-gain"),
        (["--metric-param", "road:noise=1"], "'road:noise' concerns road, which is not among the metrics"),
        (["--metric-param", "steps"], "--metric-param takes KEY=VALUE or METRIC:KEY=VALUE"),
        (["--metric", "road", "--metric-param", "noise=loud"], "noise='loud' is not a finite number"),
        (["--shard", "3"], "--shard takes K/N, such as 3/16, not '3'"),
        (["--shard", "17/16"], "there is no shard 17 of 16"),
        (["--engine", "slurm"], "there is no engine 'slurm'; there are inline, processes, ray"),
        (["--engine", "ray"], "an engine on Ray needs an address"),
        (["--engine", "processes"], "is known to this process alone"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    refuse: Callable[..., str], folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    out = tmp_path / "results.parquet"
    assert message in refuse("evaluate", folder, "--out", out, *arguments)
    assert not out.exists()


@pytest.mark.usefixtures("tiny_network")
def test_a_folder_without_images_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no image in" in refuse("evaluate", tmp_path / "empty", "--out", tmp_path / "r.parquet")


SPARSE = ("-M", "grad-cam", "--metric", "sparseness")


def labels_of(out: Path) -> dict[str, str | None]:
    return {row.image: row.label for row in read_rows(out)}


@pytest.mark.usefixtures("tiny_network")
def test_labels_of_a_table_are_explained_and_broken_rows_counted(succeed: Call, folder: Path, tmp_path: Path) -> None:
    labels = tiny_classifier("plain").labels
    (folder / "c.png").write_bytes(b"no photo")
    rows = [f"{name}.png,{label}" for name, label in zip("abce", labels, strict=False)]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows, "d.png,nobody", ""]))
    out = tmp_path / "r.parquet"
    result = succeed("evaluate", folder / "list.csv", *SPARSE, "--class", "label", "--out", out)
    assert labels_of(out) == {"a.png": labels[0], "b.png": labels[1], "c.png": None, "e.png": None, "d.png": None}
    (line,) = lines(result.stdout)
    assert (line["n"], line["missing"]) == ("2", "3")
    assert "cannot read e.png: No such file or directory" in result.stderr
    assert "c.png is not an image" in result.stderr
    assert "no label to be explained: 'nobody' is no class of the network" in result.stderr
    settings = read_settings(out)
    assert settings["explained"] == "label" and len(settings["labels"]) == 64


@pytest.mark.usefixtures("tiny_network")
def test_a_zip_gives_the_rows_of_its_folder(succeed: Call, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    outs = [tmp_path / f"{kind}.parquet" for kind in ("folder", "zip")]
    for source, out in zip((folder, tmp_path / "photos.zip"), outs, strict=True):
        succeed("evaluate", source, *SPARSE, "--out", out)
    assert read_rows(outs[0]) == read_rows(outs[1])
    assert read_settings(outs[0]) == read_settings(outs[1])


@pytest.mark.usefixtures("tiny_network")
def test_boxes_of_a_table_are_the_ground_truth(succeed: Call, folder: Path, tmp_path: Path) -> None:
    clf, image = tiny_classifier("plain"), load_image(folder / "a.png")
    made = explain(clf, image, method="grad-cam", target=1)
    row = f'a.png,{clf.labels[1]},"[[5, 5, 30, 25]]"'
    (folder / "list.csv").write_text(f"path,label,boxes\n{row}\nb.png,{clf.labels[0]},\n")
    out = tmp_path / "r.parquet"
    wanted = ("-M", "grad-cam", "--metric", "ebpg", "--class", "label", "--out", out)
    succeed("evaluate", folder / "list.csv", *wanted)
    boxed, unboxed = read_rows(out)
    photo = {"size": [40, 30], "regions": [{"classes": [clf.labels[1]], "boxes": [[5, 5, 30, 25]]}]}
    (region,) = framed(photo, clf.preprocessing)
    assert boxed.value == evaluate(clf, image, made, metric="ebpg", region=region).value
    assert unboxed.value is None and "no ground truth" in unboxed.note


@pytest.mark.usefixtures("tiny_network")
def test_without_any_label_none_is_explained(refuse: Callable[..., str], folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.parquet"
    assert "no image has a label to be explained: a.png lies in no folder" in refuse(
        "evaluate", folder, *SPARSE, "--class", "label", "--out", out
    )
    assert "--class takes top or label here, not 'cat'" in refuse("evaluate", folder, "--class", "cat", "--out", out)
    (tmp_path / "truth.txt").write_text("490\n361\n")
    told = refuse("evaluate", folder, "--labels", tmp_path / "truth.txt", "--class", "label", "--out", out)
    assert "in an order that is not the network's" in told


@pytest.mark.usefixtures("tiny_network")
def test_many_reasons_are_not_told_one_by_one(succeed: Call, folder: Path, tmp_path: Path) -> None:
    for number in range(12):
        (folder / f"broken{number}.png").write_bytes(b"no photo")
    result = succeed("evaluate", folder, *SPARSE, "--out", tmp_path / "r.parquet")
    assert result.stderr.count("1 without a value: ") == 10
    assert "2 without a value for other reasons, which are in the table" in result.stderr


@pytest.mark.usefixtures("tiny_network")
def test_shards_are_merged_into_the_table_of_one_run(
    succeed: Call, refuse: Callable[..., str], folder: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole.parquet", tmp_path / "r.parquet"
    expected = succeed("evaluate", folder, *COMMON, "--out", whole)
    first = succeed("evaluate", folder, *COMMON, "--out", out, "--shard", "1/2")
    assert first.stdout == "" and f"shard 1/2 is done; when all are: merge {out}" in first.stderr
    assert "2 of 4 images are missing" in refuse("merge", out)
    succeed("evaluate", folder, *COMMON, "--out", out, "--shard", "2/2")
    assert succeed("merge", out).stdout == expected.stdout
    assert out.read_bytes() == whole.read_bytes()


def begin(folder: Path, out: Path, hold_at: int = -1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cli.tiny_program", "evaluate", str(folder), *map(str, COMMON), "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HOLD_AT": str(hold_at)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(out: Path) -> int:
    return len(list(out.with_name(f"{out.name}.parts").glob("*.parquet")))


@pytest.mark.slow
def test_stopped_at_random_moments_it_gives_the_table_of_an_unbroken_run(folder: Path, tmp_path: Path) -> None:
    """Once by Ctrl-C, once by a kill, then to the end."""
    unbroken, broken = tmp_path / "unbroken.parquet", tmp_path / "broken.parquet"
    whole = begin(folder, unbroken)
    for number, how in ((1, signal.SIGINT), (3, signal.SIGKILL)):
        process = begin(folder, broken, hold_at=UNITS - METHODS)
        until = time.monotonic() + 120
        while finished(broken) < number and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(random.SystemRandom().uniform(0, 0.1))
        process.send_signal(how)
        _, stderr = process.communicate(timeout=60)
        assert not broken.exists()
        assert number <= finished(broken) < IMAGES
        if how == signal.SIGINT:
            assert process.returncode == 130, stderr
            told = re.search(rf"at least (\d+) of {UNITS} are done and kept: the same command goes on", stderr)
            assert told is not None and METHODS <= int(told[1]) <= finished(broken) * METHODS
            assert "Traceback" not in stderr
        else:
            assert process.returncode == -signal.SIGKILL
    last = begin(folder, broken)
    stdout, stderr = last.communicate(timeout=120)
    assert last.returncode == 0, stderr
    expected, _ = whole.communicate(timeout=120)
    assert stdout == expected
    assert broken.read_bytes() == unbroken.read_bytes()
    assert finished(broken) == 0
