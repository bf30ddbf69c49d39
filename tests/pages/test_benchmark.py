"""The Benchmark page: a run from the form to the table, its errors and limits, tables of others, and what leads on."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit import config
from streamlit.testing.v1 import AppTest

from cam_core import METHODS, explain, load_image, load_model
from cam_core import METRICS as METRICS_KNOWN
from cam_core.cli import inputs
from cam_core.evaluation.folder import evaluate_folder
from cam_core.evaluation.report.images import ImageScore, missing
from cam_core.evaluation.report.opening import open_results
from cam_core.evaluation.results import Row, read_rows, read_settings, summarise, write_rows
from cam_core.models.origin import weights_digest
from pages.benchmark import photos, running, shown
from pages.benchmark.boxes import Boxes
from pages.benchmark.evaluating import evaluated
from pages.benchmark.form import Benchmark
from pages.runtime import compute, limits
from pages.runtime.jobs import Jobs
from tests.cli.calls import run as run_command
from tests.pages.app_runs import BUNDLED, LABELS, PATIENCE, Open, heatmaps, html, load_tiny, settle
from tests.tiny import SIZE

Page = Callable[..., AppTest]
PAGE = "pages/benchmark/page.py"
METRICS = ["average-drop", "average-increase"]
LINK = {"benchmark-methods": ["Grad-CAM", "Random (control)"], "metrics": METRICS}


def photo(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tiny photos."""
    path = tmp_path / "photos"
    path.mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        photo(path / name, seed)
    return path


@pytest.fixture
def open_page(open_app: Open, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """The page as a link opens it, whose example is a small table."""
    monkeypatch.setattr(compute, "visitor_folder", lambda: tmp_path)
    rows = [
        Row(f"{number}.jpg", f"sha {number}", method, metric, 1, "bee", 0.5, value + number)
        for method, value in (("grad-cam", 10.0), ("lift-cam", 30.0), ("random", 60.0))
        for metric in METRICS
        for number in range(6)
    ]
    write_rows(rows, {"model": "elsewhere", "layer": "conv"}, tmp_path / "example.parquet")
    monkeypatch.setattr(shown, "EXAMPLE", tmp_path / "example.parquet")

    def open_page(**link: Any) -> AppTest:
        return open_app(page=PAGE, **LINK | link)

    return open_page


@pytest.fixture
def own(open_page: Page, folder: Path) -> Page:
    """The same, with the folder chosen."""
    return lambda **link: open_page(**{"benchmark-photos": "Folder", "benchmark-folder": str(folder)} | link)


@pytest.fixture
def room() -> Iterator[None]:
    """The app as others can reach it."""
    config.set_option("server.address", "0.0.0.0")
    yield
    config.set_option("server.address", "127.0.0.1")


def begin(at: AppTest) -> AppTest:
    at.button(key="benchmark-run").click().run()
    return at


def cells(at: AppTest) -> dict[str, str]:
    """What the buttons of the table say, by network, method and metric."""
    prefix = "standing-cell-"
    return {entry.key.removeprefix(prefix): entry.label for entry in at.button if (entry.key or "").startswith(prefix)}


def button(at: AppTest, label: str) -> Any:
    return next(entry for entry in at.button if entry.label == label)


# ---- first sight


def test_first_sight_is_the_example(open_page: Page) -> None:
    at = open_page()
    assert at.title[0].value == "Benchmark"
    shown_cells = cells(at)
    assert list(shown_cells) == [f"elsewhere|{m}|{k}" for m in ("grad-cam", "lift-cam", "random") for k in METRICS]
    # By average drop lower is better: 12.5 of 10 … 15. By average increase the highest that is no control.
    assert shown_cells["elsewhere|grad-cam|average-drop"].startswith("**12.5** :small[")
    assert shown_cells["elsewhere|lift-cam|average-increase"].startswith("**32.5**")
    assert shown_cells["elsewhere|random|average-increase"].startswith("62.5")
    text = html(at)
    assert "n = 6" in text and "6 images · layer conv" in text
    assert "No maps: elsewhere is not among the networks here." in text
    assert "45 photos × 2 methods × 1 network: 90 maps, each by 2 metrics." in text
    assert not at.button(key="benchmark-run").disabled


def test_a_click_on_a_cell_shows_its_worst_and_best_images(open_page: Page) -> None:
    at = open_page()
    at.button(key="standing-cell-elsewhere|lift-cam|average-drop").click().run()
    settle(at)
    assert at.query_params["cell"] == "elsewhere|lift-cam|average-drop"
    told = re.findall(r"(\d)\.jpg: ([\d.]+) %, explained as bee, 50.0 %", html(at))
    assert told == [("5", "35"), ("4", "34"), ("3", "33"), ("0", "30"), ("1", "31"), ("2", "32")]


def test_differences_are_from_the_leader_and_say_how_sure_they_are(open_page: Page) -> None:
    text = html(open_page())
    # All six differences are 20: two of 2⁶ patterns of signs are as extreme, and there are three pairs.
    assert "<td>+20.0 <small>[20.0, 20.0] p = 0.094</small></td>" in text
    assert "Mean over the images of the method’s value less that of Grad-CAM" in text


# ---- a run


def test_a_run_gives_the_numbers_of_evaluate_folder(own: Page, folder: Path, tmp_path: Path) -> None:
    at = settle(begin(own()))
    assert not at.error
    clf = compute.classifier(compute.ModelSpec(BUNDLED))
    out = tmp_path / "expected.parquet"
    list(evaluate_folder(clf, folder, methods=["grad-cam", "random"], metrics=METRICS, out=out))
    expected = {(each.method, each.metric): each.interval for each in summarise(read_rows(out))}
    made = cells(at)
    assert len(made) == len(expected) == 4
    for (method, metric), interval in expected.items():
        (label,) = [text for key, text in made.items() if key.endswith(f"|{method}|{metric}")]
        assert interval is not None and interval.count == 2
        number = float(re.sub(r"[*≈ ]", "", label.split(":small")[0]).replace("−", "-"))
        assert number == pytest.approx(interval.mean, rel=0.01, abs=0.01)
    assert "n = 2" in html(at)
    (made_table,) = (tmp_path / "benchmarks").rglob("*.parquet")
    assert [row.value for row in read_rows(made_table)] == [row.value for row in read_rows(out)]


def test_maps_are_shown_and_lead_to_the_other_pages(own: Page) -> None:
    at = settle(begin(own()))
    assert heatmaps(at) == ["Grad-CAM", "Grad-CAM"], "one is the best, one the worst"
    for title in ("Compare", "Deletion"):
        at = settle(begin(own()))
        button(at, f"{title} :small[a.png]").click().run()
        settle(at)
        assert at.title[0].value == title and at.query_params["upload"] == "a.png"
        assert "a.png is shown until you choose another." in html(at)
        assert at.session_state["methods"][0] == "Grad-CAM"


def test_an_untrained_twin_stands_beside_the_network(own: Page) -> None:
    at = settle(begin(own(twins="true")))
    runs = list(dict.fromkeys(key.split("|")[0] for key in cells(at)))
    assert len(runs) == 2 and runs[1] == f"{runs[0]}, untrained"
    assert f"Grad-CAM · {runs[1]}" in html(at), "set beside each other, image by image"


def test_a_network_that_cannot_be_had_is_named_and_the_others_are_evaluated(own: Page) -> None:
    at = settle(begin(own(networks=["resnet18", BUNDLED])))
    (error,) = at.error
    assert "ResNet-18 was not evaluated" in error.value and "not on this machine" in error.value
    assert len({key.split("|")[0] for key in cells(at)}) == 1
    at = settle(begin(own(networks=["resnet18"])))
    assert any("The benchmark stopped" in error.value for error in at.error) and not cells(at)


def test_what_cannot_be_read_is_counted_and_named(own: Page, folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no image")
    text = html(settle(begin(own())))
    assert "4 values are missing" in text and "broken.jpg" in text
    assert "Grad-CAM, Random (control): broken.jpg" in text


def test_one_image_has_no_interval(own: Page, folder: Path) -> None:
    (folder / "b.png").unlink()
    made = cells(settle(begin(own())))
    assert made and all(":small[one image]" in label for label in made.values())


# ---- cancelled, and resumed


def test_a_cancelled_run_keeps_what_it_has_and_goes_on_from_there(own: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    halfway, outs = threading.Event(), []

    def held(clf: Any, benchmark: Any, out: Path, progress: Any) -> Iterator[Any]:
        outs.append(out)

        def tell(done: int, total: int) -> None:
            progress(done, total)
            while 2 * done > total:  # until it is cancelled
                halfway.set()
                threading.Event().wait(0.01)
                progress(done, total)

        yield from evaluated(clf, benchmark, out, tell)

    monkeypatch.setattr(running, "evaluated", held)
    at = begin(own())
    assert halfway.wait(PATIENCE)
    assert at.run().button(key="benchmark-run").disabled
    at.button(key="leave-benchmark").click().run()
    settle(at)
    assert re.search(r"Cancelled at \d\d %. What was computed before stays.", html(at))
    before = [path for path in outs[0].parent.rglob("*") if path.is_file()]
    assert before and not outs[0].exists()

    def resumed(clf: Any, benchmark: Any, out: Path, progress: Any) -> Iterator[Any]:
        outs.append(out)
        assert all(path.exists() for path in before)
        return evaluated(clf, benchmark, out, progress)

    monkeypatch.setattr(running, "evaluated", resumed)
    button(at, "Resume").click().run()
    settle(at)
    assert not at.error and "Cancelled" not in html(at) and outs[0] == outs[1] and outs[0].exists()
    assert len(cells(at)) == 4 and not any("one image" in label for label in cells(at).values())


def test_of_a_large_run_nothing_is_kept_in_memory(own: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "KEPT", 7)
    at = settle(begin(own()))
    assert not at.session_state["_benchmark"].rows
    assert len(cells(at)) == 4, "what is shown is the table on the disk"


def test_a_run_is_found_again_when_the_page_is_loaded_again(own: Page, own_browser: Any) -> None:
    made = cells(settle(begin(own())))
    own_browser.reload()
    assert cells(own()) == made


def test_one_benchmark_at_a_time(own: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, other = threading.Event(), Jobs()
    mine = Jobs(tabs=lambda: (mine, other))
    monkeypatch.setattr(compute, "visitor_jobs", lambda: mine)
    job = other.start("benchmark1", lambda job: gate.wait(PATIENCE))
    job.cancel()
    at = begin(own())
    assert any("Another benchmark of yours is under way" in error.value for error in at.error), "it may still write"
    gate.set()
    assert job.wait(PATIENCE)
    assert len(cells(settle(begin(at)))) == 4 and not at.error


# ---- photos


def test_photos_in_a_zip(open_page: Page, folder: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    at = open_page(**{"benchmark-photos": "Zip"})
    assert at.button(key="benchmark-run").disabled and "Choose photos." in html(at)
    at.file_uploader(key="zip-benchmark").upload("mine.zip", buffer.getvalue(), "application/zip").run()
    settle(at)
    assert "2 photos × 2 methods" in html(at)
    at = settle(begin(at))
    assert len(cells(at)) == 4 and heatmaps(at)


def test_a_folder_that_is_none_is_named(open_page: Page) -> None:
    at = open_page(**{"benchmark-photos": "Folder", "benchmark-folder": "/no/such/folder"})
    assert any("/no/such/folder" in error.value for error in at.error)


def test_no_folder_is_opened_where_others_reach_the_app(own: Page, folder: Path, room: None) -> None:
    at = own(**{"benchmark-boxes": "/etc/boxes.json"})
    assert any("no folder is" in info.value for info in at.info) and "benchmark-boxes" not in at.query_params
    assert not any(entry.key == "benchmark-folder" for entry in at.text_input)
    assert str(folder) not in html(at) and "benchmark-folder" not in at.query_params


def test_so_many_maps_are_computed_for_one_visitor(
    open_page: Page, monkeypatch: pytest.MonkeyPatch, room: None
) -> None:
    monkeypatch.setattr(limits, "ROOM", replace(limits.ROOM, benchmark_maps=89))
    at = open_page()
    assert "90 maps would be computed, and at most 89 are here" in html(at)
    assert at.button(key="benchmark-run").disabled


def test_a_name_of_a_strangers_table_is_never_opened(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "_photo", photos._photo.__wrapped__)  # its cache is a visitor’s
    secret = tmp_path / "secret.png"
    photo(secret, 3)
    chosen = photos.PhotoSet(folder, ("a.png", "b.png"), "photos")
    digest, right = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (secret, folder / "a.png"))
    assert chosen.photo(ImageScore("../secret.png", digest, 1.0, 0, "x", 0.5)) is None
    found = chosen.photo(ImageScore("a.png", right, 1.0, 0, "x", 0.5))
    assert found is not None and found.image == load_image(folder / "a.png")
    assert chosen.photo(ImageScore("a.png", digest, 1.0, 0, "x", 0.5)) is None, "another photo of that name"


# ---- boxes, and the metrics that need them

LOCALISATION = [metric.title for metric in METRICS_KNOWN.values() if metric.needs_boxes]


def boxes_file(path: Path, **regions: list[list[float]]) -> Path:
    """Boxes on photos of 24 × 24 pixels, whatever class is explained."""
    photos = {
        f"{name}.png": {"size": [24, 24], "regions": [{"classes": LABELS, "boxes": boxes}]}
        for name, boxes in regions.items()
    }
    path.write_text(json.dumps({"photos": photos}))
    return path


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """The left half of one photo, and nothing of the other."""
    return boxes_file(tmp_path / "mine.json", a=[[0, 0, 12, 24]])


def offered(at: AppTest) -> list[str]:
    """The metrics in the picker."""
    options: list[str] = at.multiselect(key="metrics|").options
    return [title for title in options if title in LOCALISATION]


def test_metrics_of_localisation_are_offered_where_photos_have_boxes(open_page: Page) -> None:
    assert LOCALISATION == ["Energy-based pointing game", "Class discrimination", "Pointing game", "MaxBoxAcc"]
    at = open_page()
    assert not offered(at) and f"{', '.join(LOCALISATION[:3])} and MaxBoxAcc need boxes" in html(at)
    at.segmented_control(key="benchmark-photos").set_value("Sample photos").run()
    settle(at)
    assert offered(at) == LOCALISATION and "Boxes around objects: on 16 of 16 photos." in html(at)


def test_a_run_with_boxes_gives_the_numbers_of_evaluate_folder_and_so_does_what_is_taken_along(
    own: Page, folder: Path, boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = own(**{"benchmark-boxes": str(boxes), "metrics": ["pointing-game", "ebpg"]})
    assert "Boxes around objects: on 1 of 2 photos." in html(at)
    at = settle(begin(at))
    assert [key.partition("|")[2] for key in cells(at)] == [
        f"{method}|{metric}" for method in ("grad-cam", "random") for metric in ("pointing-game", "ebpg")
    ]
    text = html(at)
    assert (
        "Energy-based pointing game" in text
        and "4 values are missing" in text
        and "no ground truth for" in text.lower()
    )
    (made,) = (tmp_path / "benchmarks").rglob("*.parquet")
    assert read_settings(made)["ground_truth"] == hashlib.sha256(boxes.read_bytes()).hexdigest()
    rows = {(row.image, row.method, row.metric): row.value for row in read_rows(made)}
    clf = compute.classifier(compute.ModelSpec(BUNDLED))
    explained = explain(clf, load_image(folder / "a.png"), method="grad-cam").saliency
    assert rows["a.png", "grad-cam", "ebpg"] == pytest.approx(
        explained[:, : SIZE[1] // 2].sum() / explained.sum(), abs=1e-6
    )
    assert {rows["b.png", method, "ebpg"] for method in ("grad-cam", "random")} == {None}
    at.session_state["share-benchmark"] = True
    script, command = (element.value for element in settle(at.run()).code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cam_core.load_model", load_tiny)
    names: dict[str, Any] = {}
    exec(compile(script, "script", "exec"), names)
    (table,) = names["tables"].values()
    assert table.column("value").to_pylist() == list(rows.values())
    monkeypatch.setattr(inputs, "load_model", load_tiny)
    words = shlex.split(command)[3:]
    words[words.index("--out") + 1] = "shell.parquet"
    assert run_command(*words).exit_code == 0
    assert [row.value for row in read_rows(Path("shell.parquet"))] == list(rows.values())


def test_other_boxes_are_another_benchmark_where_a_metric_asks_for_them(folder: Path, boxes: Path) -> None:
    def identity(metric: str, digest: str) -> str:
        known = Boxes(1, digest, "mine.json", boxes)
        chosen = photos.PhotoSet(folder, ("a.png", "b.png"), "photos", boxes=known)
        return Benchmark(chosen, (), (), (metric,), 0, "float32").identity

    assert identity("ebpg", "1") != identity("ebpg", "2")
    assert identity("complexity", "1") == identity("complexity", "2")


def test_boxes_come_with_a_zip(open_page: Page, folder: Path, boxes: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    at = open_page(**{"benchmark-photos": "Zip"})
    at.file_uploader(key="zip-benchmark").upload("mine.zip", (tmp_path / "mine.zip").read_bytes()).run()
    at.file_uploader(key="benchmark-boxes-file").upload("../mine.json", boxes.read_bytes()).run()
    settle(at)
    assert offered(at) == LOCALISATION and "Boxes around objects: on 1 of 2 photos." in html(at)


def test_a_table_lists_photos_with_boxes(own: Page, folder: Path) -> None:
    (folder / "list.csv").write_text('path,label,boxes\nb.png,ant,"[[1, 2, 3, 4]]"\na.png,,\n')
    at = own(**{"benchmark-folder": str(folder / "list.csv")})
    assert "2 photos × 2 methods" in html(at) and "Boxes around objects: on 1 of 2 photos." in html(at)
    (folder / "list.csv").write_text("file\na.png\n")
    at = own(**{"benchmark-folder": str(folder / "list.csv")})
    assert any("it needs a column path" in error.value for error in at.error)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot read the ground truth"),
        ("[]", "not a file of boxes"),
        ('{"photos": {"other.png": {"size": [1, 1], "regions": []}}}', "has none of these photos"),
        ("[" * 100_000, "not a file of boxes"),
    ],
)
def test_boxes_that_are_none_are_refused(own: Page, tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "none.json"
    if content is not None:
        path.write_text(content)
    at = own(**{"benchmark-boxes": str(path)})
    (error,) = at.error
    assert "These boxes cannot be used" in error.value and why in error.value.lower()
    assert not offered(at) and not at.button(key="benchmark-run").disabled


# ---- tables of others


def test_a_table_of_the_command_line_is_read(
    own: Page, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "load_model", load_tiny)
    out = tmp_path / "cluster.parquet"
    words = ["evaluate", folder, "--out", out, "--method", "grad-cam", "--method", "random", "--metric", "average-drop"]
    assert run_command(*words).exit_code == 0
    at = own()
    at.segmented_control(key=shown.KEY).set_value(shown.FILE).run()
    at.file_uploader(key="benchmark-files").upload("cluster.parquet", out.read_bytes()).run()
    settle(at)
    assert [key.partition("|")[2] for key in cells(at)] == ["grad-cam|average-drop", "random|average-drop"]
    assert heatmaps(at) == ["Grad-CAM", "Grad-CAM"], "the photos are those of the form"


def test_checkpoints_of_one_network_are_told_apart_by_their_files(own: Page, tmp_path: Path) -> None:
    at = own()
    at.segmented_control(key=shown.KEY).set_value(shown.FILE).run()
    files = []
    for epoch in (1, 2):
        rows = [Row("a.jpg", "sha", "grad-cam", "average-drop", 1, "bee", 0.5, float(epoch))]
        write_rows(rows, {"model": "net"}, tmp_path / "made.parquet")
        content = (tmp_path / "made.parquet").read_bytes()
        files.append((f"epoch{epoch}.parquet", content, "application/octet-stream"))
    at.file_uploader(key="benchmark-files").set_value(files).run()
    assert [key.split("|")[0] for key in cells(settle(at))] == ["net · epoch1", "net · epoch2"]


def test_a_file_that_is_no_table_is_refused(own: Page) -> None:
    at = own()
    at.segmented_control(key=shown.KEY).set_value(shown.FILE).run()
    at.file_uploader(key="benchmark-files").upload("mine.parquet", b"no table").run()
    assert any("These tables cannot be read" in error.value for error in at.error) and not cells(at)


def test_two_tables_of_other_photos_cannot_stand_side_by_side(own: Page, tmp_path: Path) -> None:
    at = own()
    at.segmented_control(key=shown.KEY).set_value(shown.FILE).run()
    files = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.parquet"
        write_rows([Row(f"{name}.jpg", name, "grad-cam", "average-drop", 1, "bee", 0.5, 1.0)], {"model": name}, path)
        files.append((f"{name}.parquet", path.read_bytes(), "application/octet-stream"))
    at.file_uploader(key="benchmark-files").set_value(files).run()
    settle(at)
    assert any("same files" in error.value for error in at.error)


# ---- taken along


def test_what_is_taken_along_gives_the_same_numbers(
    own: Page, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = settle(begin(own()))
    given: dict[str, Callable[[], bytes]] = {}

    def button(*_: Any, file_name: str, data: Any, **__: Any) -> None:
        given[file_name] = data

    with monkeypatch.context() as patched:
        patched.setattr("streamlit.download_button", button)
        at.session_state["share-benchmark"] = True
        settle(at.run())
    script, command = (element.value for element in at.code)
    assert "keep_top" not in script and "keep_top" not in command, "a default need not be said"
    with zipfile.ZipFile(io.BytesIO(given["benchmark.zip"]())) as archive:
        assert {"benchmark.csv", "benchmark.tex", "benchmark.pdf", "script.py", "README.txt"} < set(archive.namelist())
        (table,) = [name for name in archive.namelist() if name.endswith(".parquet")]
        (tmp_path / "given.parquet").write_bytes(archive.read(table))
    shown_rows = [(row.method, row.metric, row.value) for row in read_rows(tmp_path / "given.parquet")]
    assert given["benchmark.tex"]().startswith(b"\\begin{table}") and given["benchmark.pdf"]().startswith(b"%PDF")
    assert b"made_with" in given["benchmark.csv"]()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cam_core.load_model", load_tiny)
    names: dict[str, Any] = {}
    exec(compile(script, "script", "exec"), names)
    (made,) = names["tables"].values()
    assert (
        list(zip(*(made.column(name).to_pylist() for name in ("method", "metric", "value")), strict=True)) == shown_rows
    )
    monkeypatch.setattr(inputs, "load_model", load_tiny)
    words = shlex.split(command)[3:]
    words[words.index("--out") + 1] = "shell.parquet"
    result = run_command(*words)
    assert result.exit_code == 0, result.stderr
    assert [(row.method, row.metric, row.value) for row in read_rows(Path("shell.parquet"))] == shown_rows


# ---- the example that comes along


def test_the_example_is_of_the_photos_and_the_network_that_come_along() -> None:
    results = open_results(shown.EXAMPLE)
    names = {path.name for path in photos.EVALUATION.glob("*.jpg")}
    assert set(results.names("image")) == names and len(names) == 45
    assert not results.unknown and not missing([results])
    assert any(METHODS[method].control for method in results.names("method"))
    assert results.settings["weights"] == weights_digest(load_model(BUNDLED, device="cpu").module), (
        "else it has no maps"
    )


@pytest.mark.slow
def test_the_example_holds_what_is_measured_now(tmp_path: Path) -> None:
    results, folder = open_results(shown.EXAMPLE), tmp_path / "photos"
    folder.mkdir()
    names = sorted(results.names("image"))[:2]
    for name in names:
        shutil.copyfile(photos.EVALUATION / name, folder / name)
    methods, metrics = results.names("method"), results.names("metric")
    clf, out = load_model(BUNDLED, device="cpu"), tmp_path / "made.parquet"
    list(evaluate_folder(clf, folder, methods=methods, metrics=metrics, out=out))
    kept = {(row.image, row.method, row.metric): row.value for row in read_rows(shown.EXAMPLE)}
    made = {(row.image, row.method, row.metric): row.value for row in read_rows(out)}
    assert len(made) == len(names) * len(methods) * len(metrics)
    for key, value in made.items():
        assert kept[key] == pytest.approx(value, rel=1e-3, abs=1e-2), key
