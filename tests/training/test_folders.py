"""Folders of photos, and data that does not exist or cannot be had."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from PIL import Image

from cam_core.training import BUILT_IN, TrainingError, open_data
from cam_core.types import ImageError


def test_a_fifth_of_every_class_is_held_out(photos: Path) -> None:
    data = open_data(str(photos), size=16, seed=1)
    assert data.classes == ("blue", "red")
    assert np.bincount(data.train.labels).tolist() == [16, 16]
    assert np.bincount(data.held_out.labels).tolist() == [4, 4]
    together = {image.tobytes() for image in (*data.train.images, *data.held_out.images)}
    assert len(together) == 40
    other = open_data(str(photos), size=16, seed=2)
    assert not np.array_equal(data.held_out.images, other.held_out.images)


def test_a_folder_is_taken_for_no_set_that_has_a_name_of_its_own(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / BUILT_IN)
    assert open_data(str(tmp_path / BUILT_IN), size=16).name == "folder digits"


def test_a_folder_that_is_split_already_stays_so(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set" / "train")
    shutil.copytree(photos, tmp_path / "set" / "val")
    for file in (tmp_path / "set" / "val").rglob("1?.png"):
        file.unlink()
    data = open_data(str(tmp_path / "set"), size=16)
    assert (len(data.train), len(data.held_out)) == (40, 20)


def test_photos_of_any_shape_become_squares(tmp_path: Path) -> None:
    for label, size in (("wide", (90, 30)), ("tall", (30, 90))):
        (tmp_path / label).mkdir()
        for index in range(2):
            Image.new("L", size, 40 * index).save(tmp_path / label / f"{index}.jpg")
    assert open_data(str(tmp_path), size=20).train.images.shape == (2, 3, 20, 20)


def test_fewer_training_images_still_show_every_class(photos: Path) -> None:
    assert np.bincount(open_data(str(photos), size=16, count=6).train.labels).tolist() == [3, 3]


def test_one_class_is_none(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "red", tmp_path / "red")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="holds 1 folders with images, at least 2 are needed"):
        open_data(str(tmp_path))


def test_a_class_of_one_photo(photos: Path, tmp_path: Path) -> None:
    for label in ("red", "blue"):
        (tmp_path / label).mkdir()
        shutil.copy(photos / label / "0.png", tmp_path / label)
    with pytest.raises(TrainingError, match=r"'blue' .* has a single image"):
        open_data(str(tmp_path))


def test_a_damaged_photo_is_named(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    (tmp_path / "set" / "red" / "3.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"3\.png"):
        open_data(str(tmp_path / "set"), size=16)


def test_more_than_memory_holds(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cam_core.training.folders._MEMORY", 10_000)
    with pytest.raises(TrainingError, match="40 images of 16 × 16 pixels"):
        open_data(str(photos), size=16)


def test_no_such_data() -> None:
    with pytest.raises(TrainingError, match="there is no data 'mnist': choose digits"):
        open_data("mnist")


def test_a_download_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", unreachable)
    with pytest.raises(TrainingError, match=r"cifar10 is not on this machine .*Name or service not known"):
        open_data("cifar10")


def test_sets_of_torchvision_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cifar:
        classes = ("cat", "dog")

        def __init__(self, _root: Path, train: bool, download: bool) -> None:
            count = 6 if train else 2
            self.data = np.arange(count * 32 * 32 * 3, dtype=np.uint8).reshape(count, 32, 32, 3)
            self.targets = [0, 1] * (count // 2)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Cifar)
    data = open_data("cifar10")
    assert data.train.images.shape == (6, 3, 32, 32) and len(data.held_out) == 2 and data.classes == ("cat", "dog")
    assert data.train.images[1, 2, 3, 4] == Cifar(tmp_path, True, True).data[1, 3, 4, 2]
    with pytest.raises(TrainingError, match="size=64"):
        open_data("cifar10", size=64)
