"""What a person sees and clicks on the Channels page, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import FloatRect, Locator, Page

from tests.browser.visits import Visit, wait_for_calm, wait_for_link

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]

MAP = 'img[alt^="Channel "][alt*=" heatmap "]'
BARS = ".st-key-channel-bars .js-plotly-plot .barlayer .trace"
MARKED = """([bars, place]) => {
    const mark = document.querySelector('.st-key-channel-bars .shapelayer path')?.getBoundingClientRect();
    const bar = document.querySelector(bars).querySelectorAll('.point')[place]?.getBoundingClientRect();
    return mark && bar && mark.width > 0 && mark.left <= bar.left && bar.right <= mark.right;
}"""
OVERLAPS = """selector => {
    const boxes = [...document.querySelectorAll(selector)].map(text => text.getBoundingClientRect())
        .filter(box => box.width > 0).sort((a, b) => a.left - b.left);
    return boxes.slice(1).filter((box, n) => box.left < boxes[n].right - 1
        && box.top < boxes[n].bottom && boxes[n].top < box.bottom).length;
}"""


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


@pytest.mark.slow
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


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_narrow_windows_stack_and_nothing_is_cut_off(visit: Visit, scheme: str) -> None:
    page = visit(path="/channels", width=800, scheme=scheme, layer="bn2")
    wait_until_calm(page)
    bars, picture = page.locator(".st-key-channel-bars").bounding_box(), page.locator(MAP).bounding_box()
    assert bars is not None and picture is not None and picture["y"] > bars["y"] + bars["height"] / 2
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    assert "These values are exact" in page.locator("[data-testid=stMain]").inner_text()


@pytest.mark.parametrize(
    "width", [pytest.param(800, marks=pytest.mark.slow), 1024, pytest.param(1440, marks=pytest.mark.slow)]
)
def test_no_number_runs_into_its_neighbour_and_the_methods_have_room(visit: Visit, width: int) -> None:
    page = visit(path="/channels", width=width, height=1000, top="60")
    wait_until_calm(page)
    for selector in (".st-key-channel-bars .textpoint text", ".st-key-channel-steps .bartext"):
        assert page.evaluate(OVERLAPS, selector) == 0, selector
    assert page.locator(".st-key-channel-steps .barlayer .trace").nth(1).locator(".point").count() <= 22
    picker = page.locator(".st-key-beside").bounding_box()
    assert picker is not None and picker["width"] > 300, "no dots in a method's name"


def test_the_page_opens_converged_with_the_bars_in_sight(visit: Visit) -> None:
    page = visit(path="/channels", width=1440, height=900)
    wait_until_calm(page)
    badge = page.locator(".st-key-channel-status").inner_text()
    assert "Converged" in badge and "Not converged" not in badge
    bars = page.locator(BARS).first.bounding_box()
    assert bars is not None and bars["y"] + bars["height"] < 900


def test_a_small_map_selects_its_channel(visit: Visit) -> None:
    page = visit(path="/channels", height=1000, budget="16")
    wait_until_calm(page)
    named = page.locator(MAP).get_attribute("alt")
    small = page.locator(".st-key-strong-2 img")
    small.scroll_into_view_if_needed()
    box = small.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("([map, before]) => document.querySelector(map)?.alt !== before", arg=[MAP, named])


def resting_place(page: Page, found: Locator) -> FloatRect:
    """Where it is once nothing above it moves any more: charts take their room when they are drawn."""
    box = None
    while box is None or box != found.bounding_box():
        box = found.bounding_box()
        page.wait_for_timeout(300)
    return box


@pytest.mark.slow
def test_a_row_of_the_table_marks_its_bar(visit: Visit) -> None:
    page = visit(path="/channels", height=1000, budget="16")
    wait_until_calm(page)
    named = page.locator(MAP).get_attribute("alt")
    page.get_by_text("The same as a table").click()
    page.wait_for_selector("[data-testid=stDataFrame] canvas")
    wait_for_calm(page)
    table = page.locator("[data-testid=stDataFrame]")
    table.scroll_into_view_if_needed()
    box = resting_place(page, table)
    page.mouse.click(box["x"] + 16, box["y"] + 3.5 * 35)
    page.wait_for_function("([map, before]) => document.querySelector(map)?.alt !== before", arg=[MAP, named])
    page.wait_for_function(MARKED, arg=[BARS, 2])


@pytest.mark.slow
def test_a_click_on_a_bar_draws_nothing_but_what_follows_it(visit: Visit) -> None:
    """The charts below stand as they are: what is sent for a click is the bars and the map."""
    page = visit(path="/channels", height=1000, budget="16")
    wait_until_calm(page)
    steps = page.locator(".st-key-channel-steps .js-plotly-plot")
    steps.evaluate("chart => chart.on('plotly_afterplot', () => { window.again = 1 })")
    click_bar(page, 5)
    wait_for_link(page, "channel=")
    wait_until_calm(page)
    assert page.evaluate("window.again") is None
