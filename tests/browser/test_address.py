"""The address in a real browser: Back and Forward step through a visitor's choices, and a button copies the link."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import HEATMAP, Visit, wait_for_calm

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SIGNED = ".st-key-values [aria-checked=true]"


def wait_for_address(page: Page, *parts: str) -> None:
    """Until the address has exactly these parameters, and the page stands still."""
    page.wait_for_function(
        "parts => decodeURIComponent(location.search.slice(1)).split('&').filter(Boolean).sort().join() === parts",
        arg=",".join(sorted(parts)),
    )
    wait_for_calm(page)


@pytest.mark.slow
def test_back_and_forward_step_through_the_choices(visit: Visit) -> None:
    page = visit()
    wait_for_calm(page)
    entries = page.evaluate("history.length")
    photo, values = page.locator(".st-key-seen img"), page.locator(SIGNED)
    page.get_by_role("button", name="Giant panda").first.click()
    wait_for_address(page, "sample=panda")
    page.locator(".st-key-values").get_by_text("Signed", exact=True).click()
    wait_for_address(page, "sample=panda", "values=Signed")
    page.get_by_role("slider", name="Opacity").focus()
    for _ in range(3):  # quickly, as somebody does who looks for the right place
        page.keyboard.press("ArrowRight")
    wait_for_address(page, "sample=panda", "values=Signed", "opacity=0.65")
    assert page.evaluate("history.length") == entries + 3, "one entry per choice"

    page.go_back()
    wait_for_address(page, "sample=panda", "values=Signed")
    expect(page.get_by_role("slider", name="Opacity")).to_have_value("0.5")
    page.go_back()
    wait_for_address(page, "sample=panda")
    expect(values).to_have_text("Positive")
    page.go_back()
    wait_for_address(page)
    expect(photo).to_have_attribute("alt", re.compile("^Dog,"))
    page.go_forward()
    wait_for_address(page, "sample=panda")
    expect(photo).to_have_attribute("alt", re.compile("^Giant panda,"))
    page.get_by_role("link", name="Channels").click()
    expect(page).to_have_title("Channels · CAMscope")
    wait_for_calm(page)
    page.go_back()
    expect(page).to_have_title("Compare · CAMscope")
    wait_for_address(page, "sample=panda")
    expect(page.get_by_role("slider", name="Opacity")).to_have_value("0.5")


def test_the_link_is_copied_and_compare_has_a_name(visit: Visit) -> None:
    page = visit(path="/compare", sample="panda", methods=["CAM", "Grad-CAM"])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    wait_for_calm(page)
    assert "/compare" not in page.url and "methods=CAM&methods=Grad-CAM" in page.url and "sample=panda" in page.url
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/", HEATMAP),
        pytest.param("/classes", 'img[alt^="Where channel "]', marks=pytest.mark.slow),
        pytest.param("/channels", 'img[alt^="Channel "]', marks=pytest.mark.slow),
        ("/deletion", ".st-key-frames-deletion img"),
        pytest.param("/lfi", ".cam-board img", marks=pytest.mark.slow),
        pytest.param("/figure", "img.cam-print", marks=pytest.mark.slow),
        pytest.param("/benchmark", HEATMAP, marks=pytest.mark.slow),
    ],
)
def test_every_button_has_a_name_of_its_own(visit: Visit, path: str, first: str) -> None:
    page = visit(path=path, first=first)
    wait_for_calm(page)
    names = re.findall(r'button "((?:[^"\\]|\\.)*)"', page.locator("body").aria_snapshot())
    own = Counter(name for name in names if name not in ("Open", "Increment", "Decrement"))  # Streamlit's own words
    assert len(own) > 5
    assert [name for name, count in own.items() if count > 1] == []


def test_a_file_that_is_too_large_is_refused_with_the_reason_and_the_limit(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    wait_for_calm(page)
    page.locator(".st-key-source").get_by_text("Upload", exact=True).click()
    large = tmp_path / "large.png"
    with large.open("wb") as stream:
        stream.truncate(26 << 20)
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(large)
    reason = page.locator("[data-testid=stFileChip] [role=alert]")
    expect(reason).to_have_text(re.compile("must be 25.* or smaller"))
    size = reason.bounding_box()
    assert size is not None and size["width"] > 100 and size["height"] > 10, "it is to be seen, not only heard"
