"""Folders of small photos for the tests of engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("a.png", "b.png", "c/a.png", "d.png")


def noise_photos(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Noise, none of it white."""
    generator = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 200, (5, 6, 3), dtype=np.uint8)).resize((30, 24)).save(path)
    return folder


def lethal_photos(folder: Path) -> Path:
    """Two, of which c.png ends whoever shows it to `tests.engine.networks.lethal`."""
    noise_photos(folder, ("a.png",))
    Image.new("RGB", (30, 24), "white").save(folder / "c.png")
    return folder
