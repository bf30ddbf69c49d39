"""Tables of results: one row per image, method and metric, in Parquet; means with intervals, and paired differences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cam_core.files import write_whole
from cam_core.metrics.base import METRICS, Direction, Values
from cam_core.metrics.statistics import Interval, bootstrap_interval
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
    schema = _SCHEMA.with_metadata({_SETTINGS: json.dumps(settings, sort_keys=True).encode()})
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=schema)
    write_whole(path, lambda draft: pq.write_table(table, draft))


def read_rows(path: Path) -> list[Row]:
    """The rows of a table written by `write_rows`.

    Raises:
        MetricError: there is no such file, or it is no such table.
    """
    table = _read(path)
    if set(_SCHEMA.names) - set(table.column_names):
        raise MetricError(f"{path} is not a table of results: its columns are {', '.join(table.column_names)}")
    records = table.select(_SCHEMA.names).to_pylist()
    return [Row(**record | {"details": tuple(record["details"] or ())}) for record in records]


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that a table was made with; empty where it does not say.

    Raises:
        MetricError: there is no such file, or it is no table.
    """
    metadata = _read(path).schema.metadata or {}
    return dict(json.loads(metadata.get(_SETTINGS, b"{}")))


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
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


def summarise(rows: Sequence[Row], seed: int = 0, level: float = 0.95) -> list[Summary]:
    """Means over images with bootstrap intervals, in the order in which methods and metrics first appear."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.metric), []).append(row)
    return [_summary(key, group, seed, level) for key, group in groups.items()]


def _summary(key: tuple[str, str], rows: Sequence[Row], seed: int, level: float) -> Summary:
    method, metric = key
    values = np.array(list(_per_image(metric, rows).values()))
    interval = bootstrap_interval(values, seed, level) if len(values) else None
    return Summary(method, metric, METRICS[metric].direction, interval, len(rows) - len(values))


def paired_difference(
    rows: Sequence[Row], metric: str, first: str, second: str, seed: int = 0, level: float = 0.95
) -> Interval:
    """The mean over images of metric(first method) − metric(second method), with its bootstrap interval.

    The same images for both: what makes an image easy for all methods cancels out.

    Raises:
        MetricError: no image has a value for both methods.
    """
    of_first, of_second = (
        _per_image(metric, [row for row in rows if (row.method, row.metric) == (method, metric)])
        for method in (first, second)
    )
    differences = [of_first[image] - of_second[image] for image in of_first if image in of_second]
    if not differences:
        raise MetricError(f"no image has a value of {metric} for both {first} and {second}")
    return bootstrap_interval(differences, seed, level)


def _per_image(metric: str, rows: Sequence[Row]) -> dict[str, float]:
    """One value per image, whose mean is the metric on the set; images without a value are left out."""
    valid = [row for row in rows if row.value is not None]
    pool = METRICS[metric].pool
    values: Values = np.array([row.value for row in valid], dtype=np.float64)
    if pool is not None and valid:
        values = pool(np.array([row.details for row in valid]))
    return {row.image: float(value) for row, value in zip(valid, values, strict=True)}
