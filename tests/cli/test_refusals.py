"""Every bad input: exit code 2, one line that says what is wrong, and what was there before stays."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cam_core import load_model
from cam_core.images import SAMPLES
from tests.cli.calls import Call
from tests.images.dicom_files import dicom

ROOT = Path(__file__).parents[2]
Refuse = Callable[..., str]


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels, and has none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def one_pixel(path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path, "PNG")


BAD_IMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "not an image": (lambda path: path.write_text("Dear reader"), "is not an image that can be read"),
    "empty": (lambda path: path.write_bytes(b""), "is not an image that can be read"),
    "truncated JPEG": (lambda path: path.write_bytes(SAMPLES[0].path.read_bytes()[:20_000]), "damaged or cut short"),
    "1×1": (one_pixel, "1 × 1 pixels; each side must have at least 8"),
    "decompression bomb": (lambda path: path.write_bytes(png_header(30_000, 30_000)), "at most 80 megapixels"),
    "too large": (lambda path: path.write_bytes(png_header(12_000, 12_000)), "at most 80 megapixels"),
    "DICOM of several frames": (
        lambda path: path.write_bytes(dicom(np.zeros((32, 16), np.uint16), Rows=16, NumberOfFrames=2)),
        "has 2 frames; save the one",
    ),
    "folder": (lambda path: path.mkdir(), "cannot be opened: Is a directory"),
    "missing": (lambda path: None, "cannot be opened: No such file"),
}


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_image_that_cannot_be_used(refuse: Refuse, tmp_path: Path, kind: str) -> None:
    make, words = BAD_IMAGES[kind]
    path, before = tmp_path / "photo.jpg", tmp_path / "figure.png"
    make(path)
    before.write_bytes(b"an older figure")
    assert words in refuse("explain", path, "--out", before)
    assert before.read_bytes() == b"an older figure"
    assert sorted(tmp_path.iterdir()) == sorted({before, path} if kind != "missing" else {before})


@pytest.mark.usefixtures("tiny_network")
def test_misspelt_sample_is_answered_with_those_there_are(refuse: Refuse) -> None:
    message = refuse("explain", "dgo")
    assert "no file 'dgo'" in message
    assert all(sample.key in message for sample in SAMPLES)


def in_mode(mode: str) -> Callable[[Path], None]:
    return lambda path: Image.new(mode, (20, 16)).save(path)


def animation(path: Path) -> None:
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 16)).save(path, exif=exif)


GOOD_IMAGES: dict[str, Callable[[Path], None]] = {
    "grey.png": in_mode("L"),
    "cmyk.jpg": in_mode("CMYK"),
    "16-bit.png": lambda path: Image.fromarray(np.full((16, 20), 40_000, np.uint16)).save(path),
    "palette.png": in_mode("P"),
    "alpha.png": in_mode("RGBA"),
    "animated.gif": animation,
    "rotated.jpg": rotated,
}


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize("name", GOOD_IMAGES)
def test_unusual_image_is_explained(succeed: Call, tmp_path: Path, name: str) -> None:
    GOOD_IMAGES[name](tmp_path / name)
    succeed("explain", tmp_path / name, "-M", "grad-cam", "--json", tmp_path / "record.json")
    assert f'"size": [{"16, 20" if name == "rotated.jpg" else "20, 16"}]' in (tmp_path / "record.json").read_text()


WRONG_WORDS = [
    (("--method", "grad-kam"), "unknown method 'grad-kam'; there are: cam, grad-cam"),
    (("--layer", "features.33"), "no layer 'features.33'"),
    (("--layer", "fc"), "fc"),
    (("--layer", "features.1", "--layer", "features.3"), "lift-cam explains one layer, but got 2"),
    (("--method", "refine-cam", "--layer", "features.3"), "refine-cam combines at least two layers"),
    (("--layer", "grad-cam:features.3"), "not among the methods: lift-cam"),
    (("--class", "5"), "target 5 is out of range for 5 classes (0–4)"),
    (("--class", "-1"), "target -1 is out of range"),
    (("--class", "clas 3"), "no class is called 'clas 3'; near: class 3"),
    (("--precision", "float16"), "unknown precision 'float16'"),
    (("--opacity", "1.5"), "opacity=1.5 is out of range (0 to 1)"),
    (("--opacity", "nan"), "opacity=nan is out of range"),
    (("--colormap", "hsv"), "unknown colour map 'hsv'"),
    (("--colormap", "RdBu_r"), "positive values need a sequential colour map"),
    (("--signed", "--colormap", "inferno"), "signed values need a diverging colour map"),
    (("--width", "5"), "width=5.0 is out of range"),
    (("--param", "steps=3"), "none of lift-cam has a parameter 'steps'; they have: none"),
    (("--method", "opti-cam", "--param", "steps"), "KEY=VALUE"),
    (("--method", "opti-cam", "--param", "steps=many"), "steps='many' is not a whole number"),
    (("--method", "opti-cam", "--param", "early_stop=perhaps"), "early_stop='perhaps' is not true or false"),
    (("--method", "opti-cam", "--param", "opti-cam:stepps=3"), "opti-cam has no parameter 'stepps'; it has: preset"),
    (("--method", "opti-cam", "--param", "grad-cam:steps=3"), "not among the methods: opti-cam"),
    (("--method", "opti-cam", "--param", "opti:steps=3"), "unknown method 'opti'"),
    (("--seed", "many"), "--seed"),
    (("--colour", "red"), "No such option: --colour"),
    (("--out",), "requires an argument"),
]


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize(("options", "words"), WRONG_WORDS, ids=lambda value: " ".join(value)[:40])
def test_wrong_word(refuse: Refuse, photo: Path, options: tuple[str, ...], words: str) -> None:
    assert words in refuse("explain", photo, *options)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "Missing argument 'IMAGE'"),
        (("dog", "cat"), "unexpected extra argument"),
        (("dog", "--model", "resnet99"), "unknown model 'resnet99'; did you mean"),
        (("dog", "--model", "timm:gemma4_vit_167m"), "gemma4_vit_167m returns features, not class scores"),
        (("dog", "--model", "timm:mixer_s32_224"), "no official weights for mixer_s32_224"),
        (("dog", "--device", "cuda:99"), "no device 'cuda:99' on this machine"),
    ],
    ids=str,
)
def test_wrong_call_of_the_real_loader(refuse: Refuse, args: tuple[str, ...], words: str) -> None:
    assert words in refuse("explain", *args)


def test_unknown_command(refuse: Refuse) -> None:
    assert "No such command 'explian'" in refuse("explian")


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("figure.jpg",), "names no figure format; there are: .pdf, .svg, .png"),
        (("figure",), "names no figure format"),
        (("missing/figure.png",), "there is no folder"),
        (("photo.png/figure.png",), "there is no folder"),
        (("folder.png",), "it is a folder"),
        (("figure.png", "figure.png"), "is named twice"),
        (("a" * 300 + ".png",), "File name too long"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_file_that_cannot_be_written(refuse: Refuse, photo: Path, names: tuple[str, ...], words: str) -> None:
    folder = photo.parent
    (folder / "folder.png").mkdir()
    outputs = [part for name in names for part in ("--out", folder / name)]
    assert words in refuse("explain", photo, *outputs)
    assert sorted(path.name for path in folder.iterdir()) == ["folder.png", "photo.png"]


@pytest.mark.usefixtures("tiny_network")
def test_folder_without_permission(refuse: Refuse, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the answer is put into the system's mouth."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no permission" in refuse("explain", photo, "--json", photo.parent / "record.json")


@pytest.mark.usefixtures("tiny_network")
def test_disk_that_is_full_leaves_the_old_file(refuse: Refuse, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = photo.parent / "record.json"
    record.write_text("older")

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in refuse("explain", photo, "--json", record)
    assert record.read_text() == "older"
    assert sorted(path.name for path in photo.parent.iterdir()) == ["photo.png", "record.json"]


class Malice:
    """A pickle that writes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_weights_that_do_not_fit_are_not_finite_or_come_with_code(refuse: Refuse, photo: Path, tmp_path: Path) -> None:
    def explain_with(path: Path) -> str:
        return refuse("explain", photo, "--model", "squeezenet1_1", "--weights", path)

    state = load_model("squeezenet1_1", weights="random").module.state_dict()
    path = tmp_path / "weights.safetensors"
    save_file(state | {"features.0.bias": torch.zeros(3)}, path)
    assert "features.0.bias is 3 there and 64 in the network" in explain_with(path)
    save_file(state | {"features.0.bias": torch.full((64,), torch.nan)}, path)
    assert "not finite" in explain_with(path)
    path.write_bytes(b"garbage")
    assert "weights.safetensors is damaged" in explain_with(path)
    path, marker = tmp_path / "weights.pth", tmp_path / "executed"
    torch.save({"features.0.bias": Malice(marker)}, path)
    assert "system, which was refused" in explain_with(path)
    path.write_bytes(pickle.dumps(Malice(marker)))
    assert "no weights file" in explain_with(path)
    assert not marker.exists()
    assert "no weights file" in explain_with(tmp_path / "missing.pth")


def test_official_weights_without_a_network(
    refuse: Refuse, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    message = refuse("explain", photo, "--model", "squeezenet1_1")
    assert "squeezenet1_1-b8a52dc0.pth is not on this machine and could not be downloaded" in message
    assert f"put it into {tmp_path / 'cache' / 'hub' / 'checkpoints'}" in message


def test_one_line_and_exit_code_2_in_a_real_process(tmp_path: Path) -> None:
    """Also where the libraries underneath have a warning to give."""
    path = tmp_path / "photo.png"
    path.write_bytes(png_header(12_000, 12_000))
    command = [sys.executable, "-m", "cam_core", "explain", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: photo.png is 12000 × 12000 pixels; at most 80 megapixels are read: scale it down"
    ]
