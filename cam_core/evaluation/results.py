"""Tables of results: one row per image, method and metric, in Parquet; means with intervals, and paired differences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cam_core.evaluation.scores import Scores, intervals, pairs_of, scores_of
from cam_core.files import write_whole
from cam_core.metrics.base import Direction
from cam_core.metrics.statistics import Interval
from cam_core.types import MetricError

_SETTINGS = b"cam_core.settings"


@dataclass(frozen=True)
class Row:
    """One value.

    Attributes:
        image: path within the folder, with forward slashes; `image_sha256` of the file's bytes.
        target, label, probability: the explained class and what the network gives it; None where nothing was explained.
        value: None where there is none; `note` then says why.
        details: what the metric needs beyond the values to be taken over a set of images; mostly empty.
        note: warnings, or the reason for a missing value.
    """

    image: str
    image_sha256: str
    method: str
    metric: str
    target: int | None = None
    label: str | None = None
    probability: float | None = None
    value: float | None = None
    details: tuple[float, ...] = ()
    note: str = ""


_SCHEMA = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("target", pa.int32()),
        pa.field("label", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("value", pa.float64()),
        pa.field("details", pa.list_(pa.float64())),
        pa.field("note", pa.string()),
    ]
)


def write_rows(rows: Iterable[Row], settings: Mapping[str, Any], path: Path) -> None:
    """Write a table so that whoever opens `path`, at whatever moment, finds all of it or what was there before."""
    table = as_table(rows).replace_schema_metadata(_metadata(settings))
    write_whole(path, lambda draft: pq.write_table(table, draft))


def table_writer(path: Path, settings: Mapping[str, Any]) -> pq.ParquetWriter:
    """Writes a table piece by piece, as `with table_writer(…) as writer`; each piece is a row group."""
    return pq.ParquetWriter(path, _SCHEMA.with_metadata(_metadata(settings)))


def _metadata(settings: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {_SETTINGS: json.dumps(settings, sort_keys=True).encode()}


def as_table(rows: Iterable[Row]) -> pa.Table:
    """Rows as a table of results."""
    rows = list(rows)
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in _SCHEMA]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def as_rows(table: pa.Table) -> list[Row]:
    """The rows of a table of results in memory."""
    return [Row(**record | {"details": tuple(record["details"] or ())}) for record in table.to_pylist()]


def read_table(path: Path) -> pa.Table:
    """A table of results, with the columns of `Row` and, in its metadata, `settings_of`.

    Raises:
        MetricError: there is no such file, or it is no such table.
    """
    table = _read(path)
    if set(_SCHEMA.names) - set(table.column_names):
        raise MetricError(f"{path} is not a table of results: its columns are {', '.join(table.column_names)}")
    return table.select(_SCHEMA.names)


def read_values(path: Path) -> pa.Table:
    """What of a table of results its summary is made of: of millions of rows it takes a fraction of the memory.

    Each text is there once, in a dictionary. The checksums, on which no number depends, are empty.

    Raises:
        MetricError: there is no such file, or it is no such table.
    """
    texts = ["image", "method", "metric", "note"]
    table = _read(path, partial(pq.read_table, columns=[*texts, "value", "details"], read_dictionary=texts))
    nothing = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), len(table)), [""])
    return table.unify_dictionaries().append_column("image_sha256", nothing)


def read_rows(path: Path) -> list[Row]:
    """The rows of a table written by `write_rows`.

    Raises:
        MetricError: there is no such file, or it is no such table.
    """
    return as_rows(read_table(path))


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that a table was made with; empty where it does not say.

    Raises:
        MetricError: there is no such file, or it is no table.
    """
    return _settings_in(_read(path, pq.read_schema))


def settings_of(table: pa.Table) -> dict[str, Any]:
    """The settings that a table in memory was made with; empty where it does not say."""
    return _settings_in(table.schema)


def _settings_in(schema: pa.Schema) -> dict[str, Any]:
    return dict(json.loads((schema.metadata or {}).get(_SETTINGS, b"{}")))


def _read(path: Path, read: Callable[[Path], Any] = pq.read_table) -> Any:
    try:
        return read(path)
    except (OSError, pa.ArrowException) as error:
        raise MetricError(f"cannot read the table {path}: {error}") from None


@dataclass(frozen=True)
class Summary:
    """One metric of one method over all images: mean and 95 % interval; None where no image has a value.

    `missing` images have none.
    """

    method: str
    metric: str
    direction: Direction
    interval: Interval | None
    missing: int


def summarise(rows: Sequence[Row] | pa.Table, seed: int = 0, level: float = 0.95) -> list[Summary]:
    """Means over images with bootstrap intervals, in the order in which methods and metrics first appear.

    Args:
        rows: or a table of them: see `read_table`. Millions of them take far less memory so.
    """
    table = rows if isinstance(rows, pa.Table) else as_table(rows)
    found = {
        (summary.method, summary.metric): summary
        for scores in scores_of(table).values()
        for summary in _summaries(scores, seed, level)
    }
    return [found[pair] for pair in pairs_of(table)]


def _summaries(scores: Scores, seed: int, level: float) -> list[Summary]:
    """One metric of each method."""
    return [
        Summary(column.method, scores.metric, scores.direction, interval, column.missing)
        for column, interval in zip(scores.columns, intervals(scores.values, seed, level), strict=True)
    ]


def paired_difference(
    rows: Sequence[Row], metric: str, first: str, second: str, seed: int = 0, level: float = 0.95
) -> Interval:
    """The mean over images of metric(first method) − metric(second method), with its bootstrap interval.

    The same images for both: what makes an image easy for all methods cancels out.

    Raises:
        MetricError: no image has a value for both methods.
    """
    scores = scores_of(as_table(row for row in rows if row.metric == metric)).get(metric)
    columns = () if scores is None else scores.columns
    places = {column.method: place for place, column in enumerate(columns)}
    if scores is not None and first in places and second in places:
        differences = scores.values[:, places[first]] - scores.values[:, places[second]]
        (interval,) = intervals(differences[:, None], seed, level)
        if interval is not None:
            return interval
    raise MetricError(f"no image has a value of {metric} for both {first} and {second}")
