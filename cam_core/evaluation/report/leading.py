"""Who leads by a metric, and who cannot be told from the leader."""

from __future__ import annotations

from dataclasses import dataclass

from cam_core.evaluation.scores import Column
from cam_core.evaluation.statistics import Comparison, Difference, Standing


@dataclass(frozen=True)
class Lead:
    """The best method of one network by one metric.

    Attributes:
        best: the best mean, controls apart; None where there is nothing to choose from.
        level: the others of that network which it is not significantly better than, controls among them.
    """

    best: Column | None
    level: tuple[Column, ...] = ()


def lead(comparison: Comparison, run: str) -> Lead:
    """Who leads among the methods of one run."""
    own = [standing for standing in comparison.standings if standing.column.run == run]
    contestants = [standing for standing in own if standing.interval is not None and not standing.control]
    if len(own) < 2 or not contestants:
        return Lead(None)
    best = (max if comparison.direction == "higher" else min)(contestants, key=_mean).column
    rivals = [standing.column for standing in own if standing.column != best and standing.interval is not None]
    return Lead(best, tuple(column for column in rivals if not _beats(comparison, best, column)))


def standing_of(comparison: Comparison, column: Column) -> Standing | None:
    """The standing of a method by this metric, whichever metric's column it is asked with."""
    key = (column.run, column.method)
    return next((each for each in comparison.standings if (each.column.run, each.column.method) == key), None)


def largest_mean(comparison: Comparison) -> float:
    """What numbers by this metric are rounded by: its largest mean."""
    means = [abs(standing.interval.mean) for standing in comparison.standings if standing.interval is not None]
    return max(means, default=0.0)


def difference(comparison: Comparison, column: Column, reference: Column) -> Difference | None:
    """The paired difference of a method from the reference; None where they share no image."""
    for made in comparison.differences:
        if (made.first, made.second) == (column, reference):
            return made
        if (made.first, made.second) == (reference, column):
            turned = made.interval
            interval = type(turned)(-turned.mean, -turned.high, -turned.low, turned.count)
            return Difference(column, reference, interval, made.p, made.adjusted)
    return None


def mean_ranks(comparisons: list[Comparison]) -> dict[Column, float]:
    """The mean rank of each method over all metrics, each of which counts alike; of those that all metrics rank."""
    ranks: dict[Column, list[float]] = {}
    for comparison in comparisons:
        for standing in comparison.standings:
            if standing.rank is not None:
                ranks.setdefault(_plain(standing.column), []).append(standing.rank)
    return {column: sum(own) / len(own) for column, own in ranks.items() if len(own) == len(comparisons)}


def rank_of(ranks: dict[Column, float], column: Column) -> float | None:
    """What `mean_ranks` gives a method, whichever metric's column it is asked with."""
    return ranks.get(_plain(column))


def _plain(column: Column) -> Column:
    """The column without what one metric alone says of it."""
    return Column(column.method, 0, column.run)


def _mean(standing: Standing) -> float:
    assert standing.interval is not None
    return standing.interval.mean


def _beats(comparison: Comparison, best: Column, other: Column) -> bool:
    made = difference(comparison, best, other)
    return made is not None and comparison.better(made) == best
