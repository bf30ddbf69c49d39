"""`results`: tables that `evaluate` wrote, side by side: means with intervals, ranks, and what of it is significant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cam_core.cli import options
from cam_core.cli.tables import print_table
from cam_core.evaluation.results import read_table
from cam_core.evaluation.statistics import Comparison, Difference, Standing, compare_runs

_MEANS = ("metric", "method", "better", "mean", "95 % low", "95 % high", "n", "missing", "mean rank", "control")
_APART = ("metric", "method", "minus", "difference", "95 % low", "95 % high", "n", "p", "Holm's p", "better")


def results(
    tables: Annotated[
        list[Path], typer.Argument(metavar="TABLE…", help="Parquet, written by `evaluate`; of the same images.")
    ],
    differences: Annotated[
        bool, typer.Option("--differences", help="Each pair of methods, image by image, instead of each method.")
    ] = False,
    seed: options.Seed = 0,
) -> None:
    """Compare methods, and runs of several networks on the same images: each metric with its 95 % intervals."""
    report = compare_runs({name: read_table(path) for name, path in _named(tables).items()}, seed)
    if differences:
        rows = [_apart(comparison, pair) for comparison in report for pair in comparison.differences]
        print_table(_APART, rows, numeric=_APART[3:9])
    else:
        lines = [_mean(comparison, standing) for comparison in report for standing in comparison.standings]
        print_table(_MEANS, lines, numeric=_MEANS[3:9])
    for doubt in dict.fromkeys(doubt for comparison in report for doubt in comparison.doubts):
        typer.secho(doubt, fg="yellow", err=True)


def _named(tables: Sequence[Path]) -> dict[str, Path]:
    """The tables by the name of the file, or by their path where two have the same; one alone needs no name."""
    if len(tables) == 1:
        return {"": tables[0]}
    stems = [path.stem for path in tables]
    return {path.stem if stems.count(path.stem) == 1 else str(path): path for path in tables}


def _mean(comparison: Comparison, standing: Standing) -> tuple[object, ...]:
    interval = standing.interval
    numbers = ("–",) * 3 if interval is None else _rounded(interval.mean, interval.low, interval.high)
    return (
        comparison.metric,
        standing.column.name,
        comparison.direction,
        *numbers,
        0 if interval is None else interval.count,
        standing.column.missing,
        "–" if standing.rank is None else f"{standing.rank:.2f}",
        "control" if standing.control else "",
    )


def _apart(comparison: Comparison, pair: Difference) -> tuple[object, ...]:
    interval, better = pair.interval, comparison.better(pair)
    numbers = _rounded(interval.mean, interval.low, interval.high)
    verdict = "undecided" if better is None else better.name
    return (
        *(comparison.metric, pair.first.name, pair.second.name),
        *(*numbers, interval.count, f"{pair.p:.2g}", f"{pair.adjusted:.2g}", verdict),
    )


def _rounded(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:.4g}" for value in values)
