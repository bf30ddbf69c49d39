"""Runs of the app on a tiny network, and what is to be read on its pages."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from cam_core import Classifier
from cam_core.types import WeightsError
from tests.tiny import SIZE, tiny

APP = str(Path(__file__).parents[2] / "app.py")
LABELS = ["ant", "bee", "cat", "dog", "eel"]
BUNDLED = "efficientnet_lite0"
PATIENCE = 30  # seconds until a test gives up waiting for a result

Open = Callable[..., AppTest]


def load_tiny(
    name: str, weights: str = "default", seed: int = 0, device: str = "auto", progress: Any = None
) -> Classifier:
    """In place of `load_model`: one tiny network under every name; trained weights for the bundled one alone."""
    if weights == "default" and name != BUNDLED:
        raise WeightsError(f"{name}.pth is not on this machine. Put the file into the folder [checkpoints].")
    return Classifier(tiny("plain", seed), LABELS, SIZE, name=name, device="cpu", trained=weights != "random")


def settle(at: AppTest) -> AppTest:
    """Run again until nothing is being computed: what the polling fragments do in a browser."""
    until = time.monotonic() + PATIENCE
    while at.get("progress"):
        assert time.monotonic() < until, "still computing"
        time.sleep(0.05)
        at.run()
    assert not at.exception, [entry.message for entry in at.exception]
    return at


def html(at: AppTest) -> str:
    return "\n".join(element.value for element in at.get("html"))


def box(at: AppTest, label: str) -> Any:
    return next(entry for entry in at.selectbox if entry.label == label)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(size: tuple[int, int] = (60, 40), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def upload(at: AppTest, content: bytes, name: str = "mine.png") -> AppTest:
    at.segmented_control(key="source").set_value("Upload").run()
    at.file_uploader(key="upload").upload(name, content).run()
    return settle(at)


def heatmaps(at: AppTest) -> list[str]:
    """Titles of the methods whose heatmap is shown, in order."""
    texts = [image.proto.imgs[0].alt for image in at.get("image")]
    return [text.split(" heatmap")[0] for text in texts if " heatmap " in text]


def similarity(at: AppTest) -> dict[str, list[str]]:
    """The cells of the table of similarities by the row's name, as HTML."""
    (table,) = re.findall(r'<table class="cam-table">.*?</table>', html(at), flags=re.DOTALL)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table, flags=re.DOTALL)
    return {name: re.findall(r"<td>(.*?)</td>", cells, flags=re.DOTALL) for name, cells in rows}
