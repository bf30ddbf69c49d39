"""Every kind of zip that someone will upload: its images on disk and nothing else, or a refusal that leaves nothing."""

from __future__ import annotations

import io
import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cam_core.images import ArchiveError, ArchiveLimits, load_image, unpack_images
from cam_core.types import CamError


def photo(shade: int = 0, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 80, 160)).save(buffer, kind)
    return buffer.getvalue()


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def refused(archive: bytes, folder: Path, words: str, limits: ArchiveLimits | None = None) -> None:
    """One sentence, and nothing on disk: neither in the folder nor beside it."""
    with pytest.raises(ArchiveError, match=words) as caught:
        unpack_images(archive, folder / "new", limits)
    assert isinstance(caught.value, CamError)
    assert list(folder.iterdir()) == []


def test_images_lie_in_their_folders_as_they_were(tmp_path: Path) -> None:
    red, green = photo(200), photo(10, "JPEG")
    unpacked = unpack_images(packed(("ants/a.png", red), ("bees/deep/b.JPG", green)), tmp_path / "new")
    assert (unpacked.folder, unpacked.images, unpacked.skipped) == (tmp_path / "new", 2, 0)
    assert (unpacked.folder / "ants/a.png").read_bytes() == red
    assert (unpacked.folder / "bees/deep/b.JPG").read_bytes() == green
    assert load_image(unpacked.folder / "ants/a.png").getpixel((3, 3)) == (200, 80, 160)


def test_the_folder_around_everything_is_left_out_and_a_single_class_is_not(tmp_path: Path) -> None:
    around = packed(("pets/", b""), ("pets/cats/1.png", photo()), ("pets/dogs/1.png", photo(9)))
    assert unpack_images(around, tmp_path / "a").folder == tmp_path / "a" / "pets"
    assert unpack_images(packed(("cats/1.png", photo())), tmp_path / "b").folder == tmp_path / "b"


def test_what_is_no_image_is_skipped_and_counted(tmp_path: Path) -> None:
    inner = packed(("c/x.png", photo()))
    archive = packed(
        ("a/1.png", photo()), ("a/notes.txt", b"words"), ("a/2.png", b"no image at all"), ("more.zip", inner),
        ("a/tiny.png", b"\x89PNG\r\n\x1a\n"), ("a/run.sh", b"#!/bin/sh"),
    )  # fmt: skip
    unpacked = unpack_images(archive, tmp_path / "new")
    assert (unpacked.images, unpacked.skipped) == (1, 5)
    assert files(tmp_path) == {"new/a/1.png"}


def test_what_systems_add_is_passed_over_without_a_word(tmp_path: Path) -> None:
    archive = packed(
        ("a/1.png", photo()), ("__MACOSX/a/._1.png", photo()), ("a/.DS_Store", b"x"), ("a/.hidden/2.png", photo())
    )
    unpacked = unpack_images(archive, tmp_path / "new")
    assert (unpacked.images, unpacked.skipped) == (1, 0)
    assert files(tmp_path) == {"new/a/1.png"}


def test_of_two_files_with_one_name_the_first_counts(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive = packed(("a/1.png", photo(1)), ("a/1.png", photo(2)))
    unpacked = unpack_images(archive, tmp_path / "new")
    assert (unpacked.images, unpacked.skipped) == (1, 1)
    assert (unpacked.folder / "a/1.png").read_bytes() == photo(1)


@pytest.mark.parametrize(
    "name", ["/etc/a.png", "../a.png", "a/../../b.png", "C:/a.png", "C:a.png", "..\\a.png", "\\\\host\\a.png", "a/.."]
)
def test_paths_that_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    refused(packed(("ok/1.png", photo()), (name, photo())), tmp_path, "leads out of its folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("a/1.png")
    entry.external_attr = (kind | 0o777) << 16
    refused(packed(("ok/1.png", photo()), (entry, b"/etc/passwd")), tmp_path, "link or a device")


def test_an_image_in_the_place_of_a_folder(tmp_path: Path) -> None:
    refused(packed(("a.png", photo()), ("a.png/b.png", photo())), tmp_path, "cannot be unpacked")


def test_a_name_that_no_disk_takes(tmp_path: Path) -> None:
    refused(packed((f"a/{'ä' * 200}.png", photo())), tmp_path, "too long")


# How much


def test_a_bomb_by_its_ratio(tmp_path: Path) -> None:
    bomb = packed(("a/1.png", photo()), ("a/zeros.png", bytes(20 << 20)))
    assert len(bomb) < 1 << 20
    refused(bomb, tmp_path, "more than 200 times as large")


def test_a_bomb_by_its_total(tmp_path: Path) -> None:
    archive = packed(*((f"a/{number}.png", photo() + bytes(900)) for number in range(20)), how=zipfile.ZIP_STORED)
    refused(archive, tmp_path, "unpacks to", ArchiveLimits(unpacked=10_000))


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    limits = ArchiveLimits(file=2 << 20)
    archive = packed(("a/1.png", photo() + bytes(3 << 20)), how=zipfile.ZIP_STORED)
    refused(archive, tmp_path, r"'a/1.png' has 3 MB; at most 2 MB", limits)


def test_an_archive_that_is_too_large(tmp_path: Path) -> None:
    refused(packed(("a/1.png", photo())), tmp_path, "at most 0 MB", ArchiveLimits(packed=100))


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    """50 MB that call themselves 2,000 bytes: neither unpacked to memory nor to disk."""
    size = 50 << 20
    archive = packed(("a/zeros.png", bytes(size)))
    assert archive.count(struct.pack("<I", size)) == 2
    archive = archive.replace(struct.pack("<I", size), struct.pack("<I", 2000))
    tracemalloc.start()
    try:
        refused(archive, tmp_path, "damaged")
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


def test_a_hundred_thousand_entries_are_refused_before_they_are_read(tmp_path: Path) -> None:
    archive = packed(*((f"{number}.txt", b"") for number in range(100_000)), how=zipfile.ZIP_STORED)
    tracemalloc.start()
    try:
        refused(archive, tmp_path, "lists 100,000 files; at most 10,000 are read")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


# Damage


def locked(archive: bytes) -> bytes:
    """The same with the flag of a password in both of the entry's headers."""
    changed = bytearray(archive)
    changed[archive.index(b"PK\x03\x04") + 6] |= 1
    changed[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def broken(archive: bytes) -> bytes:
    """The same with a bit turned in the image's bytes."""
    changed = bytearray(archive)
    changed[archive.index(b"IHDR") + 40] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (locked, "password"),
        (broken, "damaged or cut short"),
        (lambda archive: archive[: len(archive) // 2], "no zip, or a damaged one"),
        (lambda archive: b"", "no zip"),
        (lambda archive: b"PK\x05\x06" + b"\xff" * 18, "no zip"),
        (lambda archive: photo(), "no zip"),
        (lambda archive: packed(("notes.txt", b"words")), "holds no image"),
        (lambda archive: packed(), "holds no image"),
    ],
)
def test_what_is_no_sound_zip_of_images(tmp_path: Path, change: Callable[[bytes], bytes], words: str) -> None:
    refused(change(packed(("a/1.png", photo()), how=zipfile.ZIP_STORED)), tmp_path, words)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_can_ask_for_any_amount_of_memory(tmp_path: Path, how: int) -> None:
    refused(packed(("a/1.png", photo()), how=how), tmp_path, "unusual way")


def test_entries_that_share_their_bytes(tmp_path: Path) -> None:
    """Many entries of the table of contents that mean one and the same content: their sizes add up."""
    archive = packed(("a/1.png", photo() + zlib.compress(bytes(9000)) * 200), how=zipfile.ZIP_STORED)
    table, end = archive.index(b"PK\x01\x02"), archive.index(b"PK\x05\x06")
    entries = archive[table:end] * 50
    counts = struct.pack("<HHII", 50, 50, len(entries), table)
    repeated = archive[:table] + entries + archive[end : end + 8] + counts + archive[end + 20 :]
    refused(repeated, tmp_path, "unpacks to", ArchiveLimits(unpacked=len(archive) * 10))


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(FileExistsError):
        unpack_images(packed(("a/1.png", photo())), tmp_path / "new")
    assert (tmp_path / "new").is_dir()
