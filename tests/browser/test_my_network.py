"""A network of the visitor's own: a checkpoint is uploaded, explained, and there when the page is loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.browser.visits import HEATMAP, Visit, wait_for_link, wait_for_tiles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_checkpoint_is_uploaded_and_explained(visit: Visit, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "pets.safetensors")
    (tmp_path / "labels.txt").write_text("cat\ndog\neel\n", encoding="utf-8")
    page = visit(methods=["Grad-CAM", "HiResCAM"])
    page.get_by_role("button", name="My network").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Checkpoint", exact=True).click()
    files = dialog.locator("input[type=file]")
    files.nth(0).set_input_files(tmp_path / "pets.safetensors")
    dialog.get_by_text("pets.safetensors").wait_for()
    files.nth(1).set_input_files(tmp_path / "labels.txt")
    dialog.get_by_text("labels.txt").wait_for()
    architecture = dialog.get_by_role("combobox", name="Architecture")
    architecture.click()
    architecture.fill("timm:test_resnet")
    page.get_by_role("option", name="timm:test_resnet", exact=True).click()
    dialog.get_by_role("button", name="Use this network").click()
    dialog.wait_for(state="hidden")
    wait_for_link(page, "model=upload-timm:test_resnet-")
    page.wait_for_selector("text=/timm:test_resnet, 3 classes, your labels/")
    wait_for_tiles(page, 2)
    alt = page.locator(HEATMAP).first.get_attribute("alt") or ""
    assert any(f"for {label} over" in alt for label in ("cat", "dog", "eel"))
    page.reload()
    page.wait_for_selector("text=/timm:test_resnet, 3 classes, your labels/")
    wait_for_tiles(page, 2)
