"""The LFI-CAM page: the board, what is missing, and a training from the form to the sidebar's model picker."""

from __future__ import annotations

import csv
import io
import re
import shlex
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit import config
from streamlit.testing.v1 import AppTest

from cam_core.images import Preprocessing, Unpacked
from cam_core.models.trainable import trained
from cam_core.models.trainable.checkpoints import save_checkpoint
from cam_core.models.trainable.lfi import build_network
from cam_core.training import DigitsSet, EpochReport, ImageSet, TrainingData, TrainingError
from cam_core.training import train as really_train
from cam_core.training.looks import share_on_object
from cam_core.training.reports import LOGGED
from pages.lfi import board, table, training
from pages.runtime import compute, limits
from pages.runtime.jobs import Jobs
from pages.shared import models, photo
from pages.shared.sharing import settings
from pages.shared.sharing.section import PAGES
from tests.cli.calls import run
from tests.pages.app_runs import PATIENCE, Open, encoded, html, load_tiny, noise, settle
from tests.pages.taken import array, opened
from tests.pretend.device import Ledger

Page = Callable[..., AppTest]
FACTS = {"labels": list("0123456789"), "data": "digits", "seed": 0, "preprocessing": Preprocessing((64, 64), 64)}
EPOCHS = 3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Untrained networks in the place of the bundled ones, and a folder for what the visitor trains."""
    for arch in ("lfi", "baseline", "abn"):
        path = tmp_path / "bundled" / f"{arch}_digits.safetensors"
        save_checkpoint(path, build_network(arch, "resnet8", 10, stem_stride=4), FACTS | {"accuracy": 0.5})
    monkeypatch.setattr(
        trained, "DIGIT_NETWORKS", {path.stem: path for path in sorted((tmp_path / "bundled").glob("*.safetensors"))}
    )
    monkeypatch.setattr(compute, "visitor_folder", lambda: tmp_path)
    board.network.clear()
    table._read.clear()
    yield tmp_path
    board.network.clear()
    table._read.clear()


@pytest.fixture
def open_page(open_app: Open, folder: Path) -> Page:
    """The page as a link with these parameters opens it."""
    return partial(open_app, page="pages/lfi/page.py")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[Any]:
    """Training in the twinkling of an eye: three epochs, one report each; the settings that arrived."""
    asked: list[Any] = []

    def train(settings: Any, *, progress: Any, on_epoch: Any) -> None:
        asked.append(settings)
        for epoch in range(1, EPOCHS + 1):
            progress(epoch - 1, EPOCHS)
            learn(settings, on_epoch, epoch)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "open_data", lambda *_, **__: small_data())
    return asked


def small_data() -> TrainingData:
    digits = DigitsSet("held-out", count=20)
    return TrainingData("digits", tuple("0123456789"), digits, digits, flip=False)


def learn(settings: Any, on_epoch: Any, epoch: int) -> None:
    """One epoch: save, report; the second is the best."""
    network = build_network(settings.arch, settings.backbone, 10, seed=epoch, stem_stride=2)
    accuracy = {1: 0.3, 2: 0.7, 3: 0.6}[epoch]
    if epoch < 3:
        save_checkpoint(settings.out / "best.safetensors", network, FACTS | {"accuracy": accuracy})
    attention = None if settings.arch == "baseline" else np.full((8, 4, 4), 0.25 * epoch, dtype=np.float32)
    report = EpochReport(epoch, EPOCHS, 2.0 / epoch, accuracy, accuracy, 0.1, 1.5, epoch < 3, attention)
    on_epoch(report)


def button(at: AppTest, label: str):
    return next(entry for entry in at.button if entry.label == label)


def train(at: AppTest) -> AppTest:
    at.button(key="train").click().run()
    return settle(at)


def on_offer() -> list[str]:
    """What the model picker of the other pages offers."""
    return [offer.line for offer in models.offers().values()]


# ---- the board


def test_first_sight_has_four_images_with_masks_and_three_networks(open_page: Page) -> None:
    at = open_page()
    text = html(at)
    assert at.title[0].value == "LFI-CAM"
    for name in ("LFI-CAM", "Baseline", "Attention branch network"):
        assert text.count(f'alt="{name} heatmap of held-out image') == board.SHOWN
    assert text.count('alt="True mask of') == board.SHOWN
    shares = re.findall(r"<small>([\d.]+) % of the map on the digit: ([\d.]+) × its share</small>", text)
    areas = re.findall(r"<small>the digit: ([\d.]+) % of the image</small>", text)
    assert len(shares) == 3 * board.SHOWN and len(areas) == board.SHOWN
    for index, (share, times) in enumerate(shares):
        assert float(times) == pytest.approx(float(share) / float(areas[index // 3]), rel=0.03, abs=0.06)
    assert text.count("this network: 50.0 % right") == 3
    assert "Colour bar from 0" in text
    assert ("✓" in text) or ("✗" in text)


def test_another_place_among_the_held_out_images(open_page: Page) -> None:
    text = html(open_page(**{"from": "8"}))
    assert 'alt="Held-out image 8"' in text and 'alt="Held-out image 11"' in text
    assert 'alt="Held-out image 0"' not in text


def test_an_image_of_ones_own_has_no_mask(open_page: Page) -> None:
    at = open_page(images="Mine")
    assert "Drop an image" in html(at)
    buffer = io.BytesIO()
    Image.new("RGB", (90, 70), "navy").save(buffer, "PNG")
    at.file_uploader[-1].upload("seven.png", buffer.getvalue(), "image/png").run()
    settle(at)
    text = html(at)
    assert 'alt="LFI-CAM heatmap of seven.png: says' in text
    assert "True mask" not in text and "on the digit</small>" not in text
    assert "These networks know digits alone: whatever else they are shown, they call a digit." in text


def test_a_file_that_is_no_image_is_answered(open_page: Page) -> None:
    at = open_page(images="Mine")
    at.file_uploader[-1].upload("seven.png", b"no image", "image/png").run()
    assert any("This file cannot be used" in error.value for error in at.error)


def test_a_bad_file_after_a_good_one_leaves_the_board(open_page: Page) -> None:
    at = open_page(images="Mine")
    at.file_uploader[-1].upload("bad.png", b"no image", "image/png").run()
    assert "stays" not in at.error[0].value, "there was none before it"
    buffer = io.BytesIO()
    Image.new("RGB", (90, 70), "navy").save(buffer, "PNG")
    at.file_uploader[-1].clear().upload("seven.png", buffer.getvalue(), "image/png").run()
    assert "heatmap of seven.png" in html(settle(at)) and not at.error
    at.file_uploader[-1].clear().upload("bad.png", b"no image", "image/png").run()
    assert "The photo before it stays" in at.error[0].value
    assert "heatmap of seven.png" in html(settle(at))
    at.file_uploader[-1].clear().run()
    assert "heatmap of seven.png" not in html(settle(at)), "taken away is taken away"


def test_without_digit_networks_the_page_says_how_to_get_them(open_page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "DIGIT_NETWORKS", {})
    at = open_page()
    assert any("python -m cam_core train" in info.value for info in at.info)
    assert at.button(key="train")


def test_the_table_is_that_of_the_benchmark(open_page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "comparison.json"
    monkeypatch.setattr(table, "_FILE", file)
    assert any("python benchmarks/lfi.py" in info.value for info in open_page().info)
    file.write_text(
        '{"columns": ["", "accuracy"], "rows": [["LFI-CAM", "91.0% [90.1%, 91.9%]"]], "notes": ["Five <networks>."]}'
    )
    table._read.clear()
    at = open_page()
    text = html(at)
    assert '<th scope="col">Right answers<small></small></th>' in text
    assert "Each number is the mean of five trainings" in text
    assert '<th scope="row">LFI-CAM</th><td>91.0% <small>[90.1%, 91.9%]</small></td>' in text
    assert "Five &lt;networks&gt;." in text
    assert any("- **Right answers**: Held-out images" in entry.value for entry in at.markdown)


def test_every_column_of_the_benchmark_has_a_plain_name_and_an_explanation() -> None:
    columns = table._read()["columns"][1:]
    assert set(columns) <= set(table.TERMS)
    assert all(term.means.endswith(".") and term.name != term.symbol for term in table.TERMS.values())


# ---- training


def test_a_training_ends_with_curves_maps_and_a_network_in_the_sidebar(
    open_page: Page, quick: list[Any], folder: Path
) -> None:
    at = open_page()
    before = on_offer()
    at.number_input(key="train-images").set_value(40)
    at.number_input(key="epochs").set_value(EPOCHS)
    train(at)
    assert (quick[0].arch, quick[0].backbone, quick[0].count, quick[0].epochs) == ("lfi", "resnet8", 40, EPOCHS)
    assert "epoch <b>2</b> of 3" in html(at)
    (chart,) = at.get("plotly_chart")
    assert f"Loss and accuracy over {EPOCHS} of {EPOCHS} epochs" in str(chart.proto)
    assert html(at).count('alt="Attention heatmap of preview') == 8
    assert 'after epoch 2"' in html(at)
    assert set(on_offer()) - set(before) == {"LFI-CAM, resnet8, digits · 70.0% right"}
    at.slider(key=next(s.key for s in at.slider if s.label == "After epoch")).set_value(1).run()
    assert 'after epoch 1"' in html(at)


def test_the_trained_network_is_explained_on_a_digit_with_one_click(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "load_model", lambda name, **_: load_tiny(name, weights="random"))
    at = open_page()
    at.slider(key="board-opacity").set_value(0.3).run()
    train(at).button(key="use").click().run()
    settle(at)
    assert at.title[0].value == "Compare"
    chosen, sample = (next(box for box in at.selectbox if box.label == label) for label in ("Model", "Sample photo"))
    assert chosen.value.startswith("mine-lfi-") and sample.value == "digit-0"
    assert at.query_params["model"] == chosen.value
    assert at.slider(key="opacity").value == 0.5, "each page has an opacity of its own"


def test_the_baseline_has_no_maps_of_its_own(open_page: Page, quick: list[Any]) -> None:
    at = train(open_page(arch="baseline"))
    assert "The baseline has no attention of its own" in html(at)
    assert "Attention heatmap of preview" not in html(at)


def trains_without_end(open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page after the first epoch of a training that only a cancel ends."""

    def endless(settings: Any, *, progress: Any, on_epoch: Any) -> None:
        quick.append(settings)
        learn(settings, on_epoch, 1)
        while True:
            progress(1, EPOCHS)
            time.sleep(0.01)

    monkeypatch.setattr(training, "train", endless)
    at = open_page()
    at.button(key="train").click().run()
    until = time.monotonic() + PATIENCE
    while "after epoch 1" not in html(at):
        assert time.monotonic() < until
        at.run()
    return at


def test_a_cancelled_training_keeps_the_best_network_and_can_go_on(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = training.train
    at = trains_without_end(open_page, quick, monkeypatch)
    assert at.button(key="train").disabled
    at.button(key="leave-training").click().run()
    settle(at)
    assert "Cancelled after 1 of 5 epochs. The best network is kept." in html(at)
    assert any("30.0% right" in option for option in on_offer())
    monkeypatch.setattr(training, "train", finished)
    button(at, "Go on").click().run()
    settle(at)
    assert "Cancelled" not in html(at) and any("70.0% right" in option for option in on_offer())


def test_a_page_that_is_loaded_again_finds_its_training(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch, own_browser: Any
) -> None:
    trains_without_end(open_page, quick, monkeypatch)
    own_browser.reload()
    again = open_page(wait=False)
    assert "after epoch 1" in html(again) and again.button(key="train").disabled
    again.button(key="leave-training").click().run()
    settle(again)
    assert "Cancelled after 1 of 5 epochs. The best network is kept." in html(again)
    assert len(quick) == 1, "it was begun once"


def test_one_training_at_a_time_in_all_tabs_of_a_browser(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, other = threading.Event(), Jobs()
    own = Jobs(tabs=lambda: (own, other))
    monkeypatch.setattr(compute, "visitor_jobs", lambda: own)
    other.start("training1", lambda job: gate.wait(PATIENCE))
    at = open_page()
    at.button(key="train").click().run()
    assert any("Another tab of yours is training" in error.value for error in at.error)
    gate.set()
    other.close()
    train(at)
    assert len(quick) == 1


def test_going_on_counts_as_a_training_and_waits_for_the_last_batch_of_another_one(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, other = threading.Event(), Jobs()
    own = Jobs(tabs=lambda: (own, other))
    monkeypatch.setattr(compute, "visitor_jobs", lambda: own)
    finished = training.train

    def diverge(settings: Any, *, progress: Any, on_epoch: Any) -> None:
        raise TrainingError("the loss is no finite number any more")

    monkeypatch.setattr(training, "train", diverge)
    at = train(open_page())
    monkeypatch.setattr(training, "train", finished)
    job = other.start("training1", lambda job: gate.wait(PATIENCE))
    button(at, "Go on").click().run()
    assert any("Another tab of yours is training" in error.value for error in at.error)
    job.cancel()
    button(at, "Go on").click().run()
    assert any("Another tab of yours is training" in error.value for error in at.error), "it may still write"
    assert not quick
    gate.set()
    assert job.wait(PATIENCE)
    button(at, "Go on").click().run()
    settle(at)
    assert not at.error and len(quick) == 1


def test_a_training_that_failed_is_found_when_the_page_is_loaded_again(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch, own_browser: Any
) -> None:
    def diverge(settings: Any, *, progress: Any, on_epoch: Any) -> None:
        learn(settings, on_epoch, 1)
        raise TrainingError("the loss is no finite number any more")

    monkeypatch.setattr(training, "train", diverge)
    train(open_page())
    own_browser.reload()
    again = open_page()
    assert any("no finite number any more" in error.value for error in again.error)
    assert button(again, "Go on")


def test_cancelled_before_the_first_epoch_there_is_no_network(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(settings: Any, *, progress: Any, on_epoch: Any) -> None:
        while True:
            progress(0, EPOCHS)
            time.sleep(0.01)

    monkeypatch.setattr(training, "train", endless)
    at = open_page()
    before = on_offer()
    at.button(key="train").click().run()
    at.button(key="leave-training").click().run()
    settle(at)
    assert "Cancelled in the first epoch: there is no network yet." in html(at)
    assert on_offer() == before


def test_a_training_that_fails_says_why_and_keeps_what_was_learnt(
    open_page: Page, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(settings: Any, *, progress: Any, on_epoch: Any) -> None:
        learn(settings, on_epoch, 1)
        raise TrainingError("the loss is no finite number any more in epoch 2")

    monkeypatch.setattr(training, "train", diverge)
    at = train(open_page())
    assert any("no finite number any more" in error.value and "stays" in error.value for error in at.error)
    assert any("30.0% right" in option for option in on_offer())


def test_an_error_of_a_zip_says_nothing_of_where_it_lies(
    open_page: Page, quick: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, **options: Any) -> TrainingData:
        raise TrainingError(f"{name} holds 1 folders with images, at least 2 are needed")

    monkeypatch.setattr(training, "open_data", refuse)
    at = train(upload_zip(open_page(**{"train-data": "Zip"}), PETS))
    (error,) = at.error
    assert "Pets holds 1 folders" in error.value and str(folder) not in error.value


def test_a_folder_that_does_not_exist_is_named(open_page: Page) -> None:
    at = open_page(**{"train-data": "Folder"})
    at.button(key="train").click().run()
    assert any("Name a folder" in error.value for error in at.error)
    at.text_input(key="train-folder").set_value("/no/such/folder").run()
    train(at)
    assert any("/no/such/folder" in error.value for error in at.error)


def test_a_network_is_trained_on_apples_gpu(open_page: Page, apple: Ledger) -> None:
    at = open_page()
    assert html(at).count("50.0 % right") == 3
    at.number_input(key="train-images").set_value(32)
    at.number_input(key="epochs").set_value(1)
    train(at)
    run = at.session_state["_training"]
    assert [report.epoch for report in run.reports] == [1] and run.kept is not None
    assert not at.error
    assert apple.ops


def test_two_epochs_on_a_few_images(open_page: Page, jobs: Jobs) -> None:
    """The real thing."""
    at = open_page()
    at.number_input(key="train-images").set_value(32)
    at.number_input(key="epochs").set_value(2)
    train(at)
    run = at.session_state["_training"]
    assert [report.epoch for report in run.reports] == [1, 2]
    assert isinstance(run.previews, ImageSet) and run.kept is not None
    assert html(at).count('alt="Attention heatmap of preview') == 8


# ---- zips, and folders of the machine


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, name in enumerate(names):
            picture = io.BytesIO()
            Image.new("RGB", (40, 40), (60 * (number % 4), 90, 30)).save(picture, "PNG")
            archive.writestr(name, picture.getvalue() if name.endswith(".png") else b"words")
    return buffer.getvalue()


PETS = zipped("pets/cats/1.png", "pets/cats/2.png", "pets/dogs/1.png", "pets/dogs/2.png", "pets/notes.txt")


@pytest.fixture
def room() -> Iterator[None]:
    """The app as others can reach it."""
    config.set_option("server.address", "0.0.0.0")
    yield
    config.set_option("server.address", "127.0.0.1")


def upload_zip(at: AppTest, data: bytes) -> AppTest:
    zips = [entry for entry in at.file_uploader if entry.key == "zip-training"]
    zips[0].upload("pets.zip", data, "application/zip").run()
    return settle(at)


@pytest.mark.parametrize("place", ["alone", "room"])
def test_photos_in_a_zip_are_trained_on(
    open_page: Page, quick: list[Any], folder: Path, place: str, request: pytest.FixtureRequest
) -> None:
    if place == "room":
        request.getfixturevalue("room")
    at = upload_zip(open_page(**{"train-data": "Zip"}), PETS)
    assert "4 images in pets.zip. Files left out, being no image: 1." in html(at)
    train(at)
    data = Path(quick[0].data)
    assert data.is_relative_to(folder / "photos") and data.name == "pets"
    assert {path.name for path in data.iterdir()} == {"cats", "dogs"}
    before = list((folder / "photos").iterdir())
    at.run()
    assert list((folder / "photos").iterdir()) == before, "unpacked once"


@pytest.mark.parametrize(
    ("name", "called"),
    [("digits.zip", "digits"), ("../my cats.zip", "my cats"), (".zip", "_zip"), ("é" * 300, "é" * 50), ("", "photos")],
)
def test_the_folder_of_a_zip_is_called_as_the_zip(folder: Path, name: str, called: str) -> None:
    archive = zipped("cats/1.png", "dogs/1.png")  # once: it holds the time at which it was made
    unpacked = photo._unpacked(archive, name)
    assert isinstance(unpacked, Unpacked)
    assert unpacked.folder.name == called and unpacked.folder.parent.parent == folder / "photos"
    assert photo._unpacked(archive, "another.zip") == unpacked


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"no zip", "no zip"), (zipped("../cats/1.png"), "leads out"), (zipped("notes.txt"), "holds no image")],
)
def test_a_zip_that_is_refused_leaves_nothing(open_page: Page, folder: Path, data: bytes, words: str) -> None:
    at = upload_zip(open_page(**{"train-data": "Zip"}), data)
    assert any(words in error.value for error in at.error)
    assert list((folder / "photos").iterdir()) == []
    at.button(key="train").click().run()
    assert any("Nothing to train on" in error.value for error in at.error)


def test_zips_of_a_visit_together_have_a_limit(
    open_page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch, room: None
) -> None:
    monkeypatch.setattr(limits, "ROOM", replace(limits.ROOM, unpacked_bytes=600))
    at = upload_zip(open_page(**{"train-data": "Zip"}), PETS)
    assert not at.error
    before = list((folder / "photos").rglob("*"))
    upload_zip(at, PETS)
    assert not at.error and "4 images in pets.zip. Files left out, being no image: 1." in html(at)
    assert list((folder / "photos").rglob("*")) == before, "the same zip takes no more room"
    upload_zip(at, zipped("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png"))
    assert any("unpacks to" in error.value and "Earlier zips of this visit take" in error.value for error in at.error)
    assert len(list((folder / "photos").iterdir())) == 1


def test_a_folder_of_the_machine_is_not_named_where_others_reach_the_app(
    open_page: Page, quick: list[Any], folder: Path, room: None
) -> None:
    secret = folder / "secret"
    secret.mkdir()
    at = open_page(**{"train-data": "Folder", "train-folder": str(secret)})
    assert any("no folder is" in info.value and "zip" in info.value for info in at.info)
    assert not any(entry.key == "train-folder" for entry in at.text_input)
    assert "secret" not in html(at) and "train-folder" not in at.query_params
    sources = next(entry for entry in at.button_group if entry.key == "train-data")
    assert list(sources.options) == ["Digits", "Zip"] and sources.value == "Digits"
    train(at)
    assert [settings.data for settings in quick] == ["digits"]


def test_a_training_in_a_room_uses_so_many_images(open_page: Page, quick: list[Any], room: None) -> None:
    at = open_page(**{"train-images": "20000"})
    at.button(key="train").click().run()
    assert any("At most 5,000 images are used" in error.value for error in at.error)
    assert not quick


# ---- the training that the page offers first


def offered(open_page: Page, quick: list[Any]) -> Any:
    """The settings that a first click on "Train" trains with."""
    train(open_page())
    return quick[-1]


def test_the_first_training_is_short(open_page: Page, quick: list[Any]) -> None:
    settings = offered(open_page, quick)
    assert (settings.data, settings.arch, settings.epochs, settings.count) == ("digits", "lfi", 5, 4000)


@pytest.mark.slow
def test_the_first_training_ends_where_a_network_is_worth_looking_at(
    open_page: Page, quick: list[Any], tmp_path: Path
) -> None:
    settings = replace(offered(open_page, quick), out=tmp_path / "run", device="cpu")
    assert really_train(settings).card["accuracy"] >= 0.9


# ---- to be taken along


def test_the_board_is_taken_along_as_a_script_that_gives_its_maps(
    open_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = opened(open_page(**{"from": "4"}), "lfi", monkeypatch)
    names: dict[str, Any] = {}
    exec(compile(given.script, "script", "exec"), names)
    bundle, seen = given.bundle, names["seen"]
    places = [(key, place, f"held-out-{4 + place}") for key in seen for place in range(board.SHOWN)]
    assert {name for name in bundle if name.startswith("maps/")} == {
        f"maps/{key}-{stem}.npy" for key, _, stem in places
    }
    rows = list(csv.DictReader(io.StringIO(bundle["looks.csv"].decode())))
    for (key, place, stem), row in zip(places, rows, strict=True):
        look = seen[key][place]
        np.testing.assert_allclose(array(bundle[f"maps/{key}-{stem}.npy"]), look.map, rtol=1e-5, atol=1e-7)
        assert (row["network"], row["says"]) == (key, look.prediction.label)
        assert float(row["probability"]) == pytest.approx(look.prediction.probability, rel=1e-5)
        share = share_on_object(look.map, array(bundle[f"masks/{stem}.npy"]))
        assert float(row["on_object"]) == pytest.approx(share, rel=1e-5)
    assert {"README.txt", "settings.json", "facts.json", "script.py", "images/held-out-4.png"} < {*bundle}
    assert not given.command, "no training, no command"
    again = opened(open_page(**settings.read(given.settings, PAGES).choices), "lfi", monkeypatch)
    assert again.script == given.script
    assert all(again.bundle[name] == content for name, content in bundle.items() if name.endswith(".npy"))


def test_an_image_of_ones_own_is_taken_along_by_its_name(
    open_page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = open_page(images="Mine")
    at.file_uploader[-1].upload("seven.png", encoded(noise()), "image/png").run()
    given = opened(settle(at), "lfi", monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seven.png").write_bytes(encoded(noise()))
    names: dict[str, Any] = {}
    exec(compile(given.script, "script", "exec"), names)
    for key, (look,) in names["seen"].items():
        np.testing.assert_allclose(array(given.bundle[f"maps/{key}-mine.npy"]), look.map, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_training_is_taken_along_as_a_script_and_a_command_that_train_the_same(
    open_page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = open_page(arch="abn")
    at.number_input(key="train-images").set_value(40)
    at.number_input(key="epochs").set_value(2)
    at.number_input(key="train-seed").set_value(3)
    given = opened(train(at), "lfi", monkeypatch)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(given.script, "script", "exec"), names)
    untimed = [name for name in LOGGED if name != "seconds"]
    rows = list(csv.DictReader(io.StringIO(given.bundle["training.csv"].decode())))
    assert [[float(row[name]) for name in untimed] for row in rows] == [
        [report.row()[name] for name in untimed] for report in names["reports"]
    ]
    best = next(report for report in reversed(names["reports"]) if report.best)
    np.testing.assert_array_equal(array(given.bundle["attention.npy"]), best.attention)
    done = run(*shlex.split(given.command)[3:])
    assert done.exit_code == 0, done.stderr
    trained_by_shell = (tmp_path / "runs" / "abn-seed3" / "best.safetensors").read_bytes()
    assert trained_by_shell == (tmp_path / "run" / "best.safetensors").read_bytes()
