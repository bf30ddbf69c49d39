"""A server of the app and a real browser, once a session; a fresh visitor for every test."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.serving import serving
from tests.browser.visits import HEATMAP, PATIENCE, Visit


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "server.log") as address:
        yield address


@pytest.fixture(scope="session")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What the visitors saw when a test failed: of a machine that nobody can look at, the report is all there is."""
    report = yield
    if report.failed:
        for number, page in enumerate(item.funcargs.get("seen_pages", ())):
            report.sections.append((f"visitor {number}", _described(page)))
    return report


def _described(page: Page) -> str:
    pictures = page.evaluate(
        f"[...document.querySelectorAll('{HEATMAP}')].map(p => `${{p.alt}}: ${{p.complete}}, ${{p.naturalWidth}} px`)"
    )
    running = page.locator("[data-testid=stProgress], [data-testid=stStatusWidget]").count()
    return "\n".join([page.url, *pictures, f"{running} signs of work", page.locator("body").inner_text()])


@pytest.fixture
def seen_pages() -> list[Page]:
    """Every page that the test's visitors have opened."""
    return []


@pytest.fixture
def visit(browser: Browser, server: str, seen_pages: list[Page]) -> Iterator[Visit]:
    """`visit(sample="panda", methods=["CAM"])`: a new visitor follows a link and waits until the first map is there.

    `path` is that of a page, `first` the selector of what it is to have.
    """
    contexts = []

    def visit(
        width: int = 1280,
        height: int = 900,
        scheme: str = "light",
        path: str = "/",
        first: str = HEATMAP,
        **link: str | list[str],
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        seen_pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.goto(f"{server}{path}?{urlencode(link, doseq=True)}")
        page.wait_for_selector(first)
        return page

    yield visit
    for context in contexts:
        context.close()
