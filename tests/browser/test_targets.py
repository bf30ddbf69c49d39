"""What to explain, chosen in the sidebar of a real browser; the sides of small networks; a transformer by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from playwright.sync_api import Locator, Page, TimeoutError, expect
from safetensors.torch import save_file

from tests.browser.visits import (
    HEATMAP,
    Visit,
    tile,
    use_checkpoint,
    wait_for_another_tile,
    wait_for_link,
    wait_for_tiles,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def choose(page: Page, label: str, option: str) -> None:
    opened(page, label, re.compile(f"^{re.escape(option)}( ·|$)"), typed=option).click()


def opened(page: Page, label: str, option: str | re.Pattern[str], typed: str = "") -> Locator:
    """An option of a list that is opened for it: again where the page was drawn meanwhile, which closes it."""
    box, wanted = page.get_by_role("combobox", name=label), page.get_by_role("option", name=option)
    for _ in range(10):
        box.click()
        if typed:
            box.fill(typed)
        try:
            wanted.wait_for(timeout=5000)
        except TimeoutError:
            box.blur()  # not Escape: that would close a dialog around it
        else:
            return wanted
    raise AssertionError(f"{label} does not offer {option}")


@pytest.mark.slow
def test_why_this_class_and_not_that_one_is_asked_in_the_sidebar_and_the_link_reopens_it(visit: Visit) -> None:
    page = visit(methods=["Grad-CAM"])
    before = tile(page, "Grad-CAM")
    choose(page, "What to explain", "It, and not another class")
    wait_for_another_tile(page, "Grad-CAM", before)
    between = tile(page, "Grad-CAM")
    choose(page, "And not", "tabby")
    wait_for_another_tile(page, "Grad-CAM", between)
    wait_for_tiles(page, 1)
    wait_for_link(page, "target=difference&rival=281")
    assert page.locator(HEATMAP).get_attribute("alt") == "Grad-CAM heatmap for German shepherd − tabby over the photo"
    expect(page.get_by_text("What in this photo speaks for German shepherd and not tabby?")).to_be_visible()
    asked = tile(page, "Grad-CAM")
    page.goto(page.url)
    page.wait_for_selector(HEATMAP)
    wait_for_tiles(page, 1)
    assert tile(page, "Grad-CAM") == asked


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "labels", "sides"), [(2, "cat\ndog\n", {"cat", "dog"}), (1, "sick\n", {"sick", "not sick"})]
)
def test_a_small_network_shows_its_two_sides(
    visit: Visit, tmp_path: Path, classes: int, labels: str, sides: set[str]
) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=classes).state_dict(), tmp_path / "own.safetensors")
    (tmp_path / "labels.txt").write_text(labels, encoding="utf-8")
    page = visit(methods=["Grad-CAM"])
    use_checkpoint(page, tmp_path / "own.safetensors", tmp_path / "labels.txt", "timm:test_resnet")
    for side in sorted(sides):
        choose(page, "Class to explain", side)
        page.wait_for_selector(f'img[alt="Grad-CAM heatmap for {side} over the photo"]')
    named = page.locator("[class*=st-key-class-] button").all_inner_texts()
    assert {text.split("\n")[0] for text in named if text} == sides
    opened(page, "What to explain", "Its probability")
    offered = page.get_by_role("option").all_inner_texts()
    assert ("What the network returns" in offered) == (classes == 1)
    assert ("It, and not another class" in offered) == (classes == 2)
    assert "It together with other classes" not in offered


@pytest.mark.slow
def test_a_transformer_of_random_weights_by_its_name_says_so_and_has_a_map(visit: Visit) -> None:
    page = visit(methods=["Grad-CAM"])
    page.get_by_role("button", name="My network").click()
    dialog = page.get_by_role("dialog")
    choose(page, "A network of timm", "test_vit.r160_in1k")
    dialog.get_by_text("Random (untrained)").click()
    dialog.get_by_text("It will have learnt nothing").wait_for()
    dialog.get_by_role("button", name="Use this network").click()
    dialog.wait_for(state="hidden")
    wait_for_link(page, "model=timm:test_vit")
    page.get_by_text("Untrained network: random weights, seed 0. It has learnt nothing").wait_for()
    wait_for_tiles(page, 1)
    assert tile(page, "Grad-CAM")
    layer = page.get_by_role("combobox", name="Layer").input_value() or page.locator(
        "[data-testid=stSelectbox]", has_text="Layer"
    ).inner_text()  # fmt: skip
    assert "blocks." in layer or "norm" in layer
