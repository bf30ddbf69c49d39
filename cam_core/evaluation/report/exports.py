"""Standings as they leave: a table of comma-separated values, and one in LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from cam_core.evaluation.report.leading import largest_mean, lead, mean_ranks, rank_of, standing_of
from cam_core.evaluation.scores import Column
from cam_core.evaluation.statistics import Comparison, Standing
from cam_core.figures.grid.escaping import escaped
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.numbers import number

_COLUMNS = (
    *("network", "method", "metric", "better", "unit", "mean", "low", "high", "images", "missing"),
    *("mean_rank", "best", "level_with_best"),
)
_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}


def standings_csv(comparisons: Sequence[Comparison]) -> bytes:
    """One line per network, method and metric, in UTF-8; "low" and "high" are the ends of the interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for comparison in comparisons:
        for standing in comparison.standings:
            writer.writerow(_line(comparison, standing))
    return text.getvalue().encode()


def _line(comparison: Comparison, standing: Standing) -> tuple[object, ...]:
    column, interval, metric = standing.column, standing.interval, METRICS[comparison.metric]
    leading = lead(comparison, column.run)
    numbers = ("", "", "", 0) if interval is None else (interval.mean, interval.low, interval.high, interval.count)
    return (
        *(column.run, column.method, metric.key, metric.direction, metric.unit, *numbers, column.missing),
        "" if standing.rank is None else standing.rank,
        *(int(column == leading.best), int(column in leading.level)),
    )


def standings_latex(comparisons: Sequence[Comparison], label: str = "tab:benchmark") -> str:
    """A table of LaTeX: methods by metrics, each mean with its interval below; it needs the package booktabs."""
    columns = [standing.column for standing in comparisons[0].standings]
    runs = list(dict.fromkeys(column.run for column in columns))
    ranks = mean_ranks(list(comparisons))
    width = len(comparisons) + 2
    lines = [
        r"\begin{table}[t]",
        r"  \centering",
        f"  \\caption{{{_caption(comparisons)}}}",
        f"  \\label{{{label}}}",
        f"  \\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"    \toprule",
        f"    {' & '.join(['Method', *map(_head, comparisons), 'Mean rank'])} \\\\",
    ]
    for run in runs:
        lines.append(r"    \midrule")
        if len(runs) > 1:
            lines += [f"    \\multicolumn{{{width}}}{{l}}{{{escaped(run)}}} \\\\", r"    \addlinespace[2pt]"]
        for column in (column for column in columns if column.run == run):
            rank = rank_of(ranks, column)
            cells = [_cell(comparison, column) for comparison in comparisons]
            last = "--" if rank is None else f"{rank:.2f}"
            lines.append(f"    {' & '.join([escaped(METHODS[column.method].title), *cells, last])} \\\\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def _head(comparison: Comparison) -> str:
    metric = METRICS[comparison.metric]
    unit = f", {escaped(metric.unit)}" if metric.unit else ""
    return f"{escaped(metric.title)}{unit} {_ARROWS[metric.direction]}"


def _cell(comparison: Comparison, column: Column) -> str:
    """ "\\textbf{12.3} {\\scriptsize [10.1, 14.6]}"; a dagger where the best is not significantly better."""
    standing = standing_of(comparison, column)
    if standing is None or standing.interval is None:
        return "--"
    interval, leading = standing.interval, lead(comparison, column.run)
    largest = largest_mean(comparison)
    mean = escaped(number(interval.mean, largest))
    mean = f"\\textbf{{{mean}}}" if standing.column == leading.best else mean
    mean += r"$^{\dagger}$" if standing.column in leading.level else ""
    if interval.count < 2:
        return mean
    ends = ", ".join(escaped(number(end, largest)) for end in (interval.low, interval.high))
    return f"{mean} {{\\scriptsize [{ends}]}}"


def _caption(comparisons: Sequence[Comparison]) -> str:
    images = max(comparison.images for comparison in comparisons)
    level = f"{100 * comparisons[0].level:.0f}\\,\\%"
    return (
        f"Means over {images} images with {level} bootstrap intervals. Bold: the best, controls apart; $\\dagger$: the "
        "best is not significantly better (paired sign-flip test, Holm-corrected). Mean rank: over images and metrics."
    )
