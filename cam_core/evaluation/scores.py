"""The values of one metric as a matrix, images by methods: what means, intervals, ranks and differences start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cam_core.metrics.base import METRICS, Direction
from cam_core.metrics.statistics import Floats, Interval, bootstrap_intervals
from cam_core.types import MetricError


@dataclass(frozen=True)
class Column:
    """One method, of one run where several stand side by side; `missing` images have no value."""

    method: str
    missing: int
    run: str = ""

    @property
    def name(self) -> str:
        """The method, after its run where that is named."""
        return f"{self.run}: {self.method}" if self.run else self.method


@dataclass(frozen=True)
class Scores:
    """One metric of several methods on the same images.

    Attributes:
        images: (path, SHA-256 of the file's bytes) of each.
        values: (images, columns); NaN where there is none.
    """

    metric: str
    images: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    values: Floats

    @property
    def direction(self) -> Direction:
        """Whether higher or lower is better."""
        return METRICS[self.metric].direction


def scores_of(table: pa.Table) -> dict[str, Scores]:
    """Each metric of a table of results, in the order in which metrics, methods and images first appear.

    Of a metric that is defined on a set of images, one value per image, whose mean is the metric on the set.
    """
    images, methods, metrics = (_coded(table, name) for name in ("image", "method", "metric"))
    keys = _keys(table, images)
    scores = {}
    for code, metric in enumerate(metrics.names):
        of_metric = metrics.codes == code
        places = list(dict.fromkeys(methods.codes[of_metric].tolist()))
        values = np.full((len(keys), len(places)), np.nan)
        columns = []
        for column, place in enumerate(places):
            rows = np.flatnonzero(of_metric & (methods.codes == place))
            image_values = _values(table, metric, rows)
            values[images.codes[rows], column] = image_values
            columns.append(Column(methods.names[place], int(np.isnan(image_values).sum())))
        scores[metric] = Scores(metric, keys, tuple(columns), values)
    return scores


def pairs_of(table: pa.Table) -> list[tuple[str, str]]:
    """Methods with metrics, as far as the table has them, in the order in which they first appear."""
    methods, metrics = (_coded(table, name) for name in ("method", "metric"))
    pairs = [(method, metric) for method in methods.names for metric in metrics.names]
    first = _first(methods.codes * len(metrics.names) + metrics.codes, len(pairs))
    return [pairs[place] for place in np.argsort(first) if first[place] < len(table)]


def side_by_side(runs: Mapping[str, Scores]) -> Scores:
    """The same metric of several runs, such as checkpoints of one network, image by image.

    An image is the same where path and bytes are; where one run lacks it, that run has no value.

    Args:
        runs: by the name of the run.
    Raises:
        MetricError: no image is in all runs.
    """
    shared = set.intersection(*(set(scores.images) for scores in runs.values()))
    if not shared:
        raise MetricError(f"no image is in all of {', '.join(runs)}: the tables must be of the same files")
    images = tuple(dict.fromkeys(image for scores in runs.values() for image in scores.images))
    places = {image: place for place, image in enumerate(images)}
    columns = [replace(column, run=name) for name, scores in runs.items() for column in scores.columns]
    values = np.full((len(images), len(columns)), np.nan)
    at = 0
    for scores in runs.values():
        rows = [places[image] for image in scores.images]
        values[rows, at : at + len(scores.columns)] = scores.values
        at += len(scores.columns)
    return Scores(next(iter(runs.values())).metric, images, tuple(columns), values)


def intervals(values: Floats, seed: int = 0, level: float = 0.95) -> list[Interval | None]:
    """Mean and bootstrap interval of each column (images, M) over its images that have a value; None without any.

    Columns with the same images are resampled together.
    """
    made: list[Interval | None] = [None] * values.shape[1]
    for there, places in _by_images(values):
        of_group = bootstrap_intervals(values[there][:, places], seed, level)
        for place, interval in zip(places, of_group, strict=True):
            made[place] = interval
    return made


def _by_images(values: Floats) -> Iterator[tuple[npt.NDArray[np.bool_], list[int]]]:
    """Which images have a value, and the columns of which these are the images."""
    there = ~np.isnan(values)
    groups: dict[bytes, list[int]] = {}
    for place in range(values.shape[1]):
        groups.setdefault(there[:, place].tobytes(), []).append(place)
    return ((there[:, places[0]], places) for places in groups.values() if there[:, places[0]].any())


@dataclass(frozen=True)
class _Coded:
    """A column of text: each name once, in the order in which they first appear, and in which row; the number of each
    row's name."""

    names: list[str]
    first: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]


def _coded(table: pa.Table, name: str) -> _Coded:
    """Of a column that may have a dictionary already, whose order says nothing."""
    column = table.column(name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries().combine_chunks()
    written = column.indices.to_numpy().astype(np.int32, copy=False)
    first = _first(written, len(column.dictionary))
    order = np.argsort(first)[: int((first < len(written)).sum())]
    numbers = np.zeros(len(first), dtype=np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    return _Coded(column.dictionary.take(pa.array(order)).to_pylist(), first[order], numbers[written])


def _first(codes: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int64]:
    """The row in which each of `count` numbers stands first; the number of rows for one that stands in none."""
    rows = len(codes)
    first = np.full(count, rows)
    first[codes[::-1]] = np.arange(rows - 1, -1, -1)  # of several the one written last stays
    return first


def _keys(table: pa.Table, images: _Coded) -> tuple[tuple[str, str], ...]:
    """(path, SHA-256) of each image: that of its first row."""
    return tuple(zip(images.names, table.column("image_sha256").take(images.first).to_pylist(), strict=True))


def _values(table: pa.Table, metric: str, rows: npt.NDArray[np.int64]) -> Floats:
    """One value per row, NaN where there is none."""
    values: Floats = np.array(table.column("value").take(rows).to_numpy(), dtype=np.float64)
    pool, valid = METRICS[metric].pool, ~np.isnan(values)
    if pool is not None and valid.any():
        details = table.column("details").take(rows[valid]).combine_chunks().flatten().to_numpy()
        values[valid] = pool(details.reshape(int(valid.sum()), -1))
    return values
