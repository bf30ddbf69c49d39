"""Weights of a stranger's: read without running code and within bounds, or refused with the reason."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cam_core.models.load import classes_of, load_model
from cam_core.models.zoo.foreign import ENDINGS, read_foreign
from cam_core.models.zoo.labels import read_labels
from cam_core.models.zoo.names import architecture_names, count_parameters, official_file, pretrained_names
from cam_core.types import ModelError, WeightsError

MOST = 1 << 20
NAME = "timm:test_resnet"


def state(classes: int = 3) -> dict[str, Tensor]:
    import timm

    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=classes).state_dict()


def saved(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_weights_are_read_as_they_were_written(tmp_path: Path, ending: str) -> None:
    written = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    read = read_foreign(saved(tmp_path / f"w{ending}", written), MOST)
    assert read.keys() == written.keys() and all(torch.equal(read[name], written[name]) for name in written)


def endless(path: Path) -> None:
    """Four bytes that say they are 40 MB."""
    torch.save({"w": torch.zeros(1).expand(10_000_000)}, path)


def nested(path: Path) -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    torch.save(content, path)


def packed(path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def scripted(path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1)).save(str(path))


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no zip": (lambda path: path.write_bytes(b"no weights"), "is damaged, or was not written by torch.save"),
    "a plain pickle": (lambda path: path.write_bytes(pickle.dumps({"w": 1})), "was not written by torch.save"),
    "too large": (lambda path: torch.save({"w": torch.zeros(1 << 19)}, path), r"has 2\.0 MB; at most 1\.0 MB"),
    "endless": (endless, r"the weights in w\.pt have 38\.1 MB"),
    "nested": (nested, "holds no state dict that can be read"),
    "packed": (packed, "is packed"),
    "a script": (scripted, "is damaged, or no weights file|is packed"),
    "sparse": (lambda path: torch.save({"w": torch.eye(3).to_sparse()}, path), "plain tensors, such as w"),
    "without values": (lambda path: torch.save({"w": torch.zeros(3, device="meta")}, path), "plain tensors, such as w"),
    "complex": (lambda path: torch.save({"w": torch.zeros(3, dtype=torch.complex64)}, path), "plain tensors"),
    "a whole network": (lambda path: torch.save(torch.nn.Linear(1, 1), path), "holds more than tensors"),
    "numbers": (lambda path: torch.save({"w": 3}, path), "holds no weights"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_state_dict_or_too_much_is_refused(tmp_path: Path, kind: str) -> None:
    make, reason = BAD[kind]
    make(tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=reason):
        read_foreign(tmp_path / "w.pt", MOST)


def test_another_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"w\.pkl has another ending than \.safetensors, \.pt, \.pth, \.bin"):
        read_foreign(tmp_path / "w.pkl", MOST)


class Command:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.file}",)


def test_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"w": Command(tmp_path / "ran")}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"asks to run (posix|nt)\.system, which was refused"):
        read_foreign(tmp_path / "w.pt", MOST)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("classes", [3, 1000])
def test_the_number_of_classes_is_that_of_the_weights(classes: int) -> None:
    assert classes_of(NAME, state(classes), "w.pt") == classes


def test_weights_of_another_network_or_with_nan_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"the weights in w\.pt do not fit this network: \d+ "):
        classes_of("resnet18", state(), "w.pt")
    broken = state()
    next(iter(broken.values())).fill_(float("nan"))
    with pytest.raises(WeightsError, match="not finite"):
        classes_of(NAME, broken, "w.pt")


def test_labels_given_are_those_of_the_network(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors", state())
    assert load_model(NAME, weights=path, labels=["cat", "dog", "eel"]).labels == ["cat", "dog", "eel"]
    with pytest.raises(ModelError, match="has 3 classes here, and 2 labels were given"):
        load_model(NAME, weights=path, labels=["cat", "dog"])


def test_labels_are_lines() -> None:
    assert read_labels("\ufeffKätzchen\r\n dog \n\n".encode(), 2) == ("Kätzchen", "dog")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"cat\ndog\neel\n", "tells apart 2 classes, and the labels have 3 lines"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"\ncat", "line 1 of the labels is empty"),
        (b"cat\n" + b"d" * 201, "line 2 of the labels is empty, or longer than 200"),
    ],
)
def test_other_labels_are_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        read_labels(text, 2)


def test_names_are_those_of_networks_that_are_there() -> None:
    assert {"timm:resnet18.a1_in1k", "timm:convnext_tiny.fb_in1k"} <= set(pretrained_names())
    assert not any("dinov2" in name for name in pretrained_names()), "features, not classes"
    assert "vgg13" not in architecture_names(), "the bare name is timm's, which has it under its own"
    assert {"resnet18", "shufflenet_v2_x0_5", "timm:resnet18", "efficientnet_lite0"} <= set(architecture_names())


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5", "timm:test_resnet", "efficientnet_lite0"])
def test_weights_are_counted_without_them(name: str) -> None:
    module = load_model(name, weights="random", device="cpu").module
    assert count_parameters(name) == sum(weight.numel() for weight in module.parameters())


def test_a_name_that_nobody_knows_has_no_size() -> None:
    with pytest.raises(ModelError, match="no network 'timm:resnet1000' in timm or torchvision"):
        count_parameters("timm:resnet1000")


def test_the_official_file_is_here_once_it_is_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cam_core.models.zoo import timm_models

    monkeypatch.setattr(timm_models, "try_to_load_from_cache", lambda repository, file: None)
    before = official_file("timm:resnet18.a1_in1k")
    assert (before.source, before.here) == ("timm/resnet18.a1_in1k", False)
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(timm_models, "try_to_load_from_cache", lambda repository, file: str(tmp_path / file))
    assert official_file("timm:resnet18.a1_in1k").here
