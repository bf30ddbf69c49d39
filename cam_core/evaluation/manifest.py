"""The manifests beside an unfinished table: which images are in which part, and what their files were then."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from cam_core.evaluation.photos import Photo
from cam_core.types import MetricError

PREFIX: Final = "shard-"
"""Of the names of parts."""
TABLE: Final = ""
"""Stands for the finished table, where a manifest names a part."""

_LAYOUT: Final = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """An image in a manifest.

    Attributes:
        place, of: its place among all images of the evaluation, and how many these are.
        photo, sha256: its file.
        part: the name of the file that holds its rows, or `TABLE`.
    """

    place: int
    of: int
    photo: Photo
    sha256: str
    part: str


def manifest_name(number: int, count: int) -> str:
    """The manifest of whoever does one of several shares: each process writes its own."""
    return "manifest.jsonl" if count == 1 else f"manifest-{number}-of-{count}.jsonl"


def append(manifest: Path, settings: Mapping[str, Any], entries: Sequence[Entry]) -> None:
    """Write entries below what is there. A line that was cut short by the end of an earlier process stays by itself."""
    with manifest.open("a+b") as file:
        if file.tell() and not _ends_a_line(manifest):
            file.write(b"\n")
        if not file.tell():
            file.write(_line({"layout": _LAYOUT, "settings": settings}))
        for (part, count), same in groupby(entries, key=lambda entry: (entry.part, entry.of)):
            size = 0 if part == TABLE else (manifest.parent / part).stat().st_size
            images = [[entry.place, *astuple(entry.photo), entry.sha256] for entry in same]
            file.write(_line({"part": part, "bytes": size, "of": count, "images": images}))


class Manifests:
    """What the manifests in a folder of parts say together.

    Attributes:
        settings: of the evaluation; None where there is no manifest.
        entries: by the image's name, of parts that are as long as they were when they were written.

    Raises:
        MetricError: they are of different evaluations, or the parts are of an earlier version.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = settings
        self.entries: dict[str, Entry] = {}
        self._sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)} if folder.is_dir() else {}
        if any(name.endswith(".parquet") and not name.startswith(PREFIX) for name in self._sizes):
            raise MetricError(
                f"{folder} holds parts as an earlier version wrote them, which cannot be gone on with: finish with "
                "that version, or remove the folder"
            )
        for name in sorted(self._sizes):
            if name.endswith(".jsonl"):
                self._read(folder / name)

    def _read(self, manifest: Path) -> None:
        with manifest.open("rb") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # the process ended in the midst of it
                self._take(manifest, record)

    def _take(self, manifest: Path, record: Mapping[str, Any]) -> None:
        if "settings" in record:
            if self.settings is None:
                self.settings = record["settings"]
            check_settings(manifest, record["settings"], self.settings)
        elif record["part"] == TABLE or self._sizes.get(record["part"]) == record["bytes"]:
            for place, name, size, changed, sha256 in record["images"]:
                self.entries[name] = Entry(place, record["of"], Photo(name, size, changed), sha256, record["part"])


def check_settings(path: Path, written: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse results of another evaluation.

    Raises:
        MetricError: names the settings that differ.
    """
    if written != settings:
        different = [key for key, value in settings.items() if written.get(key) != value]
        raise MetricError(
            f"{path} was made with other settings ({', '.join(different)}): name another file for the results, "
            "or remove this one"
        )


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
