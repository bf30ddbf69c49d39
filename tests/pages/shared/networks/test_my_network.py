"""My network …: one of timm's by name, or a checkpoint; what cannot be used leaves the network before it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from cam_core import load_model
from cam_core.images import Preprocessing
from cam_core.models import load
from cam_core.models.brought.folder import check_folder
from cam_core.types import ModelError
from pages.runtime import compute, limits
from pages.shared import style
from pages.shared.networks import dialog, kept
from tests.pages.app_runs import BUNDLED, Open, heatmaps, html, load_tiny, settle
from tests.tiny import SIZE, tiny

NAME = "timm:test_resnet"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: None) -> Path:
    """The visitor's; small networks of timm's are real."""

    def load(name: str, **options: Any) -> Any:
        return (load_model if name.startswith("timm:") else load_tiny)(name, **options)

    monkeypatch.setattr(compute, "load_model", load)
    monkeypatch.setattr(compute, "visitor_folder", lambda: tmp_path)
    return tmp_path


def checkpoint(classes: int = 3, network: str = "test_resnet") -> bytes:
    torch.manual_seed(0)
    file = io.BytesIO()
    torch.save(timm.create_model(network, num_classes=classes).state_dict(), file)
    return file.getvalue()


def opened(at: AppTest, source: str = "Checkpoint") -> AppTest:
    at.button(key="my-network").click().run()
    at.segmented_control(key="network-source").set_value(source).run()
    return at


def upload(
    at: AppTest, data: bytes, architecture: str = NAME, labels: bytes | None = None, file: str = "pets.pt"
) -> AppTest:
    opened(at)
    at.file_uploader(key="network-file").upload(file, data)
    if labels is not None:
        at.file_uploader(key="network-labels").upload("labels.txt", labels)
    at.selectbox(key="network-architecture").set_value(architecture).run()
    at.button(key="network-use").click().run()
    return settle(at)


def box(at: AppTest, label: str) -> Any:
    return next(entry for entry in at.selectbox if entry.label == label)


def test_a_checkpoint_is_explained_with_its_labels(open_app: Open) -> None:
    at = upload(open_app(), checkpoint(), labels=b"cat\ndog\neel\n")
    model = box(at, "Model")
    assert model.value.startswith("upload-timm:test_resnet-") and "pets.pt · test_resnet" in model.options
    assert "timm:test_resnet, 3 classes, your labels · uploaded in this visit" in html(at)
    assert sorted(option.split(" · ")[0] for option in box(at, "Class to explain").options) == ["cat", "dog", "eel"]
    assert len(heatmaps(at)) == 2 and not at.error
    assert not [button for button in at.button if button.key == "network-use"], "the dialog is closed"


@pytest.mark.parametrize(("labels", "sides"), [(b"sick\n", {"not sick", "sick"}), (None, {"negative", "positive"})])
def test_one_output_has_two_sides(open_app: Open, labels: bytes | None, sides: set[str]) -> None:
    at = upload(open_app(methods=["Grad-CAM"]), checkpoint(1), labels=labels)
    options = box(at, "Class to explain").options
    assert {option.split(" · ")[0] for option in options} == sides
    shares = [float(option.rsplit("· ", 1)[1].removesuffix(" %")) for option in options]
    assert sum(shares) == pytest.approx(100, abs=0.11) and min(shares) > 0
    assert "timm:test_resnet, one output, " in html(at) and heatmaps(at) == ["Grad-CAM"]
    assert "What the network returns" in box(at, "What to explain").options


def test_without_labels_classes_have_numbers(open_app: Open) -> None:
    at = upload(open_app(), checkpoint(4))
    classes = {option.split(" · ")[0] for option in box(at, "Class to explain").options}
    assert classes == {"class 0", "class 1", "class 2", "class 3"}


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (b"no weights", {}, "is damaged, or was not written by torch.save"),
        (checkpoint(network="test_vit"), {}, "these are not weights of timm:test_resnet: "),
        (checkpoint(), {"architecture": "resnet18"}, "these are not weights of resnet18: 53 of its weights are not in"),
        (checkpoint(), {"labels": b"cat\ndog"}, "tells apart 3 classes, and the labels have 2 lines"),
        (checkpoint(), {"architecture": "timm:gemma4_vit_167m"}, "returns features, not class scores"),
        (checkpoint(), {"file": "pets.pth"}, ""),
    ],
    ids=["damaged", "another network", "wrong architecture", "labels", "features", "good"],
)
def test_a_bad_file_is_a_sentence_and_the_network_before_stays(
    open_app: Open, folder: Path, data: bytes, options: dict[str, Any], reason: str
) -> None:
    at = upload(open_app(), data, **options)
    if not reason:
        assert not at.error
        return
    (error,) = at.error
    assert "This network cannot be used" in error.value and reason.lower() in error.value.replace("\\", "").lower()
    assert "The network before it stays" in error.value
    assert box(at, "Model").value == BUNDLED and len(heatmaps(at)) == 2
    assert not any(folder.glob("brought/*")), "nothing of it is left"


def test_a_checkpoint_beyond_the_limit_is_refused(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    small = limits.Limits(checkpoint_bytes=1 << 20)
    monkeypatch.setattr(kept, "limits", lambda: small)
    at = upload(open_app(), checkpoint() + bytes(1 << 20))
    assert "at most 1.0 MB are read" in at.error[0].value
    assert box(at, "Model").value == BUNDLED


def test_a_network_too_large_to_compute_with_is_refused_before_it_is_made(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "limits", lambda: limits.ROOM)
    at = upload(open_app(), checkpoint(), architecture="regnet_y_128gf")
    assert r"The weights of regnet\_y\_128gf have 2,459 MB, and at most 600 MB" in at.error[0].value


def test_of_more_networks_than_are_agreed_the_oldest_leaves(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "limits", lambda: limits.Limits(networks=2))
    first, second, third = (kept.keep_uploaded(checkpoint(classes), "pets.pt", NAME) for classes in (2, 3, 4))
    assert [network.key for network in kept.kept()] == [second, third]
    at = open_app(model=first)
    assert "uploaded checkpoint" in at.info[0].value and box(at, "Model").value == BUNDLED


def test_a_random_network_of_timm_says_that_it_is_untrained(open_app: Open) -> None:
    at = opened(open_app(), "By name")
    at.segmented_control(key="network-weights").set_value("Random (untrained)")
    at.selectbox(key="network-name").set_value("timm:test_resnet.r160_in1k").run()
    assert "It will have learnt nothing" in html(at)
    at.button(key="network-use").click().run()
    settle(at)
    assert box(at, "Model").value == "timm:test_resnet.r160_in1k"
    assert "It has learnt nothing: its maps are a control" in html(at) and len(heatmaps(at)) == 2
    assert at.query_params["model"] == "timm:test_resnet.r160_in1k" and at.query_params["weights"] == "random"


def test_a_network_by_name_says_what_would_be_downloaded(open_app: Open) -> None:
    at = opened(open_app(), "By name")
    at.selectbox(key="network-name").set_value("timm:resnet18.a1_in1k").run()
    assert "11.7 M weights, 45 MB: not on this machine. Downloaded from timm/resnet18.a1_in1k" in html(at)


def test_a_network_that_cannot_be_explained_is_refused(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hiera, if it did not say in the order of which windows its tokens are."""
    monkeypatch.setattr("cam_core.models.split.views._windows", lambda _part: {})
    at = opened(open_app(), "By name")
    at.selectbox(key="network-name").set_value("timm:hiera_tiny_224.mae_in1k_ft_in1k").run()
    at.button(key="network-use").click().run()
    assert "This network cannot be used" in at.error[0].value and "work on tokens" in at.error[0].value
    assert box(at, "Model").value == BUNDLED


def test_a_link_with_a_network_of_timm_brings_it(open_app: Open) -> None:
    at = open_app(model="timm:test_resnet.r160_in1k", weights="random")
    assert box(at, "Model").value == "timm:test_resnet.r160_in1k" and len(heatmaps(at)) == 2
    assert not at.info


@pytest.mark.parametrize("name", ["timm:resnet1000", "timm:resnet18.bogus", "timm:resnet18."])
def test_a_link_with_a_name_that_timm_does_not_know_says_so(open_app: Open, name: str) -> None:
    at = open_app(model=name)
    assert f"The link asks for the network “{style.plain(name)}”" in at.info[0].value and len(at.info) == 1
    assert box(at, "Model").value == BUNDLED


def test_a_page_loaded_again_finds_the_upload_and_another_machine_says_what_is_missing(
    open_app: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = upload(open_app(), checkpoint(), labels=b"cat\ndog\neel")
    link = dict(at.query_params)
    again = open_app(**link)
    assert box(again, "Model").value == box(at, "Model").value and not again.info
    assert "your labels" in html(again)
    (folder / "elsewhere").mkdir()
    monkeypatch.setattr(compute, "visitor_folder", lambda: folder / "elsewhere")
    other = open_app(**link)
    (notice,) = other.info
    assert "uploaded checkpoint of timm:test\\_resnet" in notice.value and "stays with its visitor" in notice.value
    assert box(other, "Model").value == BUNDLED and "model" not in other.query_params


def test_the_dialog_stays_open_while_the_page_is_drawn_again(open_app: Open) -> None:
    at = opened(open_app())
    at.run()
    assert at.button(key="network-use").disabled


@pytest.mark.parametrize("page", ["pages/channels/page.py", "pages/deletion/page.py"])
def test_every_page_has_the_network(open_app: Open, page: str) -> None:
    key = kept.keep_uploaded(checkpoint(), "../../pets*.pt", NAME, b"cat\ndog\neel")
    at = open_app(page=page, model=key)
    assert box(at, "Model").value == key and "pets_.pt · test_resnet" in box(at, "Model").options
    assert not at.error


# A folder of the machine


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as transformers saves it; what builds the network of it is a tiny one of ours."""

    def open_tiny(folder: Path) -> Any:
        check_folder(folder)
        return tiny("plain"), Preprocessing(SIZE, fit="stretch")

    monkeypatch.setattr(load, "open_folder", open_tiny)
    folder = tmp_path / "pets"
    folder.mkdir()
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    for name in ("config", "preprocessor_config"):
        (folder / f"{name}.json").write_text("{}")
    monkeypatch.setattr(compute, "load_model", load_model)
    return folder


def use_folder(at: AppTest, path: Path) -> AppTest:
    opened(at, "Folder")
    at.text_input(key="network-folder").set_value(str(path)).run()
    at.button(key="network-use").click().run()
    return settle(at)


def test_a_folder_of_the_machine_is_explained_and_a_link_opens_it_again(open_app: Open, pets: Path) -> None:
    at = use_folder(open_app(model="lfi_digits"), pets)
    assert box(at, "Model").value == f"folder:{pets}" and len(heatmaps(at)) == 2
    assert "pets, 5 classes, its own labels · read from a folder of this machine" in html(at)
    assert not [entry for entry in at.selectbox if entry.label == "Weights"], "there is no untrained one"
    assert at.session_state["_scene"].classifier.preprocessing.fit == "stretch"
    (pets.parent / "brought").rename(pets.parent / "of another visit")
    again = open_app(model=f"folder:{pets}")
    assert box(again, "Model").value == f"folder:{pets}" and not again.info


def test_a_folder_that_cannot_be_used_is_a_sentence(open_app: Open, pets: Path) -> None:
    (pets / "model.safetensors").rename(pets / "pytorch_model.bin")
    at = use_folder(open_app(model="lfi_digits"), pets)
    assert "is a pickle, which can hold code" in at.error[0].value.replace("\\", "")
    assert box(at, "Model").value == "lfi_digits"


def test_where_others_reach_the_app_no_folder_is_opened(
    open_app: Open, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = kept.keep_folder(str(pets))
    for module in (kept, dialog):
        monkeypatch.setattr(module, "limits", lambda: limits.ROOM)
    at = open_app(model="lfi_digits")
    at.button(key="my-network").click().run()
    assert at.segmented_control(key="network-source").options == ["By name", "Checkpoint"]
    assert not [option for option in box(at, "Model").options if "pets" in option], "not even one that was kept"
    with pytest.raises(ModelError, match="no folder of the machine that it runs on is opened"):
        kept.keep_folder(str(pets))
    at = open_app(model=key)
    assert "no folder of the machine" in at.info[0].value and str(pets.parent) not in at.info[0].value.split("“")[0]


# An ONNX file


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny network of ours in place of what converts the file."""

    def open_tiny(path: Path) -> Any:
        if path.read_bytes() == b"damaged":
            raise ModelError(f"{path.name} is damaged, or no ONNX file")
        return tiny("plain"), Preprocessing(SIZE)

    monkeypatch.setattr(load, "open_onnx", open_tiny)
    monkeypatch.setattr(compute, "load_model", load_model)


def upload_onnx(at: AppTest, data: bytes, labels: bytes | None = None) -> AppTest:
    opened(at, "ONNX file")
    at.file_uploader(key="network-onnx").upload("../pets.onnx", data)
    if labels is not None:
        at.file_uploader(key="network-labels").upload("labels.txt", labels)
    at.run()
    at.button(key="network-use").click().run()
    return settle(at)


@pytest.mark.usefixtures("converter")
def test_an_onnx_file_is_explained_with_its_labels_and_stays_with_its_visitor(
    open_app: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = upload_onnx(open_app(model="lfi_digits"), b"network", b"ant\nbee\ncat\ndog\neel\n")
    key = box(at, "Model").value
    assert key.startswith("onnx-pets.onnx-") and "pets.onnx · 0.0 M weights" in box(at, "Model").options
    assert "5 classes, your labels · ONNX file, uploaded in this visit" in html(at) and len(heatmaps(at)) == 2
    assert sorted(option.split(" · ")[0] for option in box(at, "Class to explain").options)[0] == "ant"
    assert not [entry for entry in at.selectbox if entry.label == "Weights"], "there is no untrained one"
    link = dict(at.query_params)
    assert box(open_app(**link), "Model").value == key
    (folder / "elsewhere").mkdir()
    monkeypatch.setattr(compute, "visitor_folder", lambda: folder / "elsewhere")
    other = open_app(**link | {"model": [key]})
    assert "with an uploaded ONNX file pets.onnx (checksum" in other.info[0].value.replace("\\", "")


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize(
    ("data", "labels", "reason"),
    [
        (b"damaged", None, "ets.onnx is damaged, or no ONNX file. The network before it stays"),
        (b"network", b"cat\ndog", "tells apart 5 classes, and the labels have 2 lines"),
    ],
)
def test_an_onnx_file_that_cannot_be_used_is_a_sentence(
    open_app: Open, folder: Path, data: bytes, labels: bytes | None, reason: str
) -> None:
    at = upload_onnx(open_app(model="lfi_digits"), data, labels)
    assert reason in at.error[0].value.replace("\\", "") and box(at, "Model").value == "lfi_digits"
    assert not any(folder.glob("brought/*")), "nothing of it is left"


@pytest.mark.usefixtures("converter")
def test_where_others_reach_the_app_no_onnx_file_is_computed_with(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = kept.keep_onnx(b"network", "pets.onnx")
    for module in (kept, dialog):
        monkeypatch.setattr(module, "limits", lambda: limits.ROOM)
    at = open_app(model="lfi_digits")
    assert not [option for option in box(at, "Model").options if "pets" in option], "not even one that was kept"
    with pytest.raises(ModelError, match="no ONNX file is computed with"):
        kept.keep_onnx(b"network", "pets.onnx")
    at = open_app(model=key)
    assert "ONNX file pets.onnx" in at.info[0].value.replace("\\", "") and box(at, "Model").value == BUNDLED


def test_a_saved_map_names_the_checkpoint(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: dict[str, Any] = {}

    def button(*_: Any, file_name: str, data: Any, **__: Any) -> None:
        saved[file_name] = data

    monkeypatch.setattr("streamlit.download_button", button)
    open_app(model=kept.keep_uploaded(checkpoint(), "pets.pt", NAME), methods=["Grad-CAM"])
    picture = next(data() for name, data in saved.items() if name.startswith("grad-cam"))
    with Image.open(io.BytesIO(picture)) as opened_picture:
        facts = json.loads(opened_picture.text["Description"])
    assert (facts["network"], facts["weights"]) == (NAME, "trained: pets.pt")
