"""A folder of small photos that a tiny network learns in a second: red and blue squares on grey noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cam_core.training import TrainSettings

SIZE = 16


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for label, channel in (("blue", 2), ("red", 0)):
        (folder / label).mkdir()
        for index in range(20):
            pixels = generator.integers(90, 130, (SIZE, SIZE, 3), dtype=np.uint8)
            top, left = generator.integers(0, SIZE - 6, 2)
            pixels[top : top + 6, left : left + 6, channel] = 255
            Image.fromarray(pixels).save(folder / label / f"{index}.png")
    return folder


@pytest.fixture
def small(photos: Path, tmp_path: Path) -> Callable[..., TrainSettings]:
    """Settings of a run of seconds, in a folder of its own."""

    def settings(**changes: Any) -> TrainSettings:
        base: dict[str, Any] = {
            "out": tmp_path / "run",
            "arch": "lfi",
            "backbone": "resnet8",
            "data": str(photos),
            "size": SIZE,
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 0.05,
            "device": "cpu",
        }
        return TrainSettings(**base | changes)

    return settings
