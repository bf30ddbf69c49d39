"""What visitors have in common: how long they wait, and for what."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

PATIENCE = 120_000  # milliseconds: for a busy machine; what is slower is broken
HEATMAP = 'img[alt*=" heatmap "]'
# Streamlit's own word comes first: its signs of work show only after a moment, and what was there stands till then.
CALM = """(document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stProgress], [data-testid=stStatusWidget]'))"""

Visit = Callable[..., Page]


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


def run_stopped_and_resumed(page: Page) -> None:
    """A benchmark over the evaluation photos, cancelled after the first of them and resumed, until it is done."""
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text(re.compile(r"^Last: \w+\.jpg")).wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text(re.compile(r"Cancelled at \d+ %")).wait_for()
    wait_for_calm(page)  # a click in the midst of a redrawing can be lost
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Resume").wait_for(state="detached")
    page.get_by_text("45 images · layer").wait_for(timeout=2 * PATIENCE)  # said of a table that is whole


def use_checkpoint(page: Page, weights: Path, labels: Path, architecture: str) -> None:
    """Give a checkpoint to My network …, and wait until the link names it."""
    page.get_by_role("button", name="My network").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Checkpoint", exact=True).click()
    files = dialog.locator("input[type=file]")
    for place, file in enumerate((weights, labels)):
        files.nth(place).set_input_files(file)
        dialog.get_by_text(file.name).wait_for()
    box = dialog.get_by_role("combobox", name="Architecture")
    box.click()
    box.fill(architecture)
    page.get_by_role("option", name=architecture, exact=True).click()
    dialog.get_by_role("button", name="Use this network").click()
    dialog.wait_for(state="hidden")
    wait_for_link(page, f"model=upload-{architecture}-")
