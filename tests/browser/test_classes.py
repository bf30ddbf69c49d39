"""What a person sees and clicks on the Classes page, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import Visit, wait_for_calm, wait_for_link

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CHANNELS = 'img[alt^="Where channel "]'
TOO_WIDE = """() => [...document.querySelectorAll('[data-testid=stMain] *')].filter(element =>
    element.getBoundingClientRect().right > innerWidth + 1 && !element.closest('.cam-scroll')).length"""


def names(page: Page) -> list[str]:
    return [picture.get_attribute("alt") or "" for picture in page.locator('img[alt*=" heatmap "]').all()]


def test_a_new_visitor_sees_two_animals_told_apart_and_swaps_them(visit: Visit) -> None:
    page = visit(path="/classes", first=CHANNELS, methods="Grad-CAM")
    wait_for_calm(page)
    expect(page).to_have_title("Classes · CAMscope")
    before = names(page)
    assert len(before) == 5 and "German shepherd" in " ".join(before[:2]) and page.locator(CHANNELS).count() == 8
    assert page.get_by_text("Where the maps lie").is_visible()
    page.get_by_role("button", name="Swap").click()
    wait_for_link(page, "class-a=")
    page.wait_for_function("first => document.querySelector('img[alt*=\" heatmap \"]').alt !== first", arg=before[0])
    wait_for_calm(page)
    after = names(page)
    assert (after[0], after[1]) == (before[1], before[0])
    picture = page.locator('img[alt*=" less "]')
    seen = picture.get_attribute("src")
    page.get_by_role("slider", name="Opacity").press("End")
    page.wait_for_function("src => document.querySelector('img[alt*=\" less \"]').src !== src", arg=seen)
    again = visit(path="/classes", first=CHANNELS, **{"class-a": page.url.split("class-a=")[1].split("&")[0]})
    wait_for_calm(again)
    assert names(again)[0] == after[0], "the link reopens the view"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 800, 390])
def test_nothing_is_wider_than_the_screen(visit: Visit, width: int) -> None:
    page = visit(width, path="/classes", first=CHANNELS)
    wait_for_calm(page)
    assert page.evaluate(TOO_WIDE) == 0


@pytest.mark.slow
def test_the_same_class_twice_is_refused_and_another_choice_leads_on(visit: Visit) -> None:
    page = visit(path="/classes", first="text=choose two different ones", **{"class-a": "235", "class-b": "235"})
    wait_for_calm(page)
    assert names(page) == []
    box = page.get_by_role("combobox", name="B: ")
    box.click()
    box.press_sequentially("tabby")
    page.get_by_role("option", name="tabby").first.click()
    page.wait_for_selector(CHANNELS)
    wait_for_calm(page)
    assert "tabby" in names(page)[1]
