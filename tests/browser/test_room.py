"""The app as it is served to a room, in a real browser, and what is left when it is over."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from scripts.serving import server_process
from tests.browser.visits import HEATMAP, PATIENCE, wait_for_calm

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[str]:
    """A server that others can reach, whose temporary files lie in a folder of their own."""
    places = {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "TMPDIR": str(tmp_path)}
    with server_process(tmp_path / "server.log", os.environ | places | {"OMP_NUM_THREADS": "1"}) as server:
        yield server.address


def opened(browser: Browser, address: str, first: str) -> Page:
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.wait_for_selector(first)
    return page


def left(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("camscope-*"))


def photos() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png"):
            picture = io.BytesIO()
            Image.new("RGB", (64, 64), "teal").save(picture, "PNG")
            archive.writestr(name, picture.getvalue())
    return buffer.getvalue()


@pytest.mark.slow
def test_a_room_brings_a_zip_and_names_no_folder(browser: Browser, room: str, tmp_path: Path) -> None:
    page = opened(browser, f"{room}/lfi?train-data=Folder&train-folder=%2Fetc", "text=no folder is opened")
    wait_for_calm(page)
    assert page.get_by_label("Folder", exact=True).count() == 0
    assert "train-folder" not in page.url
    page.get_by_text("Zip", exact=True).click()
    page.set_input_files(
        ".st-key-zip-training input", {"name": "pets.zip", "mimeType": "application/zip", "buffer": photos()}
    )
    page.wait_for_selector("text=4 images in pets.zip.")
    (folder,) = left(tmp_path)
    assert len(list(folder.rglob("*.png"))) == 4
    log = (tmp_path / "server.log").read_text()
    assert "Network URL" in log and "External URL" not in log
    page.context.close()


@pytest.mark.slow
def test_a_server_that_stops_leaves_nothing_of_its_visitors(browser: Browser, tmp_path: Path) -> None:
    with server_process(tmp_path / "server.log", os.environ | {"TMPDIR": str(tmp_path)}) as server:
        page = opened(browser, server.address, HEATMAP)
        assert len(left(tmp_path)) == 1
    page.context.close()
    assert left(tmp_path) == []


@pytest.mark.slow
def test_a_visit_ends_two_minutes_after_the_page_was_closed(browser: Browser, room: str, tmp_path: Path) -> None:
    page = opened(browser, room, HEATMAP)
    page.wait_for_timeout(61_000)
    assert "visitors: 1 in 1 tabs · jobs: 0 running, 0 waiting · " in (tmp_path / "server.log").read_text()
    page.context.close()
    waiting = browser.new_page()
    waiting.wait_for_timeout(115_000)
    assert len(left(tmp_path)) == 1, "it may still come back"
    waiting.wait_for_timeout(25_000)
    assert left(tmp_path) == []
    waiting.close()
