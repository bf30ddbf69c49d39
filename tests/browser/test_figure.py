"""A new author in a real browser: looks at the figure, changes it, and takes the PDF away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.visits import Visit, wait_for_calm, wait_for_link

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PRINT = "img.cam-print"
MILLIMETRE = 96 / 25.4  # pixels of a style sheet


@pytest.mark.slow
def test_a_new_author_chooses_a_venue_and_takes_the_pdf(visit: Visit, tmp_path: Path) -> None:
    page = visit(1440, path="/figure")
    wait_for_calm(page)
    picture = page.locator(PRINT)
    assert picture.evaluate("picture => picture.naturalWidth") > 1200, "sharp"
    assert picture.evaluate("picture => parseFloat(getComputedStyle(picture).width)") == pytest.approx(
        174.6 * MILLIMETRE, abs=1
    )
    venue = page.get_by_role("combobox", name="Venue")
    venue.click()
    venue.press_sequentially("ECCV")
    page.get_by_role("option", name=re.compile("^ECCV")).click()
    wait_for_link(page, "venue=eccv")
    expect(page.get_by_text("121.9 mm wide")).to_be_visible()
    wait_for_calm(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF", exact=True).click()
    assert download.value.suggested_filename == "figure.pdf"
    content = Path(download.value.path()).read_bytes()
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ", content)
    assert content.startswith(b"%PDF") and box is not None
    assert float(box.group(1)) / 72 * 25.4 == pytest.approx(121.92, abs=0.1)
