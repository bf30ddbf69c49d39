"""The Benchmark page in a real browser: a run over the evaluation photos, stopped and resumed, and where it leads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.visits import (
    HEATMAP,
    PATIENCE,
    Visit,
    run_stopped_and_resumed,
    wait_for_calm,
    wait_for_link,
    wait_for_tiles,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SHOWN = 6  # images behind a cell: the three worst and the three best
METHODS = ["Grad-CAM", "LIFT-CAM", "Eigen-CAM", "Random (control)"]
METRICS = ["average-drop", "average-increase"]


def overflow(page: Page) -> int:
    pixels: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return pixels


def cell(page: Page, method: str, metric: str, network: str = "") -> None:
    """Click on a cell of the table."""
    page.get_by_role("button", name=re.compile(rf"{re.escape(method)}, {metric}, {network}")).first.click()


@pytest.mark.slow
def test_first_sight_is_a_result_with_its_images(visit: Visit) -> None:
    page = visit(path="/benchmark")
    wait_for_tiles(page, SHOWN)
    expect(page.get_by_role("button", name=re.compile("Average drop, "))).to_have_count(5)
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()
    assert overflow(page) <= 0
    page.set_viewport_size({"width": 390, "height": 844})
    wait_for_calm(page)
    assert overflow(page) <= 0
    table = page.locator(".st-key-standings")
    assert table.evaluate("table => table.scrollWidth > 1.5 * table.clientWidth"), "it scrolls in its own place"


@pytest.mark.slow
def test_a_run_over_the_evaluation_photos_is_stopped_resumed_and_looked_into(visit: Visit) -> None:
    page = visit(path="/benchmark", **{"benchmark-methods": METHODS, "metrics": METRICS})
    wait_for_tiles(page, SHOWN)
    run_stopped_and_resumed(page)
    wait_for_tiles(page, SHOWN)
    expect(page.get_by_role("button", name=re.compile("Average (drop|increase), "))).to_have_count(8)
    cell(page, "Random (control)", "Average increase")
    wait_for_link(page, "cell=")
    page.wait_for_selector('img[alt^="Random (control) heatmap "]')
    cell(page, "Grad-CAM", "Average drop")
    page.wait_for_selector('img[alt^="Grad-CAM heatmap "]')
    wait_for_tiles(page, SHOWN)
    page.get_by_role("button", name=re.compile(r"^Compare \w+\.jpg")).first.click()
    page.wait_for_function("location.pathname === '/' && location.search.includes('upload=')")
    page.wait_for_selector(HEATMAP)
    expect(page.get_by_text("is shown until you choose another")).to_be_visible()


@pytest.mark.slow
def test_networks_stand_side_by_side(visit: Visit, tmp_path: Path) -> None:
    for place, colour in enumerate(("navy", "olive", "teal")):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{place}.png")
    link = {"benchmark-photos": "Folder", "benchmark-folder": str(tmp_path), "twins": "true"}
    page = visit(path="/benchmark", **link, **{"benchmark-methods": METHODS, "metrics": METRICS[:1]})
    wait_for_tiles(page, SHOWN)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("Average drop, "))).to_have_count(8, timeout=2 * PATIENCE)
    expect(page.get_by_role("button", name=re.compile("Average drop, .*, untrained"))).to_have_count(4)
    expect(page.get_by_text("n = 3: an interval over fewer than 30 images is itself uncertain.")).to_be_visible()
    assert overflow(page) <= 0
