"""Images out of a zip that a stranger has packed: images alone, inside one folder, and no more than was agreed."""

from __future__ import annotations

import re
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from cam_core.images.files import EXTENSIONS, is_image
from cam_core.types import CamError

_LISTED: Final = b"PK\x01\x02"  # begins every entry of a zip's table of contents
_LOCKED: Final = 1  # the flag of an entry with a password
_PIECE: Final = 1 << 17  # bytes
_LONGEST_NAME: Final = 255  # bytes: what file systems take
_BY_THE_SYSTEM: Final = "__MACOSX"
_DAMAGE: Final = (BadZipFile, EOFError, NotImplementedError, OverflowError, ValueError, struct.error, zlib.error)


class ArchiveError(CamError, ValueError):
    """The archive is no zip, is damaged or locked, reaches out of its folder, or holds too much."""


@dataclass(frozen=True)
class ArchiveLimits:
    """The most that is read of one archive.

    Attributes:
        packed: bytes of the archive itself.
        unpacked: bytes of all its images together.
        file: bytes of one image.
        files: entries of whatever kind.
        ratio: size of an entry over what it takes in the archive. Images are compressed already: far less is usual.
    """

    packed: int = 50 << 20
    unpacked: int = 400 << 20
    file: int = 25 << 20
    files: int = 10_000
    ratio: int = 200


@dataclass(frozen=True)
class Unpacked:
    """The images of an archive on disk.

    Attributes:
        folder: where they lie, in the folders that the archive has them in. A folder around everything is left out.
        images: how many they are.
        skipped: files that are no image, among them archives inside the archive.
    """

    folder: Path
    images: int
    skipped: int


def unpack_images(archive: bytes, folder: Path, limits: ArchiveLimits | None = None) -> Unpacked:
    """Write the images of a zip into a new folder; where it is refused, nothing is left of it.

    Every entry is judged by the table of contents before the first one is written. An image is a file with the ending
    and the head of one: its pixels are not decoded. What systems add (`__MACOSX`, hidden files) is passed over.

    Args:
        archive: the zip's bytes.
        folder: does not exist yet; its parent does.
    Raises:
        ArchiveError: no zip, damaged, locked or packed in an unusual way; a path that is absolute or leads out of the
            folder; a link; more than `limits` allow; no image at all.
        FileExistsError: `folder` is there already.
    """
    entries = listed(BytesIO(archive), limits or ArchiveLimits())
    folder.mkdir()
    try:
        written = sum(_write(folder, path, data) for path, data in _images(archive, entries))
    except OSError as error:
        shutil.rmtree(folder)
        raise ArchiveError(f"the zip cannot be unpacked: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(folder)
        raise
    if not written:
        shutil.rmtree(folder)
        raise ArchiveError(f"the zip holds no image ({', '.join(EXTENSIONS)})")
    return Unpacked(_inner(folder), written, len(entries) - written)


def listed(archive: BinaryIO, limits: ArchiveLimits) -> list[tuple[PurePosixPath, ZipInfo]]:
    """Files of a zip with their paths, each of them fit to be read: judged by the table of contents alone.

    Args:
        archive: can be sought in; read once from its start, in pieces.
    Raises:
        ArchiveError: as `unpack_images`.
    """
    size = archive.seek(0, SEEK_END)
    if size > limits.packed:
        raise ArchiveError(f"the zip has {_megabytes(size)}; at most {_megabytes(limits.packed)} are read")
    # Before anything is parsed: a table of contents takes far more memory than the bytes it is made of.
    count = _count(archive)
    if count > limits.files:
        raise ArchiveError(f"the zip lists {count:,} files; at most {limits.files:,} are read")
    entries = [(_path(entry), entry) for entry in _entries(archive) if not _by_the_system(entry)]
    files = [(path, entry) for path, entry in entries if not entry.is_dir()]
    for _, entry in files:
        _check(entry, limits)
    total = sum(entry.file_size for _, entry in files)
    if total > limits.unpacked:
        raise ArchiveError(f"the zip unpacks to {_megabytes(total)}; at most {_megabytes(limits.unpacked)} are read")
    return files


def _count(archive: BinaryIO) -> int:
    """How often a zip has what begins an entry of its table of contents: no fewer times than there are entries."""
    archive.seek(0)
    count, end = 0, b""
    while piece := archive.read(_PIECE):
        count += (end + piece).count(_LISTED)
        end = (end + piece)[1 - len(_LISTED) :]
    return count


def _entries(archive: BinaryIO) -> list[ZipInfo]:
    try:
        with ZipFile(archive) as opened:
            return opened.infolist()
    except _DAMAGE as error:
        raise ArchiveError("the file is no zip, or a damaged one; pack it again") from error


def content(opened: ZipFile, entry: ZipInfo) -> bytes:
    """What an entry holds. One that is larger than it says is a damaged one, and is not unpacked to find out.

    Raises:
        ArchiveError: the archive is damaged.
    """
    try:
        with opened.open(entry) as stream:
            return stream.read(entry.file_size + 1)  # read whole, it would be unpacked whole before it is measured
    except _DAMAGE as error:
        raise ArchiveError("the zip is damaged or cut short; pack it again") from error


def _by_the_system(entry: ZipInfo) -> bool:
    parts = entry.filename.replace("\\", "/").split("/")
    return parts[0] == _BY_THE_SYSTEM or any(re.match(r"\.[^./\\]", part) for part in parts)


def _path(entry: ZipInfo) -> PurePosixPath:
    """The entry's path inside the folder."""
    name = entry.filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
        raise ArchiveError(f"the zip is not unpacked: {_short(entry)} leads out of its folder")
    if any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in path.parts):
        raise ArchiveError(f"the zip is not unpacked: the name {_short(entry)} is too long")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"the zip is not unpacked: {_short(entry)} is a link or a device, not a file")
    return path


def _check(entry: ZipInfo, limits: ArchiveLimits) -> None:
    if entry.flag_bits & _LOCKED:
        raise ArchiveError("the zip is locked with a password; pack it without one")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others can ask for gigabytes of memory to be unpacked
        raise ArchiveError(f"{_short(entry)} is packed in an unusual way; pack it as an ordinary zip")
    if entry.file_size > limits.file:
        size, limit = _megabytes(entry.file_size), _megabytes(limits.file)
        raise ArchiveError(f"{_short(entry)} has {size}; at most {limit} are read of one file")
    if entry.file_size > limits.ratio * max(entry.compress_size, 1):
        raise ArchiveError(
            f"{_short(entry)} is more than {limits.ratio} times as large as what the zip holds of it; no photo is"
        )


def _images(archive: bytes, entries: list[tuple[PurePosixPath, ZipInfo]]) -> Iterator[tuple[PurePosixPath, bytes]]:
    with ZipFile(BytesIO(archive)) as opened:
        for path, entry in entries:
            if path.suffix.lower().removeprefix(".") in EXTENSIONS and is_image(data := content(opened, entry)):
                yield path, data


def _write(folder: Path, path: PurePosixPath, data: bytes) -> bool:
    """False where the archive has two files of that name: the first one counts."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        return False
    target.write_bytes(data)
    return True


def _inner(folder: Path) -> Path:
    """The folder itself, or what it holds alone: packing a folder puts that folder around everything."""
    children = list(folder.iterdir())
    alone = len(children) == 1 and children[0].is_dir() and any(child.is_dir() for child in children[0].iterdir())
    return _inner(children[0]) if alone else folder


def _short(entry: ZipInfo) -> str:
    name = entry.filename
    return repr(name if len(name) <= 60 else f"{name[:57]}…")


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MB"
