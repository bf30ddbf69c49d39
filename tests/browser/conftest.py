"""A server of the app and a real browser, once a session; a fresh visitor for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.serving import serving

PATIENCE = 120_000  # milliseconds: for a busy machine; what is slower is broken
HEATMAP = 'img[alt*=" heatmap "]'
# Streamlit's own word comes first: its signs of work show only after a moment, and what was there stands till then.
CALM = """(document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stProgress], [data-testid=stStatusWidget]'))"""


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


Visit = Callable[..., Page]


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


def tile(page: Page, method: str) -> str:
    """The address of a method's picture, which is its content."""
    picture = page.locator(f'img[alt^="{method} heatmap "]')
    picture.wait_for()
    return picture.get_attribute("src") or ""


def wait_for_tiles(page: Page, count: int) -> None:
    """Until so many heatmaps are there, loaded, and nothing is running."""
    page.wait_for_function(
        f"""() => {{
            const pictures = [...document.querySelectorAll('{HEATMAP}')];
            return pictures.length === {count} && pictures.every(p => p.complete && p.naturalWidth > 0) && {CALM};
        }}"""
    )


def wait_for_another_tile(page: Page, method: str, before: str) -> None:
    """Until a method's picture is another than `before`: the old tiles stand until the new ones come."""
    page.wait_for_function(
        "([picture, before]) => ![null, before].includes(document.querySelector(picture)?.getAttribute('src') ?? null)",
        arg=[f'img[alt^="{method} heatmap "]', before],
    )


def wait_for_calm(page: Page) -> None:
    """Until nothing is computed or drawn."""
    page.wait_for_function(CALM)


def wait_for_link(page: Page, part: str) -> None:
    """Until the page's address contains `part`."""
    page.wait_for_function("part => decodeURIComponent(location.search).includes(part)", arg=part)


def save(page: Page, folder: Path) -> Path:
    """A picture of the page, for a failing test's message."""
    path = folder / "page.png"
    page.screenshot(path=path)
    return path
