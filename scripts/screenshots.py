"""Photograph the app: the pictures in the README; or every page and state, light and dark, wide and narrow.

    python -m scripts.screenshots [--only NAME]             # docs/compare.png and its like, one for each page
    python -m scripts.screenshots FOLDER [--only NAME]

Needs Chromium or Chrome on PATH.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.serving import NO_BROWSER, ROOT, find_browser, serving

DOCS = ROOT / "docs"
README_WIDTH = 1440  # pixels
README_BYTES = 350_000
PATIENCE = 120_000  # milliseconds until a view must be there
SCHEMES = ("light", "dark")
WIDTHS = {1440: 900, 800: 1000, 390: 844}  # width → height, pixels


def settled(page: Page) -> None:
    """Nothing is being computed, and nothing is being drawn."""
    page.wait_for_selector('img[alt*=" heatmap "], img[alt*=" of its pixels "]', timeout=PATIENCE)
    busy = "[data-testid=stProgress], [data-testid=stStatusWidget]"
    calm = 0
    while calm < 4:  # between two looks of a polling tile there is a moment that seems calm
        page.wait_for_function(f"!document.querySelector('{busy}')", timeout=PATIENCE)
        page.wait_for_timeout(400)
        calm = 0 if page.locator(busy).count() else calm + 1


def running(page: Page) -> None:
    """One tile is still being computed, and the others are there."""
    page.wait_for_selector("[data-testid=stProgress]", timeout=PATIENCE)
    page.wait_for_selector('img[alt*=" heatmap "]', timeout=PATIENCE)
    page.wait_for_selector("text=/Computing · \\d+ %/", timeout=PATIENCE)
    page.wait_for_timeout(1500)


def cancelled(page: Page) -> None:
    """A long computation was cancelled; the others stay."""
    running(page)
    page.get_by_role("button", name="Cancel").first.click()
    page.wait_for_selector("text=/Cancelled/", timeout=PATIENCE)
    settled(page)


def bottom(page: Page) -> None:
    """Scrolled down to the agreement of the methods."""
    settled(page)
    page.get_by_text("Spearman").scroll_into_view_if_needed()
    page.wait_for_timeout(800)


def bad_upload(page: Page) -> None:
    """A file that is no image was uploaded."""
    settled(page)
    page.get_by_text("Upload", exact=True).first.click()
    page.set_input_files(
        "input[type=file]", {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": b"not an image"}
    )
    page.wait_for_selector("text=This file cannot be used", timeout=PATIENCE)
    page.wait_for_timeout(1000)


def parameters(page: Page) -> None:
    """The methods' parameters and the settings of the computation are open."""
    running(page)
    page.get_by_text("Parameters", exact=True).click()
    page.get_by_text("Computation", exact=True).click()
    page.wait_for_timeout(2000)


def growing(page: Page) -> None:
    """Curves are being computed."""
    page.wait_for_selector("text=/Computing the curves · \\d+ %/", timeout=PATIENCE)
    page.wait_for_selector('img[alt*=" of its pixels "]', timeout=PATIENCE)
    page.wait_for_timeout(1500)


def curves_cancelled(page: Page) -> None:
    """Curves were cancelled halfway, and stay."""
    growing(page)
    page.get_by_role("button", name="Cancel").first.click()
    page.wait_for_selector("text=/What was computed stays/", timeout=PATIENCE)
    page.wait_for_timeout(1500)


def bar_clicked(page: Page) -> None:
    """A bar of the Channels page was clicked, and its channel's map is shown."""
    settled(page)
    box = page.locator(".st-key-channel-bars .barlayer .trace").first.locator(".point").nth(4).bounding_box()
    if box is None:
        raise RuntimeError("the page has no bars")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("location.search.includes('channel=')", timeout=PATIENCE)
    settled(page)


def scrolled_to(heading: str) -> Callable[[Page], None]:
    """Scrolled down to a heading."""

    def scroll(page: Page) -> None:
        settled(page)
        page.get_by_role("heading", name=heading).evaluate("element => element.scrollIntoView()")
        page.wait_for_timeout(800)

    return scroll


def estimate_growing(page: Page) -> None:
    """Shapley values are still being estimated; what there is of them is drawn."""
    page.wait_for_selector(".st-key-growing-convergence .js-plotly-plot", timeout=PATIENCE)
    page.wait_for_timeout(4000)


def estimate_cancelled(page: Page) -> None:
    """The estimate was cancelled; what there was by then stays."""
    estimate_growing(page)
    page.get_by_role("button", name="Cancel").first.click()
    page.wait_for_selector("text=What was estimated by then stays.", timeout=PATIENCE)
    settled(page)


def converged(page: Page) -> None:
    """The estimate is there, and is one to trust."""
    page.locator(".stMarkdownBadge", has_text=re.compile("Converged")).first.wait_for(timeout=PATIENCE)
    settled(page)


def complete(page: Page) -> None:
    """No area under a curve is missing or approximate."""
    settled(page)
    page.wait_for_function("!/[≈…]/.test(document.querySelector('.cam-table').innerText)", timeout=PATIENCE)


@dataclass(frozen=True)
class View:
    """One state of one page: its address, and what to do and wait for before it is photographed."""

    name: str
    path: str
    link: dict[str, str | list[str]]
    prepare: Callable[[Page], None] = settled
    height: int = 900  # pixels, of the README's pictures

    def address(self, server: str) -> str:
        return f"{server}{self.path}?{urlencode(self.link, doseq=True)}"


SEVERAL = ["Grad-CAM", "Grad-CAM++", "LIFT-CAM", "Eigen-CAM"]
MANY = ["Grad-CAM", "Grad-CAM++", "HiResCAM", "LayerCAM", "Eigen-CAM", "LIFT-CAM", "Ablation-CAM", "Random (control)"]

VIEWS = (
    View("compare", "/", {}),
    View("compare-many", "/", {"methods": MANY, "sample": "pair_dog_chelsea"}),
    View("compare-agreement", "/", {"methods": MANY, "sample": "pair_dog_chelsea"}, bottom),
    View("compare-signed", "/", {"methods": MANY[:4], "values": "Signed", "sample": "red_panda", "layer": "blocks.5"}),
    View("compare-running", "/", {"methods": ["Grad-CAM", "LIFT-CAM", "Score-CAM"], "sample": "panda"}, running),
    View("compare-cancelled", "/", {"methods": ["Grad-CAM", "Score-CAM"], "sample": "koala"}, cancelled),
    View("compare-failed", "/", {"methods": ["CAM", "Grad-CAM", "LIFT-CAM"], "layer": "blocks.4"}),
    View("compare-improbable", "/", {"class": "1"}),
    View("compare-unknown-link", "/", {"model": "resnet5000", "class": "4711"}),
    View("compare-bad-upload", "/", {"sample": "crab"}, bad_upload),
    View("compare-parameters", "/", {"methods": ["Grad-CAM", "Score-CAM"], "sample": "panda"}, parameters),
    View("classes", "/classes", {}),
    View("classes-channels", "/classes", {}, scrolled_to("Channels that tell them apart")),
    View("classes-alike", "/classes", {"methods": ["Eigen-CAM", "Grad-CAM++"], "layer": "blocks.5"}),
    View("channels", "/channels", {}),
    View("channels-clicked", "/channels", {"sample": "panda"}, bar_clicked),
    View("channels-steps", "/channels", {"sample": "red_panda"}, scrolled_to("From nothing to the logit")),
    View("channels-removed", "/channels", {"sample": "red_panda"}, scrolled_to("Take channels away")),
    View("channels-exact", "/channels", {"layer": "bn2", "beside": ["LIFT-CAM", "Ablation-CAM", "Grad-CAM"]}),
    View("channels-running", "/channels", {"budget": "20000", "sample": "koala"}, estimate_growing),
    View("channels-cancelled", "/channels", {"budget": "20000", "sample": "bison"}, estimate_cancelled),
    View("channels-failed", "/channels", {"beside": ["CAM", "LIFT-CAM"]}),
    View("deletion", "/deletion", {}),
    View("deletion-slider", "/deletion", {"methods": SEVERAL, "sample": "panda", "changed": "45"}),
    View("deletion-running", "/deletion", {"methods": SEVERAL, "steps": "224", "sample": "koala"}, growing),
    View("deletion-cancelled", "/deletion", {"steps": "224", "sample": "jaguar"}, curves_cancelled),
    View("deletion-failed", "/deletion", {"methods": ["CAM", "Grad-CAM"], "layer": "blocks.4", "steps": "14"}),
    View("deletion-improbable", "/deletion", {"class": "1", "score": "Logit", "steps": "14"}),
    View("benchmark", "/benchmark", {}),
    View("lfi", "/lfi", {}),
    View("figure", "/figure", {}),
    View("figure-contours", "/figure", {"style": "contours", "letters": "a", "zoom-1": "true", "venue": "nature-page"}),
    View("figure-networks", "/figure", {"columns": "Networks"}),
    View("lfi-table", "/lfi", {"from": "4"}, scrolled_to("Accuracy and stability")),
)
README_VIEWS = (
    # Two animals, the class of one of them, and a method (Eigen-CAM) that does not look at the class.
    View(
        "compare",
        "/",
        {"methods": ["Grad-CAM", "LIFT-CAM", "Eigen-CAM"], "sample": "pair_dog_chelsea", "class": "285"},
    ),
    View("channels", "/channels", {"budget": "512", "channel": "2"}, converged, 890),
    View(
        "deletion",
        "/deletion",
        {"methods": ["Grad-CAM", "LIFT-CAM", "Eigen-CAM"], "baseline": "Zero", "changed": "15"},
        complete,
        1255,
    ),
    View("lfi", "/lfi", {}, height=1365),
    View("classes", "/classes", {}, height=1000),
    View("benchmark", "/benchmark", {}, height=1100),
    View("figure", "/figure", {}, height=1000),
)


def photograph(browser: Browser, server: str, view: View, scheme: str, width: int, height: int, to: Path) -> None:
    """One picture of the whole window."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    try:
        page.goto(view.address(server))
        view.prepare(page)
        page.screenshot(path=to, animations="disabled")
    finally:
        page.close()


def shrink(picture: Path) -> None:
    """Round the colours, no more than needed, until the file is small: everybody downloads it with the README.

    The light ones stay, so that white is white.
    """
    with Image.open(picture) as image:
        full = image.convert("RGB")
    for step in (1, 2, 4, 6, 8, 10, 12):
        table = [round(value / step) * step if value < 230 else value for value in range(256)]
        full.point(table * 3).save(picture, optimize=True)
        if picture.stat().st_size < README_BYTES:
            return


def illustrate(browser: Browser, server: str, views: Iterable[View]) -> None:
    """The README's pictures."""
    for view in views:
        to = DOCS / f"{view.name}.png"
        photograph(browser, server, view, "light", README_WIDTH, view.height, to)
        shrink(to)
        print(f"{to.relative_to(ROOT)}: {to.stat().st_size / 1000:.0f} kB")


def survey(browser: Browser, server: str, views: Iterable[View], folder: Path) -> None:
    """Every view in every scheme and width."""
    folder.mkdir(parents=True, exist_ok=True)
    for view, scheme, (width, height) in product(views, SCHEMES, WIDTHS.items()):
        to = folder / f"{view.name}-{scheme}-{width}.png"
        photograph(browser, server, view, scheme, width, height, to)
        print(to)


def main() -> int:
    """Parse the command line and photograph; the exit code."""
    parser = argparse.ArgumentParser(description="Photograph the app.")
    parser.add_argument(
        "folder", nargs="?", type=Path, help="where pictures of all states go; without it, the README's"
    )
    parser.add_argument("--only", default="", help="only the views whose name contains this")
    arguments = parser.parse_args()
    executable = find_browser()
    if executable is None:
        print(NO_BROWSER, file=sys.stderr)
        return 2
    with (
        tempfile.TemporaryDirectory() as scratch,
        serving(Path(scratch) / "server.log") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        views = [view for view in (VIEWS if arguments.folder else README_VIEWS) if arguments.only in view.name]
        if arguments.folder is None:
            illustrate(browser, server, views)
        else:
            survey(browser, server, views, arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
