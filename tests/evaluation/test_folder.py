"""Evaluating a folder: what the table holds, and that no interruption changes it."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cam_core import Cancelled, Classifier, Explanation, evaluate, explain, explain_batch, load_image
from cam_core.evaluation import plan, shards
from cam_core.evaluation.results import (
    Row,
    paired_difference,
    read_rows,
    read_settings,
    read_values,
    summarise,
    write_rows,
)
from cam_core.evaluation.sources.places import Place
from cam_core.metrics import Metric, MetricResult
from cam_core.metrics.ground_truth import by_path, framed, own_and_other, read_ground_truth
from cam_core.metrics.samples import Samples
from cam_core.metrics.statistics import bootstrap_interval
from cam_core.models.origin import weights_digest
from cam_core.types import MetricError
from tests.metrics.evaluating import METHODS, METRICS, evaluating
from tests.tiny import tiny, tiny_classifier

ROOT = Path(__file__).parents[2]
IMAGES = 5
UNITS = IMAGES * len(METHODS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photos, one of them in a subfolder, one file that is none, boxes for two of the photos."""
    path = tmp_path_factory.mktemp("photos")
    (path / "more").mkdir()
    generator = np.random.default_rng(0)
    for number, name in enumerate(("a.png", "b.PNG", "more/c.png", "d.png")):
        coarse = generator.integers(0, 256, (5, 5 + number, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 30)).save(path / name)
    (path / "broken.jpg").write_bytes(b"no photo")
    (path / "notes.txt").write_text("not looked at")
    names = [f"class {i}" for i in range(5)]
    region = {"classes": names, "boxes": [[5, 5, 30, 25]]}
    boxes = {name: {"size": [40, 30], "regions": [region]} for name in ("a.png", "c.png")}
    (path / "boxes.json").write_text(json.dumps({"photos": boxes}))
    return path


@pytest.fixture(scope="module")
def unbroken(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "results.parquet"
    steps = list(evaluating(folder, out))
    assert [(step.done, step.total) for step in steps] == [((i + 1) * len(METHODS), UNITS) for i in range(IMAGES)]
    return out


def parts(out: Path) -> list[Path]:
    return list(out.with_name(f"{out.name}.parts").glob("*.parquet"))


def test_one_row_for_each_image_method_and_metric(folder: Path, unbroken: Path) -> None:
    rows = read_rows(unbroken)
    images = ("a.png", "b.PNG", "broken.jpg", "d.png", "more/c.png")
    expected = [(image, method, metric) for image in images for method in METHODS for metric in METRICS]
    assert [(row.image, row.method, row.metric) for row in rows] == expected
    assert [path.name for path in unbroken.parent.iterdir()] == ["results.parquet"]


def test_values_are_those_of_the_notebook(folder: Path, unbroken: Path) -> None:
    clf = tiny_classifier("residual")
    image = load_image(folder / "more/c.png")
    made = explain(clf, image, method="grad-cam", layer="relu1")
    own, _ = own_and_other(framed(read_ground_truth(folder / "boxes.json")["c.png"], clf.preprocessing), made.label)
    rows = {row.metric: row for row in read_rows(unbroken) if (row.image, row.method) == ("more/c.png", "grad-cam")}
    for key, params in {"average-drop": {}, "deletion-auc": {"steps": 8}, "max-box-acc": {}}.items():
        assert rows[key].value == evaluate(clf, image, made, metric=key, region=own, **params).value
        assert (rows[key].target, rows[key].label) == (made.target, made.label)
        assert rows[key].probability == made.probability
    assert len(rows["max-box-acc"].details) == 300


def test_a_summary_needs_no_more_than_the_values(unbroken: Path) -> None:
    assert summarise(read_values(unbroken)) == summarise(read_rows(unbroken))


def test_what_cannot_be_had_says_why(unbroken: Path) -> None:
    rows = {(row.image, row.method, row.metric): row for row in read_rows(unbroken)}
    unreadable = rows["broken.jpg", "grad-cam", "road"]
    assert unreadable.value is None and unreadable.target is None
    assert "broken.jpg" in unreadable.note
    refused = rows["a.png", "cam", "road"]
    assert refused.value is None
    assert refused.note
    unmarked = rows["b.PNG", "grad-cam", "max-box-acc"]
    assert unmarked.value is None
    assert "no ground truth" in unmarked.note
    assert rows["b.PNG", "grad-cam", "road"].value is not None


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_gives_the_same_table(
    kills: int, folder: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.parquet"
    finished = 0
    for _ in range(kills):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.metrics.evaluating",
                str(folder),
                str(out),
                str(finished + 3 - min(kills, 2)),
            ],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        deadline = time.monotonic() + 120
        while len(parts(out)) <= finished and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(random.SystemRandom().uniform(0, 0.3))
        process.kill()
        assert process.wait() == -9, "it had ended before it was killed"
        assert not out.exists()
        assert finished < len(parts(out)) < IMAGES
        finished = len(parts(out))
    steps = list(evaluating(folder, out))
    assert steps[-1].done == UNITS
    assert out.read_bytes() == unbroken.read_bytes()
    assert not parts(out)


def test_cancelling_keeps_the_finished_units(folder: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"

    def stop(done: int, total: int) -> None:
        if done == 3 * len(METHODS) + 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(evaluating(folder, out, progress=stop))
    kept = {path: path.stat().st_mtime_ns for path in parts(out)}
    assert len(kept) == 3
    first = next(iterator := evaluating(folder, out))
    assert first.done == 3 * len(METHODS)
    assert list(first.rows) == read_rows(unbroken)[: len(first.rows)]
    assert {path: path.stat().st_mtime_ns for path in parts(out)} == kept
    assert len(list(iterator)) == IMAGES - 3
    assert out.read_bytes() == unbroken.read_bytes()


def test_half_a_file_counts_for_nothing(folder: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    next(evaluating(folder, out))
    (part,) = parts(out)
    part.rename(part.with_name(f"{part.name}.123.unfinished"))
    part.with_name(f"{part.name}.123.unfinished").write_bytes(b"PAR1")
    list(evaluating(folder, out))
    assert out.read_bytes() == unbroken.read_bytes()


def test_a_part_of_another_length_than_was_written_counts_for_nothing(
    folder: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.parquet"
    next(evaluating(folder, out))
    (part,) = parts(out)
    part.write_bytes(part.read_bytes()[:-100])
    steps = list(evaluating(folder, out))
    assert len(steps) == IMAGES, "none of them is known"
    assert out.read_bytes() == unbroken.read_bytes()


def test_a_manifest_that_ends_in_the_midst_of_a_line_is_gone_on_with(
    folder: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.parquet"
    steps = evaluating(folder, out)
    next(steps)
    next(steps)
    steps.close()
    manifest = out.with_name(f"{out.name}.parts") / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-5])
    assert len(list(evaluating(folder, out))) == IMAGES, "one is known, and told first"
    assert out.read_bytes() == unbroken.read_bytes()


def test_parts_of_the_former_layout_are_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    former = out.with_name(f"{out.name}.parts")
    former.mkdir()
    write_rows([], {}, former / f"{'0' * 32}.parquet")
    with pytest.raises(MetricError, match="parts as an earlier version wrote them"):
        next(evaluating(folder, out))


def test_a_file_that_is_as_it_was_is_not_read_again(
    folder: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, copy = tmp_path / "results.parquet", tmp_path / "photos"
    shutil.copytree(folder, copy)
    steps = evaluating(copy, out)
    for _ in range(3):
        next(steps)
    steps.close()
    os.utime(copy / "b.PNG")  # other time, same bytes
    Image.new("RGB", (40, 30), "red").save(copy / "a.png")  # other bytes
    read = reading(monkeypatch)
    known = next(evaluating(copy, out))
    assert sorted(read) == sorted(["a.png", "b.PNG", str(copy / "boxes.json")])
    assert {row.image for row in known.rows} == {"b.PNG", "broken.jpg"}


def test_a_finished_table_is_taken_up_where_photos_were_added(folder: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    rows = [row for row in read_rows(unbroken) if row.image != "d.png"]
    marked = [replace(row, note="not computed again") for row in rows]
    write_rows(marked, read_settings(unbroken), out)
    list(evaluating(folder, out))
    assert [row for row in read_rows(out) if row.image != "d.png"] == marked
    assert [r for r in read_rows(out) if r.image == "d.png"] == [r for r in read_rows(unbroken) if r.image == "d.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 1}, r"other settings \(seed\)"),
        ({"layer": "stem"}, r"other settings \(layer\)"),
        ({"metrics": ("average-drop",), "metric_params": {}}, r"other settings \(metrics\)"),
    ],
)
def test_a_table_of_another_evaluation_is_not_mixed_in(
    folder: Path, unbroken: Path, arguments: dict[str, object], message: str
) -> None:
    before = unbroken.read_bytes()
    with pytest.raises(MetricError, match=message):
        next(evaluating(folder, unbroken, **arguments))
    assert unbroken.read_bytes() == before


def test_parts_of_another_evaluation_are_not_mixed_in(folder: Path, tmp_path: Path) -> None:
    next(evaluating(folder, tmp_path / "results.parquet"))
    with pytest.raises(MetricError, match=r"other settings \(seed\)"):
        next(evaluating(folder, tmp_path / "results.parquet", seed=1))


def test_nothing_to_do_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="is not a folder"):
        next(evaluating(folder / "notes.txt", tmp_path / "out.parquet", ground_truth=None))
    with pytest.raises(MetricError, match="there is no image"):
        next(evaluating(tmp_path, tmp_path / "out.parquet", ground_truth=None))
    with pytest.raises(MetricError, match="unknown metric 'drop'"):
        next(evaluating(folder, tmp_path / "out.parquet", metrics=("drop",)))


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    with pytest.raises(MetricError, match="cannot read the table"):
        read_rows(path)
    path.write_bytes(b"something else")
    with pytest.raises(MetricError, match="cannot read the table"):
        read_rows(path)


def test_the_weights_are_part_of_the_settings() -> None:
    first, same, other = (tiny("plain", seed) for seed in (0, 0, 1))
    assert weights_digest(first) == weights_digest(same)
    assert weights_digest(first) != weights_digest(other)


def rows_of(metric: str, **values: list[float | None]) -> list[Row]:
    """Rows of several methods over the images 0, 1, 2, …"""
    return [
        Row(str(image), "", method, metric, value=value)
        for method, column in values.items()
        for image, value in enumerate(column)
    ]


def test_summary_has_mean_and_interval_and_counts_what_is_missing() -> None:
    values = [10.0, 20.0, 60.0, None]
    (summary,) = summarise(rows_of("average-drop", one=values))
    assert (summary.method, summary.metric, summary.direction, summary.missing) == ("one", "average-drop", "lower", 1)
    assert summary.interval == bootstrap_interval([10.0, 20.0, 60.0])
    (empty,) = summarise(rows_of("average-drop", one=[None]))
    assert empty.interval is None and empty.missing == 1


def test_paired_difference_takes_the_images_that_both_have() -> None:
    rows = rows_of("average-drop", one=[10.0, None, 30.0, 50.0], other=[5.0, 7.0, 20.0, None])
    assert paired_difference(rows, "average-drop", "one", "other") == bootstrap_interval([5.0, 10.0])
    with pytest.raises(MetricError, match="no image has a value of average-drop for both one and third"):
        paired_difference(rows, "average-drop", "one", "third")


def test_max_box_acc_is_taken_over_the_set() -> None:
    hits = {"0": [1, 1, 0, 0, 0, 0], "1": [0, 0, 0, 1, 1, 1], "2": [0, 0, 0, 1, 1, 0]}  # two thresholds × three IoUs
    rows = [Row(i, "", "one", "max-box-acc", value=1.0, details=tuple(map(float, h))) for i, h in hits.items()]
    (summary,) = summarise(rows)
    assert summary.interval is not None
    assert math.isclose(summary.interval.mean, (2 / 3 + 2 / 3 + 1 / 3) / 3)


def test_an_error_of_any_kind_is_a_row_and_not_the_end(
    folder: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = shards.measure

    def wrong(batch: Samples, metric: Metric, *arguments: Any) -> list[MetricResult]:
        if metric.key == "road":
            raise ZeroDivisionError("by nothing")
        return right(batch, metric, *arguments)

    def no_map(clf: Classifier, images: list[Image.Image], **arguments: Any) -> list[Explanation]:
        if arguments["method"] == "random":
            raise RuntimeError("no such thing")
        return explain_batch(clf, images, **arguments)

    monkeypatch.setattr(shards, "measure", wrong)
    monkeypatch.setattr(shards, "explain_batch", no_map)
    list(evaluating(folder, tmp_path / "results.parquet"))
    before = {(row.image, row.method, row.metric): row for row in read_rows(unbroken)}
    for row in read_rows(tmp_path / "results.parquet"):
        if row.method == "random" and row.image != "broken.jpg":
            assert (row.value, row.target, row.note) == (None, None, "RuntimeError: no such thing")
        elif row.metric == "road" and before[row.image, row.method, row.metric].value is not None:
            assert (row.value, row.note) == (None, "ZeroDivisionError: by nothing")
            assert row.label == before[row.image, row.method, row.metric].label
        else:
            assert row == before[row.image, row.method, row.metric]


OPTI: dict[str, Any] = {
    "methods": ("opti-cam", "random"),
    "metrics": ("average-drop",),
    "metric_params": {},
    "method_params": {"opti-cam": {"steps": 4}},
}


def together(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """So many images at once for methods that gain by it, as if there were a GPU; all images in one shard."""
    for module in (plan, shards):
        monkeypatch.setattr(module, "images_at_once", lambda method, device: min(most, max(1, method.at_once)))
    monkeypatch.setattr(plan, "_PASSES_PER_SHARD", {"cpu": 10_000})


def taking(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Filled with the methods that are asked, and how many images they are given."""
    taken: list[tuple[str, int]] = []

    def counting(clf: Classifier, images: list[Image.Image], **arguments: Any) -> list[Explanation]:
        taken.append((arguments["method"], len(images)))
        return explain_batch(clf, images, **arguments)

    monkeypatch.setattr(shards, "explain_batch", counting)
    return taken


def test_a_method_that_takes_several_images_gets_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = taking(monkeypatch)
    together(monkeypatch, 16)
    rows = [row for step in evaluating(folder, tmp_path / "results.parquet", **OPTI) for row in step.rows]
    assert taken == [("opti-cam", 4), *[("random", 1)] * 4]
    clf = tiny_classifier("residual")
    for row in rows:
        if row.image != "broken.jpg" and row.method == "opti-cam":
            photo = load_image(folder / row.image)
            alone = explain(clf, photo, method="opti-cam", layer="relu1", steps=4)
            value = evaluate(clf, photo, alone, metric="average-drop").value
            assert row.value == pytest.approx(value, rel=1e-4, abs=1e-4)
    assert sum(row.value is None for row in rows) == 2


def test_images_that_are_explained_together_are_kept_and_resumed_together(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = taking(monkeypatch)
    together(monkeypatch, 2)  # a and b, broken and d, c
    unbroken, out = tmp_path / "unbroken.parquet", tmp_path / "results.parquet"
    list(evaluating(folder, unbroken, **OPTI))
    assert taken[:3] == [("opti-cam", 2), ("random", 1), ("random", 1)]

    def stop(done: int, total: int) -> None:
        if done == 6:  # of the second pair the first is done
            raise Cancelled

    with pytest.raises(Cancelled):
        list(evaluating(folder, out, progress=stop, **OPTI))
    taken.clear()
    steps = list(evaluating(folder, out, **OPTI))
    assert {row.image for row in steps[0].rows} == {"a.png", "b.PNG"}
    assert taken == [("opti-cam", 1), ("random", 1)] * 2, "what was finished is not explained again"
    assert out.read_bytes() == unbroken.read_bytes()


def test_what_fails_together_is_done_one_by_one(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_alone(clf: Classifier, images: list[Image.Image], **arguments: Any) -> list[Explanation]:
        if len(images) > 1:
            raise ValueError("one of them")
        return explain_batch(clf, images, **arguments)

    monkeypatch.setattr(shards, "explain_batch", only_alone)
    together(monkeypatch, 16)
    rows = [row for step in evaluating(folder, tmp_path / "results.parquet", **OPTI) for row in step.rows]
    assert {row.image for row in rows if row.value is None} == {"broken.jpg"}


def test_an_error_of_the_listener_ends_the_work(folder: Path, tmp_path: Path) -> None:
    def listen(done: int, total: int) -> None:
        raise KeyError("the listener's own")

    with pytest.raises(KeyError, match="own"):
        list(evaluating(folder, tmp_path / "results.parquet", progress=listen))


def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Filled with the files that are read, by what messages call them."""
    right, right_image, read = plan._read, Place.read, []
    monkeypatch.setattr(plan, "_read", lambda path: read.append(str(path)) or right(path))
    monkeypatch.setattr(Place, "read", lambda place, name: read.append(name) or right_image(place, name))
    return read


def test_each_file_is_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MOST_IMAGES", 1)
    read, boxes = reading(monkeypatch), str(folder / "boxes.json")
    steps = evaluating(folder, tmp_path / "results.parquet", metrics=("complexity",), metric_params={})
    next(steps)
    assert sorted(read) == sorted([boxes, "a.png"]), "each when its turn comes"
    list(steps)
    assert sorted(read) == sorted([boxes, "a.png", "b.PNG", "broken.jpg", "d.png", "more/c.png"])


def test_a_file_that_cannot_be_read_any_more_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MOST_IMAGES", 1)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / name)
    steps = evaluating(tmp_path, tmp_path / "out.parquet", ground_truth=None, metrics=("complexity",), metric_params={})
    next(steps)
    (tmp_path / "b.png").unlink()
    rows = [row for step in steps for row in step.rows if row.image == "b.png"]
    assert len(rows) == len(METHODS)
    assert all(row.value is None and "cannot read" in row.note and "b.png" in row.note for row in rows)


def test_ground_truth_is_by_path_or_by_a_name_that_one_image_has() -> None:
    paths = ["a.png", "cats/a.png", "cats/b.png", "dogs/a.png", "dogs/c.png"]
    photos = {name: {"of": name} for name in ("dogs/a.png", "a.png", "b.png", "dogs/c.png", "c.png", "x.png")}
    expected = {"a.png": "a.png", "cats/b.png": "b.png", "dogs/a.png": "dogs/a.png", "dogs/c.png": "dogs/c.png"}
    assert {path: photo["of"] for path, photo in by_path(photos, paths).items()} == expected
    with pytest.raises(MetricError, match=r"boxes for 'a.png', .* name of cats/a.png and dogs/a.png: give the path"):
        by_path({"a.png": {}}, paths[1:])


def test_progress_counts_kept_units_and_never_goes_back(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    heard: list[tuple[int, int]] = []

    def listen(done: int, total: int) -> None:
        heard.append((done, total))
        assert done == UNITS or done // len(METHODS) - len(parts(out)) in (0, 1), "what is told is about to be kept"

    list(evaluating(folder, out, progress=listen))
    assert {total for _, total in heard} == {UNITS}
    counted = [done for done, _ in heard]
    assert counted == sorted(counted) and set(counted) == set(range(UNITS + 1))
    assert len(heard) > 2 * UNITS, "also between the batches of a unit"
