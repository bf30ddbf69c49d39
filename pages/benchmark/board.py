"""Who wins: a cell for every method and metric, with its interval; a click on one looks at its images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from html import escape
from typing import Final

import streamlit as st

from cam_core import METHODS, METRICS
from cam_core.evaluation.report.images import Missing, missing
from cam_core.evaluation.report.leading import largest_mean, lead, mean_ranks, rank_of, standing_of
from cam_core.evaluation.report.opening import means_so_far
from cam_core.evaluation.results import Row
from cam_core.evaluation.scores import Column
from cam_core.evaluation.statistics import Comparison, Standing
from cam_core.metrics import Metric
from pages.benchmark.running import KEPT, Run
from pages.benchmark.shown import Shown
from pages.shared import style, tables
from pages.shared.tables import Cell

_CELL: Final = 128  # pixels
_NAME: Final = 190
_RANK: Final = 84
_NAMED: Final = 3  # images that are called by their names


def board(shown: Shown, comparisons: Sequence[Comparison], choose: str) -> None:
    """The table, and how to read it.

    Args:
        choose: where the chosen cell stands in the session state.
    """
    ranks = mean_ranks(list(comparisons))
    with st.container(key="standings"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="bottom", key="standing-head"):
            st.html(_head("Method"), width=_NAME)
            for comparison in comparisons:
                st.html(_head(*_metric(METRICS[comparison.metric])), width=_CELL)
            st.html(_head("Mean rank"), width=_RANK)
        for run in shown.runs:
            _network(shown, run, comparisons)
            for column in _columns(comparisons[0], run):
                _row(column, comparisons, rank_of(ranks, column), choose)
    st.html(style.quiet(_words(comparisons)))


def _head(text: str, aside: str = "") -> str:
    return f'<div class="cam-standing-head">{escape(text)}<small>{escape(aside)}</small></div>'


def _metric(metric: Metric) -> tuple[str, str]:
    unit = f"{metric.unit}, " if metric.unit else ""
    return metric.title, f"{unit}{style.ARROWS[metric.direction]} {metric.direction} is better"


def _network(shown: Shown, run: str, comparisons: Sequence[Comparison]) -> None:
    """The line over a network's methods."""
    results = shown.runs[run]
    images = f"{results.images:,} image{'s' if results.images != 1 else ''}"
    layer = f" · layer {results.layer}" if results.layer else ""
    st.html(f'<div class="cam-standing-run"><b>{escape(run)}</b> <small>{escape(images + layer)}</small></div>')


def _columns(comparison: Comparison, run: str) -> list[Column]:
    """The methods of a network, its controls last."""
    own = [standing for standing in comparison.standings if standing.column.run == run]
    return [standing.column for standing in sorted(own, key=lambda standing: standing.control)]


def _row(column: Column, comparisons: Sequence[Comparison], rank: float | None, choose: str) -> None:
    key = f"{column.run}|{column.method}"
    method = METHODS[column.method]
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", key=f"standing-row-{key}"):
        control = "<small>explains nothing</small>" if method.control else ""
        name = f"{tables.line(column.method)}{escape(method.title)}{control}"
        st.html(f'<div class="cam-standing-name">{name}</div>', width=_NAME)
        for comparison in comparisons:
            standing = standing_of(comparison, column)
            if standing is not None:
                _cell(standing, comparison, key, choose)
        st.html(f'<div class="cam-standing-rank">{"–" if rank is None else style.decimals(rank, 2)}</div>', width=_RANK)


def _cell(standing: Standing, comparison: Comparison, key: str, choose: str) -> None:
    cell, column = f"{key}|{comparison.metric}", standing.column
    heard = f"{METHODS[column.method].title}, {METRICS[comparison.metric].title}, {column.run}"
    st.button(
        f"{_written(standing, comparison)} :small[{style.plain(heard)}]",
        key=f"standing-cell-{cell}",
        type="tertiary",
        width=_CELL,
        disabled=standing.interval is None,
        on_click=partial(_choose, choose, cell),
    )


def _choose(key: str, cell: str) -> None:
    st.session_state[key] = cell


def _written(standing: Standing, comparison: Comparison) -> str:
    """The mean, and in small print its interval; bold where it is the best."""
    interval, leading = standing.interval, lead(comparison, standing.column.run)
    if interval is None:
        return "– :small[no value]"
    largest = largest_mean(comparison)
    mean = style.number(interval.mean, largest)
    mean = f"**{mean}**" if standing.column == leading.best else mean
    level = " ≈" if standing.column in leading.level else ""
    return f"{mean}{level} :small[{_interval(standing, largest)}]"


def _interval(standing: Standing, largest: float) -> str:
    """One image has no interval."""
    interval = standing.interval
    assert interval is not None
    if interval.count < 2:
        return "one image"
    low, high = (style.number(end, largest) for end in (interval.low, interval.high))
    return f"{low} … {high}"


def _words(comparisons: Sequence[Comparison]) -> str:
    level = f"{100 * comparisons[0].level:.0f} %"
    return (
        f"Means over images; below each, its {level} bootstrap interval. Bold: the best of its network, controls "
        "apart. ≈: the best is not significantly better (paired sign-flip test over the same images, Holm-corrected "
        "over all pairs). Mean rank: 1 would be the best on every image by every metric. Click a cell for its worst "
        "and best images."
    )


def doubts(shown: Shown, comparisons: Sequence[Comparison]) -> None:
    """What to know before trusting the table: few images, a control that is not beaten, values that are not there."""
    for doubt in _told_once(comparisons):
        st.html(style.notice_line(doubt))
    if not any(standing.control for standing in comparisons[0].standings):
        st.html(style.notice_line("No control is among the methods: Random shows what a map scores that says nothing."))
    for run in shown.runs:
        if line := _unbeaten(comparisons, run):
            st.html(style.notice_line(line))
    absent = missing(list(shown.runs.values()))
    if absent:
        st.html(_missing(absent))
    unknown = [name for results in shown.runs.values() for name in results.unknown]
    if unknown:
        st.html(style.notice_line(f"Left out, being unknown to this version: {', '.join(dict.fromkeys(unknown))}."))


def _told_once(comparisons: Sequence[Comparison]) -> list[str]:
    """Doubts of several metrics in one sentence, where it is the same one; the metrics by their titles."""
    metrics: dict[str, list[str]] = {}
    for comparison in comparisons:
        for doubt in comparison.doubts:
            metrics.setdefault(doubt.replace(comparison.metric, "{}"), []).append(METRICS[comparison.metric].title)
    return [f"{doubt.replace('{}', style.listed(titles))}." for doubt, titles in metrics.items()]


def _unbeaten(comparisons: Sequence[Comparison], run: str) -> str:
    """By which metrics the best is not better than a control, so that they show nothing here."""
    metrics = [
        METRICS[comparison.metric].title
        for comparison in comparisons
        if any(METHODS[column.method].control for column in lead(comparison, run).level)
    ]
    if not metrics:
        return ""
    return (
        f"{run}: by {style.listed(metrics)}, even the best is not significantly better than a control, which explains "
        "nothing."
    )


def _missing(absent: Sequence[Missing]) -> str:
    count = sum(each.count for each in absent)
    lines = (
        f"{each.count:,} × {escape(style.sentence(each.reason))} <small>{escape(_places(each))}</small>"
        for each in absent
    )
    return tables.opening_list(
        f"{count:,} value{'s are' if count != 1 else ' is'} missing, and count for nothing", lines
    )


def _places(each: Missing) -> str:
    """ "Grad-CAM, CAM: a.jpg, b.jpg and 3 others"."""
    named = ", ".join(each.images[:_NAMED])
    unnamed = len(each.images) - _NAMED
    more = f" and {unnamed:,} other{'s' if unnamed > 1 else ''}" if unnamed > 0 else ""
    return f"{', '.join(METHODS[method].title for method in each.methods)}: {named}{more}"


# ---- while it runs


def so_far(run: Run) -> str:
    """Means over what is there by now, as HTML: intervals come when all of it is."""
    metrics = [METRICS[key] for key in run.benchmark.metrics]
    heads = ["Method", *(f"{escape(metric.title)} {style.ARROWS[metric.direction]}" for metric in metrics), "Images"]
    lines = [line for network, rows in run.rows.items() for line in _lines_so_far(run, network, rows)]
    return (tables.table(heads, lines) if lines else "") + style.quiet(_last(run))


def _last(run: Run) -> str:
    """The image that was done last, or why nothing is shown so far."""
    if run.benchmark.values > KEPT:
        return "So many values are shown when all of them are there."
    return f"Last: {run.last.rows[-1].image}." if run.last is not None and run.last.rows else ""


def _lines_so_far(run: Run, network: str, rows: Sequence[Row]) -> Iterator[tuple[str, list[Cell]]]:
    means = means_so_far(rows)
    name = f"<small>{escape(network)}: </small>" if len(run.benchmark.networks) > 1 else ""
    for request in run.benchmark.requests:
        values = [means.get((request.method, key)) for key in run.benchmark.metrics]
        cells = [Cell("…" if value is None else style.significant(value[0], 3)) for value in values]
        images = max((value[1] for value in values if value), default=0)
        yield f"{tables.line(request.method)}{name}{escape(request.title)}", [*cells, Cell(f"{images:,}")]
