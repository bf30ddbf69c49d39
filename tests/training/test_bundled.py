"""The networks that come along are what their cards say, and what one command makes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from cam_core.images import ASSETS
from cam_core.models.trainable.checkpoints import load_checkpoint, preprocessing_of
from cam_core.training import TrainSettings, open_data
from cam_core.training.batches import evaluation_batches

MODELS = ASSETS / "models"
ARCHITECTURES = ("lfi", "baseline", "abn")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_held_out_accuracy_is_that_of_the_card(arch: str) -> None:
    network, card = load_checkpoint(MODELS / f"{arch}_digits.safetensors")
    data = open_data("digits", count=2).held_out
    right = 0
    with torch.no_grad():
        for images, labels in evaluation_batches(data, preprocessing_of(card), 250):
            right += int((network(images).argmax(1) == labels).sum())
    # Another processor rounds otherwise, and an image or two may tip over.
    assert right / len(data) == pytest.approx(card["accuracy"], abs=0.005)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_defaults_are_what_they_were_trained_with(arch: str) -> None:
    card = json.loads((MODELS / f"{arch}_digits.json").read_text(encoding="utf-8"))
    default = {field.name: field.default for field in fields(TrainSettings)}
    changed = {name for name, value in card["training"].items() if default.get(name, value) != value}
    assert changed <= {"device", "threads"}  # the command in the model card names these two
    assert card["arch"] == arch and card["backbone"] == default["backbone"]


def test_they_are_small_and_credited() -> None:
    files = sorted(MODELS.glob("*"))
    assert sum(file.stat().st_size for file in files) < 4 << 20
    text = (MODELS / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(f"{arch}_digits" in text for arch in ARCHITECTURES)
    assert not [file for file in files if "/" + "tmp" in _text(file)]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.suffix != ".safetensors" else ""
