"""What a person sees and clicks on the Compare page, in a real browser."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from cam_core import SAMPLES
from scripts.serving import serving
from tests.browser.colours import LETTERS, contrast
from tests.browser.visits import (
    HEATMAP,
    PATIENCE,
    Visit,
    tile,
    wait_for_another_tile,
    wait_for_calm,
    wait_for_link,
    wait_for_tiles,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def pixels(page: Page, method: str) -> np.ndarray:
    shot = page.locator(f'img[alt^="{method} heatmap "]').screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=float)


def choose_method(page: Page, title: str) -> None:
    box = page.get_by_role("combobox", name="Methods")
    box.click()
    box.press_sequentially(title)
    page.get_by_role("option", name=title, exact=True).click()
    page.keyboard.press("Escape")


def received(page: Page) -> list[bytes]:
    """What the server sends from now on, as it comes."""
    messages: list[bytes] = []
    session = page.context.new_cdp_session(page)
    session.on(
        "Network.webSocketFrameReceived",
        lambda event: messages.append(base64.b64decode(event["response"]["payloadData"])),
    )
    session.send("Network.enable")
    return messages


def test_first_sight_without_a_click(visit: Visit) -> None:
    failed: list[str] = []
    page = visit()
    aborted = "net::ERR_ABORTED"  # what was under way when the page was loaded again
    page.on("requestfailed", lambda request: failed.append(request.url) if request.failure != aborted else None)
    wait_for_tiles(page, 2)
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    assert page.locator('img[alt^="Dog, with the frame"]').is_visible()
    drawn = "buttons => buttons.map(button => getComputedStyle(button).backgroundImage.startsWith('url('))"
    pictures = page.locator(".st-key-gallery button").evaluate_all(drawn)
    assert len(pictures) >= len(SAMPLES) and all(pictures), "the chosen one's picture too"
    one, two = pixels(page, "Grad-CAM"), pixels(page, "LIFT-CAM")
    assert one.std() > 20 and np.abs(one - two).mean() > 1, "two different heatmaps, not two blank pictures"
    assert page.locator('[aria-label^="Colour bar"]').count() == 2
    assert page.get_by_text("German shepherd").count() > 1
    assert "Traceback" not in page.content()
    page.wait_for_function("performance.getEntriesByType('resource').some(r => r.name.includes('PlotlyChart'))")
    page.reload()
    wait_for_tiles(page, 2)
    assert not failed, "nothing is fetched from elsewhere"


@pytest.mark.slow
def test_while_maps_are_computed_their_bars_move_and_nothing_else(visit: Visit) -> None:
    page = visit(methods=["Grad-CAM", "SS-CAM", "IS-CAM"], layer="blocks.4")
    picture = page.locator('img[alt^="Grad-CAM heatmap "]')
    picture.wait_for()
    bars = page.locator(".st-key-tiles-compare [data-testid=stProgress]")
    expect(bars).to_have_count(2)
    picture.evaluate("picture => { picture.marked = true }")
    top = picture.bounding_box()
    watch = """() => new Promise(done => {
        const texts = new Set(), holes = []
        const look = () => {
            const bars = [...document.querySelectorAll('.st-key-tiles-compare [data-testid=stProgress]')]
            if (bars.length !== 2) holes.push(bars.length)
            texts.add(bars.map(bar => bar.innerText).join('|'))
        }
        const timer = setInterval(look, 20)
        setTimeout(() => { clearInterval(timer); done([texts.size, holes.length]) }, 6000)
    })"""
    texts, holes = page.evaluate(watch)
    assert texts >= 3, "the bars move"
    assert holes == 0, "and never go away"
    assert picture.evaluate("picture => picture.marked"), "what stands is not drawn again"
    assert picture.bounding_box() == top


def test_adding_a_method_adds_a_tile_and_the_link_says_so(visit: Visit) -> None:
    page = visit()
    wait_for_tiles(page, 2)
    messages = received(page)
    choose_method(page, "HiResCAM")
    wait_for_tiles(page, 3)
    wait_for_link(page, "methods=HiResCAM")
    assert any(b"HiResCAM heatmap" in message for message in messages)
    assert not any(b"What to explain" in message for message in messages), "the sidebar is not sent again"


def test_opacity_changes_the_pictures_at_once(visit: Visit) -> None:
    page = visit()
    wait_for_tiles(page, 2)
    before = tile(page, "Grad-CAM")
    photo = page.locator('img[alt^="Dog, with"]').get_attribute("src")
    slider = page.get_by_role("slider", name="Opacity")
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    wait_for_link(page, "opacity=0.9")
    wait_for_another_tile(page, "Grad-CAM", before)
    assert page.locator('img[alt^="Dog, with"]').get_attribute("src") == photo


def test_a_link_reopens_the_view(visit: Visit, browser: Browser) -> None:
    link: dict[str, str | list[str]] = {
        "sample": "panda", "layer": "blocks.5", "class": "388", "methods": ["LayerCAM", "Grad-CAM"], "opacity": "0.75",
        "values": "Signed", "scale": "Shared",
    }  # fmt: skip
    first = visit(**link)
    wait_for_tiles(first, 2)
    again = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    again.goto(first.url)
    again.set_default_timeout(PATIENCE)
    wait_for_tiles(again, 2)
    assert [tile(again, method) for method in ("LayerCAM", "Grad-CAM")] == [
        tile(first, method) for method in ("LayerCAM", "Grad-CAM")
    ]
    assert again.url == first.url
    again.context.close()


def test_a_class_is_found_by_typing_its_name(visit: Visit) -> None:
    page = visit(sample="pair_dog_chelsea")
    wait_for_tiles(page, 2)
    box = page.get_by_role("combobox", name="Class to explain")
    box.click()
    box.press_sequentially("tabby")
    page.get_by_role("option", name="tabby").first.click()
    page.wait_for_selector('img[alt*="heatmap for tabby"]')
    wait_for_link(page, "class=281")


def test_a_slow_tile_fills_in_when_it_is_ready(visit: Visit) -> None:
    page = visit(methods=["Grad-CAM", "Ablation-CAM"], layer="blocks.6")
    page.wait_for_selector('img[alt^="Ablation-CAM heatmap "]')
    wait_for_tiles(page, 2)
    assert "Agreement" in page.locator("[data-testid=stMain]").inner_text()


@pytest.mark.slow
def test_a_long_job_can_be_cancelled_and_leaves_the_others(visit: Visit) -> None:
    page = visit(methods=["Score-CAM", "Grad-CAM"], sample="jaguar")
    page.wait_for_selector("text=/Computing · [1-9]\\d* %/")
    before = tile(page, "Grad-CAM")
    page.get_by_role("button", name="Cancel").click()
    done = int(page.wait_for_selector("text=/^Cancelled at/").inner_text().split()[2])
    assert tile(page, "Grad-CAM") == before
    assert page.locator(HEATMAP).count() == 1
    page.get_by_role("button", name="Continue").click()
    shown = page.wait_for_selector("text=/Computing · \\d+ %/").inner_text()
    assert int(shown.split()[2]) >= done > 0, "it goes on where it was"
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("text=/^Cancelled/")


def test_a_bad_upload_is_answered_and_what_was_there_stays(visit: Visit) -> None:
    page = visit(sample="crab")
    wait_for_tiles(page, 2)
    before = tile(page, "Grad-CAM")
    page.get_by_text("Upload", exact=True).first.click()
    page.set_input_files(
        "input[type=file]", {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8 not a photo"}
    )
    page.wait_for_selector("text=This file cannot be used")
    wait_for_tiles(page, 2)
    assert tile(page, "Grad-CAM") == before
    assert "Traceback" not in page.content()


def test_an_upload_is_explained(visit: Visit) -> None:
    page = visit(sample="crab")
    wait_for_tiles(page, 2)
    before = tile(page, "Grad-CAM")
    page.get_by_text("Upload", exact=True).first.click()
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    page.set_input_files("input[type=file]", {"name": "mine.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.wait_for_selector('img[alt^="mine.png, with the frame"]')
    wait_for_another_tile(page, "Grad-CAM", before)
    wait_for_tiles(page, 2)
    assert page.locator('img[alt*="heatmap for rock crab"]').count() == 0


def test_two_visitors_at_once_get_their_own_results(visit: Visit) -> None:
    one, two, alike = visit(sample="panda"), visit(sample="koala"), visit(sample="panda")
    for page in (one, two, alike):
        wait_for_tiles(page, 2)
    assert tile(one, "Grad-CAM") != tile(two, "Grad-CAM")
    assert tile(one, "Grad-CAM") == tile(alike, "Grad-CAM")
    assert one.locator('img[alt*="heatmap for giant panda"]').count() == 2
    assert two.locator('img[alt*="heatmap for koala"]').count() == 2


def test_a_short_job_of_one_visitor_gets_in_while_another_computes_for_long(visit: Visit) -> None:
    busy = visit(methods=["Score-CAM", "Grad-CAM"], sample="bison")
    busy.wait_for_selector("text=/Computing · \\d+ %/")
    quick = visit(sample="lemur")
    wait_for_tiles(quick, 2)
    assert busy.locator("[data-testid=stProgress]").count() == 1, "the long job is still at it"
    busy.get_by_role("button", name="Cancel").click()
    busy.wait_for_selector("text=/^Cancelled/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_windows_wrap_and_nothing_is_cut_off(visit: Visit, scheme: str) -> None:
    page = visit(width=800, scheme=scheme, methods=["Grad-CAM", "LIFT-CAM", "LayerCAM"])
    wait_for_tiles(page, 3)
    tops = [box["y"] for box in (p.bounding_box() for p in page.locator(HEATMAP).all()) if box]
    assert tops[0] == tops[1] < tops[2], "two tiles in the first row, one in the second"
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    light = sum(map(int, background[4:-1].split(","))) > 3 * 128
    assert light == (scheme == "light")


def test_on_a_phone_a_map_is_in_sight_above_what_changes_its_look(visit: Visit) -> None:
    page = visit(width=390, height=844)
    wait_for_tiles(page, 2)
    places = [page.locator(part).first.bounding_box() for part in (HEATMAP, ".st-key-look", ".cam-matrix")]
    tops = [place["y"] for place in places if place]
    assert len(tops) == 3 and tops == sorted(tops)
    assert tops[0] < 844 - 200, "more than half of the first map"


@pytest.mark.slow
def test_on_a_phone_the_sidebar_makes_way_for_what_was_chosen_in_it(visit: Visit) -> None:
    page = visit(width=390, height=844, methods=["Grad-CAM"])
    sidebar = page.locator("[data-testid=stSidebar]")
    opening = page.locator("[data-testid=stExpandSidebarButton]")
    opening.click()
    page.wait_for_function(f"{SIDEBAR}.getBoundingClientRect().right > 200")
    before = tile(page, "Grad-CAM")
    sidebar.get_by_role("button", name="Giant panda").click()
    page.wait_for_function(f"{SIDEBAR}.getBoundingClientRect().right <= 0")
    wait_for_another_tile(page, "Grad-CAM", before)
    wait_for_calm(page)
    opening.click()
    page.wait_for_function(f"{SIDEBAR}.getBoundingClientRect().right > 200")
    sidebar.get_by_role("link", name="Deletion").click()
    page.wait_for_function(f"{SIDEBAR}.getBoundingClientRect().right <= 0")
    page.get_by_role("heading", name="Deletion", exact=True).wait_for()


@pytest.mark.slow
def test_those_who_hear_the_page_hear_which_photo_and_class_are_chosen(visit: Visit) -> None:
    page = visit(methods=["Grad-CAM"])
    photos, classes = page.locator(".st-key-gallery"), page.locator(".st-key-classes")
    photos.get_by_role("button", name="Dog", pressed=True, exact=True).wait_for()
    assert photos.get_by_role("button", pressed=True).count() == 1
    classes.get_by_role("button", pressed=False).first.click()
    page.wait_for_function("document.querySelectorAll('.st-key-classes button')[1].ariaPressed === 'true'")
    photos.get_by_role("button", name="Giant panda").click()
    photos.get_by_role("button", name="Giant panda", pressed=True).wait_for()
    photos.get_by_role("button", name="Dog", pressed=False, exact=True).wait_for()
    assert classes.get_by_role("button", pressed=True).count() == 1


@pytest.mark.slow
def test_the_first_visitor_of_a_fresh_server_may_follow_a_link_to_a_page(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "server.log") as fresh:
        page = browser.new_page()
        page.goto(f"{fresh}/compare?sample=panda")
        page.wait_for_selector(HEATMAP, timeout=PATIENCE)
        assert page.get_by_role("combobox", name="Model").is_visible(), "the sidebar is there: app.py was run"
        page.close()


SIDEBAR = "document.querySelector('[data-testid=stSidebar]')"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chosen_methods_are_readable_in_both_themes(visit: Visit, scheme: str) -> None:
    page = visit(scheme=scheme)
    wait_for_tiles(page, 2)
    chips = page.locator(".stMultiSelect [data-tag]")
    expect(chips).to_have_count(2)
    for chip in chips.all():
        assert contrast(*chip.evaluate(LETTERS)) >= 4.5


def test_two_maps_fill_the_row_of_a_wide_screen_and_stay_in_sight(visit: Visit) -> None:
    page = visit(width=1440)
    wait_for_tiles(page, 2)
    one, two = (picture.bounding_box() for picture in page.locator(HEATMAP).all())
    row = page.locator(".st-key-tiles-compare").bounding_box()
    assert one and two and row
    assert one["y"] == two["y"] and one["width"] == two["width"]
    assert one["width"] + two["width"] > 0.93 * row["width"]
    assert one["y"] + one["height"] < 900
    photo = page.locator('img[alt^="Dog, with the frame"]')
    photo.hover()
    enlarge, seen = page.get_by_role("button", name="Fullscreen: Dog").bounding_box(), photo.bounding_box()
    assert enlarge and seen and enlarge["y"] >= seen["y"], "over the photo, not over the question above"


def test_photos_of_the_gallery_are_large_enough_to_be_told_apart(visit: Visit) -> None:
    page = visit(width=1440)
    page.wait_for_function(
        """() => (boxes => boxes.length >= 10 && boxes.every(box => box.width >= 44 && box.height >= 44))(
            [...document.querySelectorAll('.st-key-gallery button')].map(button => button.getBoundingClientRect())
            .filter(box => box.width))  // beside each there is one for its help, which nobody sees"""
    )


def test_a_click_on_a_class_explains_it_and_the_link_says_so(visit: Visit) -> None:
    page = visit(sample="pair_dog_chelsea")
    wait_for_tiles(page, 2)
    button = page.locator(".st-key-classes button").nth(1)
    name = button.locator("p").evaluate("p => p.firstChild.textContent").strip()
    button.click()
    page.wait_for_selector(f'img[alt*="heatmap for {name}"]')
    wait_for_link(page, "class=")
    wait_for_tiles(page, 2)


def test_methods_are_chosen_from_a_list_that_says_what_they_cost(visit: Visit) -> None:
    page = visit(layer="blocks.4")
    wait_for_tiles(page, 2)
    page.get_by_role("button", name="All methods, what they do and cost").click()
    entry = page.get_by_role("checkbox", name=re.compile(r"^HiResCAM · 1 pass"))
    entry.wait_for()
    assert page.get_by_text(re.compile(r"^SS-CAM · 3,920 passes ≈ ")).is_visible()
    paper = page.get_by_role("link", name="arXiv:2011.08891")
    assert paper.get_attribute("href") == "https://arxiv.org/abs/2011.08891"
    assert paper.get_attribute("target") == "_blank", "the app stays where it is"
    page.locator(".st-key-entry-methods-hires-cam label").click()
    wait_for_tiles(page, 3)
    assert entry.is_checked() and entry.is_visible(), "the list stays open"
    wait_for_link(page, "methods=HiResCAM")


MORE = "table => parseFloat(getComputedStyle(table).maskPosition)"  # per cent of the fade that is drawn in


def test_a_table_that_a_phone_cannot_show_whole_fades_where_there_is_more(visit: Visit) -> None:
    methods = ["Grad-CAM", "LIFT-CAM", "LayerCAM", "HiResCAM", "Eigen-CAM"]
    page = visit(width=390, height=844, methods=methods)
    wait_for_tiles(page, len(methods))
    table = page.get_by_role("region", name="Table")
    table.scroll_into_view_if_needed()
    assert table.evaluate("table => table.scrollWidth > table.clientWidth")
    assert table.evaluate(MORE) == 100
    table.evaluate("table => { table.scrollLeft = table.scrollWidth }")
    page.wait_for_function(f"table => ({MORE})(table) < 1", arg=table.element_handle())
    page.set_viewport_size({"width": 1440, "height": 900})
    page.wait_for_function("table => table.scrollWidth <= table.clientWidth", arg=table.element_handle())
    assert table.evaluate(MORE) == 0
