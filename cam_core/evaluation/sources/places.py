"""A folder on any file system: the one seam, `pyarrow.fs`, through which sources are listed and read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import pyarrow as pa
from pyarrow import fs

from cam_core.evaluation.sources.entries import LARGEST, Entry
from cam_core.types import MetricError


@dataclass(frozen=True)
class Place:
    """A path on a file system, and the files below it by their names with forward slashes."""

    filesystem: Any = field(hash=False)
    path: str

    @classmethod
    def of(cls, where: Path | str, filesystem: Any = None) -> Self:
        """A path on this machine, a URI such as s3://bucket/photos, or a path on the file system that is given.

        Raises:
            MetricError: no file system is known for the URI.
        """
        if filesystem is not None:
            return cls(filesystem, str(where).rstrip("/"))
        if "://" not in str(where):
            return cls(fs.LocalFileSystem(), Path(where).absolute().as_posix())
        try:
            return cls(*fs.FileSystem.from_uri(str(where)))
        except (OSError, ValueError) as error:
            raise MetricError(f"{where} cannot be opened: {error}") from None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def ending(self) -> str:
        """Of the name, in small letters, with the dot; empty where it has none."""
        return os.path.splitext(self.name)[1].lower()

    @property
    def parent(self) -> Place:
        """The folder that it lies in."""
        return replace(self, path=self.path.rpartition("/")[0])

    @property
    def is_folder(self) -> bool:
        """Whether there is a folder of that name."""
        return bool(self._info([self.path])[0].type == fs.FileType.Directory)

    @property
    def is_file(self) -> bool:
        """Whether there is a file of that name."""
        return bool(self._info([self.path])[0].type == fs.FileType.File)

    def files(self) -> Iterator[Entry]:
        """All files below, in no order. Links to folders are not followed: they may lead round in circles.

        Raises:
            MetricError: a folder cannot be listed.
        """
        folders = [self.path]
        while folders:
            for info in self._info(fs.FileSelector(folders.pop())):
                if info.type == fs.FileType.File:
                    yield _entry(info.path[len(self.path) :].lstrip("/"), info)
                elif info.type == fs.FileType.Directory and not self._is_link(info.path):
                    folders.append(info.path)

    def entries(self, names: Iterable[str]) -> list[Entry]:
        """Files by name, whether they are there or not."""
        names = list(names)
        return [
            _entry(name, info) for name, info in zip(names, self._info([self._at(name) for name in names]), strict=True)
        ]

    def read(self, name: str = "", most: int = LARGEST) -> bytes:
        """The bytes of a file below, or of the file that this is.

        Args:
            most: bytes.
        Raises:
            MetricError: it is not there, cannot be read, or has more.
        """
        with self.opened(name) as file:
            size = file.seek(0, os.SEEK_END)
            if size > most:
                raise too_large(name or self.name, size, most)
            file.seek(0)
            return file.read(size)

    def opened(self, name: str = "") -> BinaryIO:
        """A file below, or the file that this is, open to be read and sought in.

        Raises:
            MetricError: it is not there, or cannot be read.
        """
        try:
            return cast("BinaryIO", self.filesystem.open_input_file(self._at(name)))
        except (OSError, pa.ArrowException) as error:
            raise MetricError(f"cannot read {name or self.path}: {_reason(error)}") from None

    def _at(self, name: str) -> str:
        return "/".join(part for part in (self.path, name) if part)

    def _info(self, asked: Any) -> Any:
        try:
            return self.filesystem.get_file_info(asked)
        except (OSError, ValueError) as error:
            raise MetricError(f"cannot list {self.path}: {_reason(error)}") from None

    def _is_link(self, path: str) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem) and os.path.islink(path)


def too_large(name: str, size: int, most: int = LARGEST) -> MetricError:
    """The refusal of a file that has more bytes than are read of it."""
    return MetricError(f"{name} has {size >> 20:,} MB; at most {most >> 20:,} are read of it")


def _entry(name: str, info: Any) -> Entry:
    there = info.type == fs.FileType.File
    return Entry(name, info.size if there else -1, info.mtime_ns or 0)


def _reason(error: Exception) -> str:
    """Arrow's messages hold the whole path; what is wrong is told by the number."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)
