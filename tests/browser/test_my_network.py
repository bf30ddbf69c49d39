"""A network of the visitor's own: a checkpoint is uploaded, explained, and there when the page is loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.browser.visits import HEATMAP, Visit, use_checkpoint, wait_for_tiles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.mark.slow
def test_a_checkpoint_is_uploaded_and_explained(visit: Visit, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "pets.safetensors")
    (tmp_path / "labels.txt").write_text("cat\ndog\neel\n", encoding="utf-8")
    page = visit(methods=["Grad-CAM", "HiResCAM"])
    use_checkpoint(page, tmp_path / "pets.safetensors", tmp_path / "labels.txt", "timm:test_resnet")
    page.wait_for_selector("text=/timm:test_resnet, 3 classes, your labels/")
    wait_for_tiles(page, 2)
    alt = page.locator(HEATMAP).first.get_attribute("alt") or ""
    assert any(f"for {label} over" in alt for label in ("cat", "dog", "eel"))
    page.reload()
    page.wait_for_selector("text=/timm:test_resnet, 3 classes, your labels/")
    wait_for_tiles(page, 2)
