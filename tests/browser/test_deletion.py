"""What a person sees and clicks on the Deletion page, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import PATIENCE, Visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

FRAME = 'img[alt*=" of its pixels "]'
# Points of Grad-CAM's deletion curve, and where the line of the slider stands, as plotly has them. While Streamlit is
# drawing, a chart may be there twice, as it was and as it is.
CHARTS = "[...document.querySelectorAll('.st-key-chart-deletion .js-plotly-plot')].filter(chart => chart._fullData)"
POINTS = f"""Math.max(0, ...{CHARTS}.map(
    chart => (chart._fullData.find(line => line.name === 'grad-cam') || {{y: []}}).y.length))"""
MARKS = f"{CHARTS}.map(chart => chart._fullLayout.shapes[0].x0)"


def points(page: Page) -> int:
    found: int = page.evaluate(POINTS)
    return found


def wait_for_points(page: Page, more_than: int) -> None:
    page.wait_for_function(f"least => {POINTS} > least", arg=more_than)


def wait_for_mark(page: Page, fraction: float) -> None:
    page.wait_for_function(f"fraction => {MARKS}.includes(fraction)", arg=fraction)


def test_curves_grow_and_a_cancel_keeps_them(visit: Visit) -> None:
    page = visit(path="/deletion", first=FRAME, methods=["Grad-CAM", "Grad-CAM++"], steps="224", sample="koala")
    wait_for_points(page, 1)
    before = points(page)
    page.wait_for_timeout(1000)
    wait_for_points(page, before)  # at once on a machine that is at leisure
    expect(page.get_by_text("Computing the curves")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("What was computed stays").wait_for()
    page.wait_for_timeout(3000)  # the batch that was under way
    kept = points(page)
    assert before < kept < 225
    page.wait_for_timeout(1500)
    assert points(page) == kept
    page.get_by_role("button", name="Go on").click()
    wait_for_points(page, kept)
    assert "Traceback" not in page.content()


def test_the_slider_changes_pictures_and_marks_and_the_link(visit: Visit) -> None:
    page = visit(path="/deletion", first=FRAME, methods="Grad-CAM", steps="14", curves="Deletion", sample="panda")
    wait_for_points(page, 14)
    picture = page.locator(FRAME).first
    before = picture.get_attribute("src")
    wait_for_mark(page, 0.2)
    slider = page.get_by_role("slider", name="Pixels changed")
    expect(slider).to_have_count(1, timeout=PATIENCE)
    slider.focus()
    page.keyboard.press("End")
    page.locator('img[alt="Grad-CAM: the photo with 100 % of its pixels removed"]').wait_for()
    wait_for_mark(page, 1)
    assert picture.get_attribute("src") != before
    page.wait_for_function("decodeURIComponent(location.search).includes('changed=100')")
    slider.focus()
    page.keyboard.press("Home")
    page.locator('img[alt="Grad-CAM: the photo with 0 % of its pixels removed"]').wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Play").click()
    page.locator('img[alt="Grad-CAM: the photo with 100 % of its pixels removed"]').wait_for()
