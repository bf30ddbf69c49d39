"""axe-core finds no serious barrier on any page: light and dark, on a phone, a tablet and a desk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from scripts.screenshots import SCHEMES, WIDTHS, settled
from tests.browser.colours import RING, contrast
from tests.browser.visits import HEATMAP, Visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATHS = ("/", "/classes", "/channels", "/deletion", "/benchmark", "/lfi", "/figure")
FIRST = f'{HEATMAP}, img[alt*=" of its pixels "]'
IMPACTS = ("serious", "critical")
ALWAYS = (("/", "light", 1440), ("/deletion", "dark", 390))
CLOSED = "[data-testid=stExpander] details:not([open]) > summary"
MANY_TABS = 70
POPOVER = "[data-testid=stPopoverBody]"


def visits() -> Iterator[object]:
    """Every page in every scheme and width; the slow ones are marked so."""
    for place in product(PATHS, SCHEMES, WIDTHS):
        yield pytest.param(*place, marks=[] if place in ALWAYS else pytest.mark.slow)


def barriers(page: Page, part: str | None = None) -> list[str]:
    """What axe-core finds of these impacts in `part`, a selector, or on the whole page: rule, element, and why."""
    violations = Axe().run(page, context=part).response["violations"]
    return [
        f"{violation['id']}: {node['html']}\n{node['failureSummary']}"
        for violation in violations
        if violation["impact"] in IMPACTS
        for node in violation["nodes"]
    ]


def test_barriers_are_found(browser: Browser) -> None:
    page = browser.new_page()
    head = '<html lang="en"><title>Barriers</title>'
    page.set_content(f'{head}<p style="color: #bbb">pale</p><p>dark</p><img src="data:,"><button>named</button>')
    assert [barrier.split(":")[0] for barrier in barriers(page)] == ["color-contrast", "image-alt"]
    assert [barrier.split(":")[0] for barrier in barriers(page, "img")] == ["image-alt"]
    page.close()


@pytest.mark.parametrize(("path", "scheme", "width"), list(visits()))
def test_no_barrier(visit: Visit, path: str, scheme: str, width: int) -> None:
    page = visit(width, WIDTHS[width], scheme, path=path, first=FIRST)
    settled(page)
    assert barriers(page) == []
    page.evaluate("closed => document.querySelectorAll(closed).forEach(summary => summary.click())", CLOSED)
    settled(page)
    assert page.locator(CLOSED).count() == 0
    assert barriers(page) == []


@pytest.mark.slow
@pytest.mark.parametrize(("path", "scheme"), list(zip(PATHS, cycle(SCHEMES), strict=False)))
def test_where_the_keys_are_is_seen(visit: Visit, path: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.11: at least 3 : 1. Of what Tab reaches; fields to type in change their whole border."""
    page = visit(1440, 900, scheme, path=path, first=FIRST)
    settled(page)
    met = []
    for _ in range(MANY_TABS):
        page.keyboard.press("Tab")
        ring = page.evaluate(RING)
        if ring["tag"] not in ("body", "input", "textarea", "iframe"):
            met.append(ring)
    assert len({ring["name"] for ring in met}) >= 20, "it gets about"
    pale = [ring for ring in met if ring["shown"] < 2 or contrast(*ring["colours"]) < 3]
    assert {f"{ring['tag']} {ring['name'][:40]}" for ring in pale} == set()


@pytest.mark.slow
@pytest.mark.parametrize(("path", "scheme"), list(product(PATHS, SCHEMES)))
def test_no_barrier_in_what_a_button_opens(visit: Visit, path: str, scheme: str) -> None:
    page = visit(1440, 900, scheme, path=path, first=FIRST)
    settled(page)
    buttons = page.locator("[data-testid=stMain] [data-testid=stPopover] button")
    assert buttons.count()
    for button in buttons.all():
        button.click()
        page.locator(POPOVER).wait_for()
        settled(page)
        assert barriers(page, POPOVER) == []
        page.keyboard.press("Escape")
        page.locator(POPOVER).wait_for(state="hidden")
