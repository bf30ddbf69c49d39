"""What a person sees and clicks on the Deletion page, in a real browser."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

FRAME = 'img[alt*=" of its pixels "]'
# Points of the named line, and where the line of the slider stands, as plotly has them.
POINTS = """name => [...document.querySelectorAll('.js-plotly-plot')].map(
    chart => ((chart._fullData || []).find(line => line.name === name) || {x: []}).x.length)"""
MARKS = "() => [...document.querySelectorAll('.js-plotly-plot')].map(chart => chart._fullLayout.shapes[0].x0)"


def points(page: Page) -> int:
    """Of Grad-CAM's curves, when nothing is being drawn: while it is, a chart may be there twice."""
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 2")
    return sum(page.evaluate(POINTS, "grad-cam"))


def wait_for_points(page: Page, more_than: int) -> None:
    page.wait_for_function(
        f"([name, least]) => ({POINTS})(name).reduce((one, other) => one + other, 0) > least",
        arg=["grad-cam", more_than],
    )


def test_curves_grow_and_a_cancel_keeps_them(visit: Visit) -> None:
    page = visit(path="/deletion", first=FRAME, methods=["Grad-CAM", "Grad-CAM++"], steps="224", sample="koala")
    wait_for_points(page, 3)
    before = points(page)
    page.wait_for_timeout(1000)
    wait_for_points(page, before)  # at once on a machine that is at leisure
    expect(page.get_by_text("Computing the curves")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("What was computed stays").wait_for()
    page.locator("[data-testid=stProgress], [data-testid=stStatusWidget]").first.wait_for(state="detached")
    page.wait_for_timeout(3000)  # the batch that was under way
    kept = points(page)
    assert before < kept < 2 * 225
    page.wait_for_timeout(1500)
    assert points(page) == kept
    page.get_by_role("button", name="Go on").click()
    wait_for_points(page, kept)
    assert "Traceback" not in page.content()


def test_the_slider_changes_pictures_and_marks_and_the_link(visit: Visit) -> None:
    page = visit(path="/deletion", first=FRAME, methods="Grad-CAM", steps="14", curves="Deletion", sample="panda")
    page.wait_for_function("!document.querySelector('[data-testid=stProgress], [data-testid=stStatusWidget]')")
    wait_for_points(page, 14)
    picture = page.locator(FRAME).first
    before = picture.get_attribute("src")
    page.wait_for_function(f"expected => JSON.stringify(({MARKS})()) === expected", arg=json.dumps([0.2]))
    slider = page.get_by_role("slider", name="Pixels changed")
    expect(slider).to_have_count(1, timeout=PATIENCE)
    slider.focus()
    page.keyboard.press("End")
    page.locator('img[alt="Grad-CAM: the photo with 100 % of its pixels removed"]').wait_for()
    page.wait_for_function(f"expected => JSON.stringify(({MARKS})()) === expected", arg=json.dumps([1]))
    assert picture.get_attribute("src") != before
    page.wait_for_function("decodeURIComponent(location.search).includes('changed=100')")
    slider.focus()
    page.keyboard.press("Home")
    page.locator('img[alt="Grad-CAM: the photo with 0 % of its pixels removed"]').wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Play").click()
    page.locator('img[alt="Grad-CAM: the photo with 15 % of its pixels removed"]').wait_for(timeout=PATIENCE)
