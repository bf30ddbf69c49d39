"""A list of images in CSV or Parquet: columns path, label (or index) and boxes, of which only the first must be."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from cam_core.evaluation.sources.classes import Classes
from cam_core.evaluation.sources.entries import Entry, Source
from cam_core.evaluation.sources.places import Place
from cam_core.types import MetricError

_LARGEST: Final = 1 << 30  # bytes
_TEXT: Final = {"path": pa.string(), "label": pa.string(), "boxes": pa.string()}


def table_source(place: Place, classes: Classes) -> Source:
    """The images that a table lists, in its order. Paths are relative to the folder that the table lies in.

    The columns, others being passed over: `path`; `label`, the name or wnid of the class, or `index`, its number in the
    network's order, from 0; `boxes`, [[left, top, right, bottom], …] around what the label names, in pixels of the
    upright image, in CSV written as JSON.

    Raises:
        MetricError: no such table, or one that cannot be read; no path; an absolute path, one with "..", or one that
            stands there twice; an index out of range; boxes that are none, or without a label.
    """
    rows = _read_table(place)
    if not rows or "path" not in rows[0]:
        columns = ", ".join(rows[0]) if rows else "none"
        raise MetricError(f"{place.name} lists no images: it needs a column path, and rows; its columns: {columns}")
    paths = [_checked(row["path"], place.name, number) for number, row in enumerate(rows, 1)]
    twice = next((path for path, count in Counter(paths).items() if count > 1), None)
    if twice is not None:
        raise MetricError(f"{place.name} lists {twice} more than once")
    entries = place.parent.entries(paths)
    told = (
        _told(entry, row, classes, f"row {number} of {place.name}")
        for number, (entry, row) in enumerate(zip(entries, rows, strict=True), 1)
    )
    return Source(place.parent, tuple(told), labelled=True)


def _read_table(place: Place) -> list[dict[str, Any]]:
    data = io.BytesIO(place.read(most=_LARGEST))
    as_text = pc.ConvertOptions(column_types=_TEXT, strings_can_be_null=True)
    try:
        table = pq.read_table(data) if place.ending == ".parquet" else pc.read_csv(data, convert_options=as_text)
        rows: list[dict[str, Any]] = table.to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise MetricError(f"{place.name} cannot be read as a table: {error}") from None
    return rows


def _checked(path: Any, table: str, number: int) -> str:
    """A path below the folder of the table."""
    if not isinstance(path, str) or not path.strip():
        raise MetricError(f"row {number} of {table} has no path")
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or pure.parts[0].endswith(":"):
        raise MetricError(
            f"row {number} of {table}: {path!r} is not below the folder of the table, to which paths are relative"
        )
    return str(pure)


def _told(entry: Entry, row: Mapping[str, Any], classes: Classes, where: str) -> Entry:
    """An entry with what its row says of it."""
    boxes = _boxes(row.get("boxes"), where)
    named = _named(entry, row, classes, where)
    if not boxes or named.problem:
        return named
    assert named.label is not None
    region = {"classes": [classes.labels[named.label]], "boxes": boxes}
    return replace(named, truth={"size": None, "regions": [region]})


def _named(entry: Entry, row: Mapping[str, Any], classes: Classes, where: str) -> Entry:
    """An entry with its class, or why it has none."""
    name, index = row.get("label"), row.get("index")
    if index is not None:
        return replace(entry, label=_in_range(index, classes, where))
    if name is None:
        if row.get("boxes"):
            raise MetricError(f"{where} has boxes, and no label that says around what")
        return replace(entry, problem=f"{entry.name} has no label in the table")
    try:
        return replace(entry, label=classes.index(str(name)))
    except MetricError as error:
        return replace(entry, problem=str(error))


def _in_range(index: Any, classes: Classes, where: str) -> int:
    """One such row makes all of them doubtful."""
    count = len(classes.labels)
    if not isinstance(index, int) or not 0 <= index < count:
        raise MetricError(
            f"{where}: index {index!r} is out of range for the network's {count} classes, which count from 0: the "
            "table seems to be in another order; give names or wnids in a column label"
        )
    return index


def _boxes(written: Any, where: str) -> list[list[float]]:
    try:
        boxes = json.loads(written) if isinstance(written, str) else written
        return [fit_box(box) for box in boxes or ()]
    except (ValueError, TypeError):
        raise MetricError(
            f"{where}: boxes are [[left, top, right, bottom], …] with left < right and top < bottom, not {written!r}"
        ) from None


def fit_box(box: Sequence[float]) -> list[float]:
    """A box as four numbers.

    Raises:
        ValueError: it is none, or has no area.
    """
    left, top, right, bottom = values = [float(value) for value in box]
    if not np.isfinite(values).all() or left >= right or top >= bottom:
        raise ValueError("no box")
    return values
