"""Finished shards of an evaluation: each in a file that is whole or not there, and a manifest of what is in them.

They lie beside the table, in a folder of its name with the ending .parts, until all are there and become the table.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final, overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cam_core.declarations.lazy import lazy
from cam_core.evaluation.manifest import PREFIX, TABLE, Entry, Manifests, append, check_settings, manifest_name
from cam_core.evaluation.photos import Photo, PhotoFile
from cam_core.evaluation.plan import Share
from cam_core.evaluation.results import Row, as_rows, read_settings, table_writer, write_rows
from cam_core.evaluation.shards import Finished
from cam_core.evaluation.sources import Reader
from cam_core.files import write_whole
from cam_core.types import MetricError

_ROWS_AT_ONCE: Final = 1 << 16  # of the table that are in memory, and in one of its row groups


class Parts:
    """Finished images: those of a finished table, and those beside it that wait for the others.

    Raises:
        MetricError: what is there was made with other settings, or is not of this layout.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], photos: Sequence[Photo], share: Share) -> None:
        self._out, self._settings, self._photos = out, settings, photos
        self._folder = out.with_name(f"{out.name}.parts")
        if out.exists():
            check_settings(out, read_settings(out), settings)
        self._entries = Manifests(self._folder, settings).entries
        self._folder.mkdir(parents=True, exist_ok=True)
        self._manifest = self._folder / manifest_name(share.number, share.count)

    def known(self, reader: Reader, places: Iterable[int]) -> list[int]:
        """Which of these images, by their place among all, are finished, and whose files are what they were.

        A file of which the manifest says path, size and time is not read again.
        """
        found = [entry for place in places if (entry := self._unchanged(reader, place)) is not None]
        news = [entry for entry in found if self._entries.get(entry.photo.name) is not entry]
        if news:
            self._note(news)
        return [entry.place for entry in found]

    def _unchanged(self, reader: Reader, place: int) -> Entry | None:
        """What is known of an image, by its place among all; None where that is nothing, or its file is another one."""
        photo = self._photos[place]
        entry = self._entries.get(photo.name)
        before = entry.sha256 if entry else self._in_table.get(photo.name, ("", 0))[0]
        same = entry is not None and entry.photo == photo
        if entry is not None and same and (entry.place, entry.of) == (place, len(self._photos)):
            return entry
        if same or (before and PhotoFile(reader, photo.name).sha256 == before):
            return Entry(place, len(self._photos), photo, before, entry.part if entry else TABLE)
        return None

    def keep(self, finished: Sequence[Finished]) -> None:
        """Put finished images by, in a file that is either whole or not there; then name it in the manifest."""
        units = [astuple(done.unit.photo) for done in finished]
        name = hashlib.sha256(json.dumps([self._settings, units], sort_keys=True).encode()).hexdigest()[:32]
        part = f"{PREFIX}{name}.parquet"
        write_rows((row for done in finished for row in done.rows), self._settings, self._folder / part)
        count = len(self._photos)
        self._note([Entry(done.unit.index, count, done.unit.photo, done.sha256, part) for done in finished])

    def _note(self, entries: Sequence[Entry]) -> None:
        """Name them in the manifest."""
        self._entries |= {entry.photo.name: entry for entry in entries}
        append(self._manifest, self._settings, entries)

    def rows(self, names: Sequence[str]) -> Iterator[Row]:
        """The rows of finished images, in this order, few of them in memory."""
        for table in self._tables(names):
            yield from as_rows(table)

    def complete(self) -> None:
        """All is done: write the table, and clear the parts away."""
        names = [photo.name for photo in self._photos]
        write_whole(self._out, lambda draft: self._merge(names, draft))
        self.__dict__.pop("_in_table", None)
        self._entries = {}
        shutil.rmtree(self._folder)

    def _merge(self, names: Sequence[str], draft: Path) -> None:
        with table_writer(draft, self._settings) as writer:
            for table in self._tables(names):
                writer.write_table(table, row_group_size=max(1, len(table)))

    def _tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Rows of so many images at once that they fill a row group: as many wherever the parts begin and end."""
        per_image = max(1, len(self._settings["methods"]) * len(self._settings["metrics"]))
        at_once = max(1, _ROWS_AT_ONCE // per_image)
        for start in range(0, len(names), at_once):
            yield self._table(names[start : start + at_once])

    def _table(self, names: Sequence[str]) -> pa.Table:
        """The rows of these images, in this order."""
        homes: dict[tuple[str, int], list[str]] = {}
        for name in names:
            homes.setdefault(self._home(name), []).append(name)
        tables = [_of(self._read(*home), inside) for home, inside in homes.items()]
        return _of(pa.concat_tables(tables), names)

    def _home(self, name: str) -> tuple[str, int]:
        """The part that holds an image, or the finished table, and the row group in it."""
        entry = self._entries.get(name)
        if entry is not None and entry.part != TABLE:
            return entry.part, 0
        return TABLE, self._in_table[name][1]

    def _read(self, part: str, group: int) -> pa.Table:
        path = self._out if part == TABLE else self._folder / part
        try:
            table = pq.ParquetFile(path).read_row_group(group)
        except (OSError, pa.ArrowException) as error:
            raise MetricError(f"cannot read {path}: {error}") from None
        return table.replace_schema_metadata(None)

    @lazy
    def _in_table(self) -> dict[str, tuple[str, int]]:
        """Images of the finished table: SHA-256 of their bytes, and the row group they are in."""
        if not self._out.exists():
            return {}
        found: dict[str, tuple[str, int]] = {}
        file = pq.ParquetFile(self._out)
        for group in range(file.num_row_groups):
            columns = file.read_row_group(group, columns=["image", "image_sha256"])
            pairs = zip(*(column.to_pylist() for column in columns.columns), strict=True)
            found |= {name: (sha256, group) for name, sha256 in pairs}
        return found


class KeptRows(Sequence[Row]):
    """Rows of images that were finished before, read when somebody asks for them."""

    def __init__(self, parts: Parts, names: Sequence[str], count: int) -> None:
        self._parts, self._names, self._count = parts, names, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        return self._parts.rows(self._names)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return list(self)[index]


def merge_parts(out: Path) -> int:
    """Make the table of parts that several processes have left beside it, each having done its share.

    Returns:
        how many images there are.
    Raises:
        MetricError: there are no parts, some are missing, or they are of folders that differ.
    """
    folder = out.with_name(f"{out.name}.parts")
    manifests = Manifests(folder)
    if manifests.settings is None:
        raise MetricError(f"there is nothing to merge: no parts in {folder}")
    by_place = {entry.place: entry for entry in manifests.entries.values()}
    counts = {entry.of for entry in by_place.values()}
    if len(counts) > 1 or len(by_place) < len(manifests.entries):
        raise MetricError(
            f"the parts in {folder} are of a folder that changed meanwhile: run evaluate once more, without --shard, "
            "which does what is missing"
        )
    count = max(counts, default=0)
    missing = count - len(by_place)
    if missing or not count:
        many = f"{missing} of {count} images" if count else "all images"
        raise MetricError(f"{many} are missing: run the shards that have not finished, each with the same command")
    photos = [by_place[place].photo for place in range(count)]
    Parts(out, manifests.settings, photos, Share()).complete()
    return count


def _of(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The rows of these images, in their order, each image's as they stand."""
    places = pc.index_in(table["image"], value_set=pa.array(names, pa.string()))
    order = pc.array_sort_indices(places.combine_chunks() if isinstance(places, pa.ChunkedArray) else places)
    return table.take(order[: len(order) - places.null_count]).combine_chunks()
