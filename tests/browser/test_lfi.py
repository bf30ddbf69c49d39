"""The LFI-CAM page in a real browser: the bundled networks' maps, and a training that grows and can be cancelled."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.visits import PATIENCE, Visit, wait_for_tiles

pytestmark = pytest.mark.browser

POINTS = ".st-key-growing-curves .scatterlayer .points path, .st-key-curves .scatterlayer .points path"
SERIES = 3  # loss, and accuracy on training and on held-out images


@pytest.fixture
def open_page(visit: Visit) -> partial[Page]:
    return partial(visit, path="/lfi")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, light and dark, of twenty small pictures each: an epoch takes a moment on any machine."""
    generator = np.random.default_rng(0)
    for name, lowest in (("light", 128), ("dark", 0)):
        (tmp_path / name).mkdir()
        for number in range(20):
            pixels = generator.integers(lowest, lowest + 128, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def begin(open_page: partial[Page], photos: Path, epochs: int) -> Page:
    page = open_page(**{"train-data": "Folder", "train-folder": str(photos), "epochs": str(epochs)})
    wait_for_tiles(page, 12)
    page.locator(".st-key-train button").click()
    return page


def test_first_sight_has_the_maps_of_the_digit_networks(open_page: partial[Page]) -> None:
    page = open_page()
    wait_for_tiles(page, 12)
    for name in ("LFI-CAM", "Attention branch network", "Baseline"):
        expect(page.locator(f'img[alt^="{name} heatmap of held-out image"]')).to_have_count(4)
    expect(page.locator('img[alt^="True mask of"]')).to_have_count(4)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0


def test_another_image_of_the_held_out_ones(open_page: partial[Page]) -> None:
    page = open_page(**{"from": "4"})
    expect(page.locator('img[alt="Held-out image 4"]')).to_be_visible()
    expect(page.locator('img[alt="Held-out image 0"]')).to_have_count(0)


def wait_for_points(page: Page, count: int) -> None:
    page.wait_for_function(
        "([points, count]) => document.querySelectorAll(points).length >= count", arg=[POINTS, SERIES * count]
    )


def test_two_epochs_grow_the_curves_and_leave_a_network(open_page: partial[Page], photos: Path) -> None:
    page = begin(open_page, photos, 2)
    for epochs in (1, 2):
        wait_for_points(page, epochs)
    expect(page.get_by_text(re.compile(r"Best: epoch \d of 2"))).to_be_visible(timeout=PATIENCE)
    expect(page.locator('img[alt^="Attention heatmap of preview"]')).to_have_count(8)
    page.get_by_role("button", name="Explain this network").click()
    page.wait_for_selector('img[alt^="Grad-CAM heatmap "]')
    page.wait_for_function("location.pathname === '/' && location.search.includes('model=mine-lfi-')")


@pytest.mark.slow
def test_a_cancelled_training_says_so_and_leaves_the_page_in_order(open_page: partial[Page], photos: Path) -> None:
    page = begin(open_page, photos, 200)
    wait_for_points(page, 1)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text(re.compile(r"Cancelled after \d+ of 200 epochs. The best network is kept."))).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)
