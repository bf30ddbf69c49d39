"""A page that is loaded again: the visitor's photo and the work on it are there."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.app_runs import Open, heatmaps, html, settle

PATIENCE = 30  # seconds until a test gives up waiting


def upload(at: AppTest) -> AppTest:
    buffer = io.BytesIO()
    noise = np.random.default_rng(5).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    next(entry for entry in at.button_group if entry.key == "source").set_value("Upload").run()
    at.file_uploader(key="upload").upload("mine.png", buffer.getvalue(), "image/png").run()
    return at


def alts(at: AppTest) -> str:
    return " ".join(image.proto.imgs[0].alt for image in at.get("image")) + html(at)


def test_an_upload_and_the_work_on_it_are_found(
    open_app: Open, register: Callable[..., object], own_browser: Any
) -> None:
    gate, begun = threading.Event(), []

    def patient(net, image, acts, target, run):
        begun.append(1)
        gate.wait(PATIENCE)
        return acts.mean(dim=(2, 3))

    register("patient-cam", patient, title="Patient-CAM", expensive=True)
    at = settle(upload(open_app(methods=["Grad-CAM"])))
    assert "mine.png" in alts(at)
    at.multiselect(key="methods").set_value(["Grad-CAM", "Patient-CAM"]).run()
    assert at.get("progress")
    own_browser.reload()
    again = open_app(wait=False, methods=["Grad-CAM", "Patient-CAM"])
    assert "mine.png" in alts(again) and again.get("progress")
    gate.set()
    settle(again)
    assert heatmaps(again) == ["Grad-CAM", "Patient-CAM"]
    assert len(begun) == 1, "it was begun once"
    own_browser.reload()
    assert "mine.png" in alts(open_app(methods=["Grad-CAM"])), "and once more"


def test_a_link_to_a_sample_shows_the_sample(open_app: Open, own_browser: Any) -> None:
    settle(upload(open_app(methods=["Grad-CAM"])))
    own_browser.reload()
    assert "mine.png" not in alts(open_app(sample="panda", methods=["Grad-CAM"]))


def test_a_second_tab_begins_with_the_gallery(open_app: Open) -> None:
    settle(upload(open_app(methods=["Grad-CAM"])))
    assert "mine.png" not in alts(open_app(methods=["Grad-CAM"]))
