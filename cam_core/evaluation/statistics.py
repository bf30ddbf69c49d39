"""Which method is better, and how sure that is: means with intervals, ranks, paired differences with significance.

    report = compare_runs({"": read_table(Path("results.parquet"))})
    for comparison in report:
        print(comparison.metric, [(standing.column.name, standing.rank) for standing in comparison.standings])

Everything is paired, image by image: what makes an image easy for all methods cancels out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from cam_core.evaluation.results import settings_of
from cam_core.evaluation.scores import Column, Scores, intervals, scores_of, side_by_side
from cam_core.methods import METHODS
from cam_core.metrics.base import Direction
from cam_core.metrics.statistics import Floats, Interval
from cam_core.types import MetricError

FEW: Final = 30
"""Images; below, an interval over them is itself uncertain."""

_FLIPS = 9_999  # drawn where not all patterns of signs are tried
_ALL = 13  # images, up to which they are: 2 to the power of it is about as many
_AT_ONCE = 1 << 21  # signs held at once, 16 MB of them


@dataclass(frozen=True)
class Standing:
    """One method by one metric.

    Attributes:
        interval: mean over images, with its bootstrap interval; None where no image has a value.
        rank: mean over the images that have a value for all methods, 1 for the best, ties shared; None without such.
        control: whether it explains nothing: what does not beat it has not shown anything.
    """

    column: Column
    interval: Interval | None
    rank: float | None
    control: bool


@dataclass(frozen=True)
class Difference:
    """Two methods by one metric, on the images that both have a value for.

    Attributes:
        interval: metric(first) − metric(second), mean over images with its bootstrap interval.
        p: of the hypothesis that neither is better, by `sign_flip`.
        adjusted: the same by `holm`, over all pairs of methods by this metric.
    """

    first: Column
    second: Column
    interval: Interval
    p: float
    adjusted: float


@dataclass(frozen=True)
class Comparison:
    """All methods by one metric.

    Attributes:
        level: of the intervals; 1 − level is the significance asked for.
        images: those that have a value for some method; `ranked` of them for all.
        standings: in the order of the table, or of the tables.
        differences: of each pair of methods that share an image.
    """

    metric: str
    direction: Direction
    level: float
    images: int
    ranked: int
    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]

    def better(self, difference: Difference) -> Column | None:
        """The one of two that is significantly better; None where that is not known."""
        if difference.adjusted > 1 - self.level or not difference.interval.mean:
            return None
        return difference.first if (difference.interval.mean > 0) == (self.direction == "higher") else difference.second

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a reader should know before trusting the numbers, one clause each."""
        few = (f"n = {self.images}: an interval over fewer than {FEW} images is itself uncertain",)
        unranked = (f"ranks by {self.metric} are over the {self.ranked} of {self.images} images that all methods have",)
        return (few if self.images < FEW else ()) + (unranked if self.ranked < self.images else ())


def compare_runs(tables: Mapping[str, pa.Table], seed: int = 0, level: float = 0.95) -> list[Comparison]:
    """Each metric that all tables have, over the methods of all: checkpoints of one network side by side, for example.

    Args:
        tables: by the name of the run, as `read_table` gives them; the name of a single one may be empty.
    Raises:
        MetricError: no table, no metric that is in all, a metric with different parameters, or no image in all of them.
    """
    runs = {name: scores_of(table) for name, table in tables.items()}
    metrics = [key for key in next(iter(runs.values()), {}) if all(key in scores for scores in runs.values())]
    if not metrics:
        raise MetricError(f"no metric is in all of {', '.join(runs) or 'no tables'}")
    for metric in metrics:
        _check_alike(tables, metric)
    return [
        compare_methods(side_by_side({name: scores[metric] for name, scores in runs.items()}), seed, level)
        for metric in metrics
    ]


def _check_alike(tables: Mapping[str, pa.Table], metric: str) -> None:
    """Refuse to set values beside one another that were measured differently."""
    params = {name: settings_of(table).get("metrics", {}).get(metric) for name, table in tables.items()}
    known = {name: value for name, value in params.items() if value is not None}
    for name, value in known.items():
        if value != next(iter(known.values())):
            raise MetricError(f"{next(iter(known))} and {name} measured {metric} with different parameters")


def compare_methods(scores: Scores, seed: int = 0, level: float = 0.95) -> Comparison:
    """Standings and paired differences of all methods by one metric.

    Args:
        seed: of the resampling and of the drawn signs.
        level: of the intervals, above 0 and below 1.
    """
    there = ~np.isnan(scores.values)
    ranks = _mean_ranks(scores.values[there.all(1)], scores.direction)
    standings = tuple(
        Standing(column, interval, None if ranks is None else float(ranks[place]), _is_control(column.method))
        for place, (column, interval) in enumerate(
            zip(scores.columns, intervals(scores.values, seed, level), strict=True)
        )
    )
    return Comparison(
        metric=scores.metric,
        direction=scores.direction,
        level=level,
        images=int(there.any(1).sum()),
        ranked=int(there.all(1).sum()),
        standings=standings,
        differences=tuple(_differences(scores, seed, level)),
    )


def _is_control(method: str) -> bool:
    return method in METHODS and METHODS[method].control


def _differences(scores: Scores, seed: int, level: float) -> Iterator[Difference]:
    pairs = list(combinations(range(len(scores.columns)), 2))
    apart = np.stack([scores.values[:, a] - scores.values[:, b] for a, b in pairs], axis=1) if pairs else None
    if apart is None:
        return
    shared = np.flatnonzero((~np.isnan(apart)).any(0))
    p = sign_flip(apart[:, shared], seed)
    rows = zip(shared, intervals(apart[:, shared], seed, level), p, holm(p), strict=True)
    for place, interval, raw, adjusted in rows:
        assert interval is not None
        first, second = (scores.columns[column] for column in pairs[place])
        yield Difference(first, second, interval, float(raw), float(adjusted))


def _mean_ranks(values: Floats, direction: Direction) -> Floats | None:
    """Of each column, over images that have all values; None without any."""
    if not values.size:
        return None
    ranks: Floats = rankdata(values if direction == "lower" else -values, axis=1).mean(0)
    return ranks


def sign_flip(differences: Floats, seed: int = 0) -> Floats:
    """Two-sided p of each column of paired differences (N, M): as often as chance gives a mean as far from 0.

    Where two methods are equally good, a difference is as likely with the other sign (Fisher 1935, The Design of
    Experiments, section 21). All patterns of signs are tried up to 13 images; beyond, as many are drawn, and the one at
    hand counts among them (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585), so that p is never 0.

    It tests the mean, which is what the interval beside it is of. Wilcoxon's test ranks the differences: on skewed ones
    it can call a method better whose mean is worse, and it has no good answer to the many zeros of a metric that says
    yes or no.

    Args:
        differences: NaN where a pair has no value; it does not count.
        seed: of the drawn signs, which all columns share.
    """
    held = np.nan_to_num(differences)
    total, size = held.sum(0), np.abs(held).sum(0)
    count = len(held)
    exact = count <= _ALL
    # Sums that differ by no more differ by rounding alone.
    enough = np.abs(total) - 1e-12 * size
    blocks = _all_signs(count) if exact else _drawn_signs(count, np.random.default_rng(seed))
    # With weights 0 and 1 for the signs − and +, the sum is twice what has a +, less all.
    hits = sum(((np.abs(2 * (block @ held) - total) >= enough).sum(0) for block in blocks), np.zeros(held.shape[1]))
    p: Floats = hits / 2**count if exact else (hits + 1) / (_FLIPS + 1)
    return p


def _all_signs(count: int) -> Iterator[Floats]:
    """Every pattern of `count` signs, 1 for +: (2 to the power of count, count)."""
    yield (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.float64)


def _drawn_signs(count: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Patterns of signs in blocks, 1 for +."""
    wide = -(-count // 64)  # whole words, whose stream does not depend on the blocks
    rows = max(1, _AT_ONCE // count)
    for start in range(0, _FLIPS, rows):
        drawn = generator.integers(0, 1 << 64, (min(rows, _FLIPS - start), wide), dtype=np.uint64)
        yield np.unpackbits(drawn.view(np.uint8), axis=1, count=count).astype(np.float64)


def holm(p: Floats) -> Floats:
    """p values (M,) such that rejecting those up to a bound errs anywhere with no more than that probability.

    Holm 1979, Scandinavian Journal of Statistics 6, 65: the smallest times M, the next times M − 1, never decreasing.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
