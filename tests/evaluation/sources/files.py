"""Photos and what tests of sources write beside them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from PIL import Image

LABELS = ("ant", "bee", "crane", "crane", "polar bear")


def photo(size: tuple[int, int] = (16, 12), kind: str = "PNG", orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 80, 160)).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def write(folder: Path, *names: str) -> Path:
    """The same photo under all these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photo())
    return folder


def packed(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path
