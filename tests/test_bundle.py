"""Many files in one, which other programs open and check."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from cam_core.files import CHECKSUMS, bundle

FILES = {"maps/grad-cam.npy": b"\x00\x01" * 300, "settings.json": "{“ä”}".encode(), "README.txt": b""}


def test_every_file_comes_back() -> None:
    with zipfile.ZipFile(BytesIO(bundle(FILES))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist() if name != CHECKSUMS} == FILES


def test_the_same_files_in_another_order_give_the_same_bytes() -> None:
    assert bundle(FILES) == bundle(dict(reversed(FILES.items())))
    assert bundle(FILES) != bundle(FILES | {"README.txt": b"other"})


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not on this machine")
def test_the_checksums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(bundle(FILES))) as archive:
        archive.extractall(tmp_path)
    check = ["sha256sum", "--check", "--strict", CHECKSUMS]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "settings.json").write_bytes(b"changed")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode != 0
