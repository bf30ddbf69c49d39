"""Tables of results from anywhere: nothing of the file is trusted, and what is unknown here is left out by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cam_core.evaluation.results import Row, as_table, read_table, settings_of
from cam_core.evaluation.scores import scores_of
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.types import MetricError

ROWS: Final = 5_000_000
"""The most rows that are read of one table."""

_BYTES_PER_ROW: Final = 4_000  # unpacked: details of three hundred numbers, and names
_LONGEST: Final = 60  # letters of a network's name


@dataclass(frozen=True)
class Results:
    """The results of one network.

    Attributes:
        network: its name.
        table: as `read_table` gives it, without what is unknown here.
        settings: all that the values depend on, apart from the images; empty where that is not said.
        unknown: methods and metrics that the table has and this version has not.
    """

    network: str
    table: pa.Table
    settings: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many images the table names."""
        return int(pc.count_distinct(self.table.column("image")).as_py())

    def names(self, column: str) -> list[str]:
        """What stands in a column of text, each once, in the order in which it first appears."""
        names: list[str] = self.table.column(column).unique().to_pylist()
        return names

    @property
    def layer(self) -> str:
        """The layer that was explained; empty where the table does not say."""
        return str(self.settings.get("layer") or "")

    def params(self, method: str) -> Mapping[str, Any]:
        """A method's own parameters; none where the table does not say."""
        return _mapping(_mapping(self.settings.get("methods")).get(method))


def open_results(path: Path, rows: int = ROWS) -> Results:
    """A table that `evaluate` wrote, here or elsewhere.

    Args:
        rows: at most so many are read.
    Raises:
        MetricError: it is no such table, holds more than that, or nothing that is known here.
    """
    _check_size(path, rows)
    table = read_table(path)
    try:
        table = _cleaned(table)
        settings = settings_of(table)
        known = _of_known(table)
        scores_of(known)  # what is wrong with the values is said now
    except (ValueError, TypeError, KeyError, pa.ArrowException) as error:
        raise MetricError(f"{path.name} is a damaged table of results: {error}") from error
    unknown = [name for name in _names(table) if name not in METHODS and name not in METRICS]
    if not known.num_rows:
        what = f" ({', '.join(unknown)})" if unknown else ""
        raise MetricError(f"{path.name} holds no method and metric that are known here{what}")
    return Results(str(settings.get("model") or path.stem)[:_LONGEST], known, settings, tuple(unknown))


def results_of(network: str, rows: Sequence[Row], settings: Mapping[str, Any]) -> Results:
    """Rows that are there so far."""
    return Results(network, as_table(rows), settings)


def means_so_far(rows: Sequence[Row]) -> dict[tuple[str, str], tuple[float, int]]:
    """By method and metric: the mean over the images that have a value by now, and how many these are."""
    means = {}
    for metric, scores in scores_of(as_table(rows)).items():
        for column, values in zip(scores.columns, scores.values.T, strict=True):
            known = values[~np.isnan(values)]
            if len(known):
                means[column.method, metric] = float(known.mean()), len(known)
    return means


def as_runs(results: Sequence[Results]) -> dict[str, Results]:
    """By names that tell them apart: those of the networks, numbered where two have the same."""
    runs: dict[str, Results] = {}
    for result in results:
        name, count = result.network, 2
        while name in runs:
            name, count = f"{result.network} ({count})", count + 1
        runs[name] = result
    return runs


def _check_size(path: Path, rows: int) -> None:
    """Before anything is unpacked: a small file may say that it holds much."""
    try:
        metadata = pq.read_metadata(path)
        size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    except (OSError, pa.ArrowException) as error:
        raise MetricError(f"{path.name} is no table of results: Parquet as `evaluate` writes it is read") from error
    if metadata.num_rows > rows:
        raise MetricError(f"{path.name} has {metadata.num_rows:,} rows; at most {rows:,} are read")
    if size > rows * _BYTES_PER_ROW:
        raise MetricError(f"{path.name} unpacks to {size >> 20:,} MB, which is more than so many rows need")


def _cleaned(table: pa.Table) -> pa.Table:
    """With the types that a table of results has; a value that is not finite is none."""
    schema = as_table([]).schema
    table = table.cast(schema.with_metadata(table.schema.metadata))
    for name in ("image", "image_sha256", "method", "metric"):
        if table.column(name).null_count:
            raise ValueError(f"a row has no {name}")
    value = table.column("value")
    finite = pc.if_else(pc.fill_null(pc.is_finite(value), False), value, pa.scalar(None, pa.float64()))
    return table.set_column(table.column_names.index("value"), schema.field("value"), finite)


def _of_known(table: pa.Table) -> pa.Table:
    known = pc.and_(
        pc.is_in(table.column("method"), pa.array(list(METHODS))),
        pc.is_in(table.column("metric"), pa.array(list(METRICS))),
    )
    return table.filter(known)


def _names(table: pa.Table) -> list[str]:
    return [*table.column("method").unique().to_pylist(), *table.column("metric").unique().to_pylist()]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
