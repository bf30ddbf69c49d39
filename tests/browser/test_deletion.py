"""What a person sees and clicks on the Deletion page, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import PATIENCE, Visit, wait_for_calm, wait_for_link

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

FRAME = 'img[alt*=" of its pixels "]'
# Points of Grad-CAM's deletion curve, and where the line of the slider stands, as plotly has them. While Streamlit is
# drawing, a chart may be there twice, as it was and as it is.
CHARTS = "[...document.querySelectorAll('.st-key-chart-deletion .js-plotly-plot')].filter(chart => chart._fullData)"
POINTS = f"""Math.max(0, ...{CHARTS}.map(
    chart => (chart._fullData.find(line => /^grad-cam(\\+\\+)?$/.test(line.name)) || {{y: []}}).y.length))"""
MARKS = f"{CHARTS}.map(chart => chart._fullLayout?.shapes?.[0]?.x0)"


def points(page: Page) -> int:
    found: int = page.evaluate(POINTS)
    return found


def wait_for_points(page: Page, more_than: int) -> None:
    page.wait_for_function(f"least => {POINTS} > least", arg=more_than)


def wait_for_mark(page: Page, fraction: float) -> None:
    page.wait_for_function(f"fraction => {MARKS}.includes(fraction)", arg=fraction)


@pytest.mark.slow
def test_curves_grow_and_a_cancel_keeps_them(visit: Visit) -> None:
    page = visit(path="/deletion", first=FRAME, methods=["Grad-CAM", "Grad-CAM++"], steps="224", sample="koala")
    wait_for_points(page, 1)
    before = points(page)
    page.wait_for_timeout(1000)
    wait_for_points(page, before)  # at once on a machine that is at leisure
    expect(page.get_by_text("Computing the curves")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("What was computed stays").wait_for()
    page.wait_for_timeout(3000)  # the batch that was under way
    kept = points(page)
    assert before < kept < 225
    page.wait_for_timeout(1500)
    assert points(page) == kept
    page.get_by_role("button", name="Continue").click()
    wait_for_points(page, kept)
    assert "Traceback" not in page.content()


# All that answers the page's question, by what it is called in the page.
IN_SIGHT = (".st-key-chart-deletion", ".st-key-chart-insertion", ".st-key-player", FRAME)


def test_curves_slider_and_pictures_are_in_sight_together(visit: Visit) -> None:
    page = visit(1440, 900, path="/deletion", first=FRAME)
    wait_for_mark(page, 0.2)
    wait_for_calm(page)
    boxes = {name: [entry.bounding_box() for entry in page.locator(name).all()] for name in IN_SIGHT}
    assert [len(found) for found in boxes.values()] == [1, 1, 1, 6]
    for name, found in boxes.items():
        for box in found:
            assert box is not None
            assert box["y"] >= 0 and box["y"] + box["height"] <= 900, f"{name} ends below the window: {box}"
    (deletion,), (insertion,), (player,), frames = boxes.values()
    assert deletion["y"] == insertion["y"] and deletion["height"] == insertion["height"], "side by side"
    assert 0 <= player["y"] - (deletion["y"] + deletion["height"]) < 60, "the slider stands right under the curves"
    assert all(frame["x"] > insertion["x"] + insertion["width"] for frame in frames), "the pictures stand beside them"
    scales = page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].map(c => c._fullLayout)"
        ".map(layout => [layout.xaxis.range, layout.yaxis.range])"
    )
    assert len(scales) == 2 and scales[0] == scales[1]


# How visible each curve and dot is, by its place: 0 is the control's.
OPACITIES = f"""{CHARTS}.flatMap(chart => [...chart.querySelectorAll('.trace[style*=opacity]')].map(trace => [
    10000 - 10000 * trace.style.opacity - 1, Number(getComputedStyle(trace).opacity)]))"""
FADED = (
    f"[...new Set({OPACITIES}.filter(([place, opacity]) => opacity < 0.2).map(([place]) => Math.round(place)))].sort()"
)


# Whether what the names select stands in their order, and all of it in so many pixels of height.
IN_ORDER_AND_WITHIN = """([names, limit]) => {
    const boxes = names.map(name => document.querySelector(name)?.getBoundingClientRect());
    return boxes.every((box, i) => box && (!i || boxes[i - 1].top < box.top))
        && boxes.at(-1).bottom - boxes[0].top <= limit;
}"""


@pytest.mark.slow
def test_a_row_of_the_table_lights_its_curve(visit: Visit) -> None:
    page = visit(390, 844, path="/deletion", first=FRAME, methods=["Grad-CAM++", "LIFT-CAM"], steps="14")
    wait_for_points(page, 14)
    wait_for_calm(page)
    for width, height in ((800, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        wait_for_calm(page)
        # Waited for: where the window gets another size, not all of the page moves at the same moment.
        page.wait_for_function(IN_ORDER_AND_WITHIN, arg=[[".cam-legend", *IN_SIGHT[:3]], height - 100])
    cell = page.get_by_role("row", name="LIFT-CAM").first.get_by_role("cell").last
    cell.scroll_into_view_if_needed()
    box = cell.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function(f"{FADED}.length")
    assert page.evaluate(FADED) == [0, 1], "the control's and the first method's"
    assert {round(place) for place, _ in page.evaluate(OPACITIES)} == {0, 1, 2}
    page.get_by_role("radio", name="LIFT-CAM").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"{FADED}.join() === '0,2'")
    page.locator(".cam-legend").get_by_text("All").click()
    page.wait_for_function(f"{FADED}.length === 0")


@pytest.mark.slow
def test_charts_do_not_move_when_the_curves_are_complete(visit: Visit) -> None:
    page = visit(1440, 900, path="/deletion", first=FRAME, steps="112", sample="lemur")
    page.locator(".st-key-chart-deletion").wait_for()
    page.get_by_text("Computing the curves").wait_for()
    page.locator(".st-key-player").wait_for()
    places = []
    while page.get_by_text("Computing the curves").count():
        places.append([page.locator(name).first.bounding_box() for name in IN_SIGHT])
        page.wait_for_timeout(200)
    wait_for_calm(page)
    places.append([page.locator(name).first.bounding_box() for name in IN_SIGHT])
    drawn = [place for place in places if None not in place]  # while it is redrawn, a chart has no place for a moment
    assert len(drawn) > 2 and all(place == places[-1] for place in drawn)


def test_a_metric_explains_itself_to_keys(visit: Visit) -> None:
    page = visit(390, 844, path="/deletion", first=FRAME, methods="Grad-CAM", curves="Deletion", steps="14")
    wait_for_calm(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    link = page.get_by_role("link", name="arXiv:1710.11063").first
    expect(link).to_be_hidden()
    page.get_by_text("Probability lost when only the marked part is shown").focus()
    page.keyboard.press("Enter")
    expect(link).to_be_visible()
    assert link.get_attribute("href") == "https://arxiv.org/abs/1710.11063"


@pytest.mark.slow
def test_the_slider_changes_pictures_and_marks_and_the_link(visit: Visit) -> None:
    page = visit(path="/deletion", first=FRAME, methods="Grad-CAM", steps="14", curves="Deletion", sample="panda")
    wait_for_points(page, 14)
    picture = page.locator(FRAME).first
    before = picture.get_attribute("src")
    wait_for_mark(page, 0.2)
    slider = page.get_by_role("slider", name="Pixels changed")
    expect(slider).to_have_count(1, timeout=PATIENCE)
    slider.focus()
    page.keyboard.press("End")
    page.locator('img[alt="Grad-CAM: the photo with 100 % of its pixels removed"]').wait_for()
    wait_for_mark(page, 1)
    assert picture.get_attribute("src") != before
    page.wait_for_function("decodeURIComponent(location.search).includes('changed=100')")
    slider.focus()
    page.keyboard.press("Home")
    page.locator('img[alt="Grad-CAM: the photo with 0 % of its pixels removed"]').wait_for()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Play").click()
    page.locator('img[alt="Grad-CAM: the photo with 100 % of its pixels removed"]').wait_for()


@pytest.mark.slow
def test_the_part_of_a_wide_photo_stands_in_the_link(visit: Visit) -> None:
    page = visit(path="/deletion", first=FRAME, methods="Grad-CAM", curves="Deletion", steps="14", sample="crab")
    middle = page.locator(FRAME).first.get_attribute("src")
    page.get_by_role("slider", name="Which part").focus()
    page.keyboard.press("Home")
    wait_for_link(page, "part=0")
    page.wait_for_function(
        "([picture, before]) => ![null, before].includes(document.querySelector(picture)?.getAttribute('src') ?? null)",
        arg=[FRAME, middle],
    )
    page.reload()
    part = page.get_by_role("slider", name="Which part")
    expect(part).to_have_value("0", timeout=PATIENCE)
    page.get_by_role("button", name="Red panda").first.click()
    expect(part).to_have_value("50", timeout=PATIENCE)
    page.get_by_role("button", name="Giant panda").first.click()
    expect(part).to_have_count(0, timeout=PATIENCE)
