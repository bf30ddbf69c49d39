"""What a person sees and clicks on the Channels page, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.visits import Visit, wait_for_calm, wait_for_link

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]

MAP = 'img[alt^="Channel "][alt*=" heatmap "]'
BARS = ".st-key-channel-bars .js-plotly-plot .barlayer .trace"


def wait_until_calm(page: Page) -> None:
    """Nothing is computed and the bars stand."""
    page.wait_for_selector(f"{BARS} .point")
    wait_for_calm(page)


def click_bar(page: Page, place: int) -> None:
    box = page.locator(BARS).first.locator(".point").nth(place).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_click_on_a_bar_shows_that_channels_map(visit: Visit) -> None:
    page = visit(path="/channels", height=1000, budget="16")
    wait_until_calm(page)
    picture = page.locator(MAP)
    named, seen = picture.get_attribute("alt"), picture.get_attribute("src")
    click_bar(page, 4)
    page.wait_for_function("([map, before]) => document.querySelector(map)?.alt !== before", arg=[MAP, named])
    picture = page.locator(MAP)
    channel = (picture.get_attribute("alt") or "").split()[1]
    wait_for_link(page, f"channel={channel}")
    assert picture.get_attribute("src") != seen
    assert page.get_by_role("combobox", name="Channel").first.is_visible()
    again = visit(path="/channels", channel=channel, budget="16")
    wait_until_calm(again)
    assert again.locator(MAP).get_attribute("src") == picture.get_attribute("src"), "the link reopens the view"


def test_the_estimate_grows_and_a_cancel_keeps_it(visit: Visit) -> None:
    page = visit(path="/channels", first=".st-key-growing-convergence .js-plotly-plot", sample="panda", budget="20000")
    points = ".st-key-growing-convergence .js-plotly-plot .scatterlayer .trace:first-child .point"
    page.wait_for_function("p => document.querySelectorAll(p).length >= 2", arg=points)
    few = page.locator(points).count()
    page.wait_for_function("([p, few]) => document.querySelectorAll(p).length > few", arg=[points, few])
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("text=What was estimated by then stays.")
    page.wait_for_selector(MAP)
    wait_until_calm(page)
    assert page.locator(MAP).count() == 1
    assert "Convergence" in page.locator("[data-testid=stMain]").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_windows_stack_and_nothing_is_cut_off(visit: Visit, scheme: str) -> None:
    page = visit(path="/channels", width=800, scheme=scheme, layer="bn2")
    wait_until_calm(page)
    bars, picture = page.locator(".st-key-channel-bars").bounding_box(), page.locator(MAP).bounding_box()
    assert bars is not None and picture is not None and picture["y"] > bars["y"] + bars["height"] / 2
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    assert "These values are exact" in page.locator("[data-testid=stMain]").inner_text()
