"""Paired differences: each method less a reference, on the same images, with what chance would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from cam_core import METHODS, METRICS
from cam_core.evaluation.report.leading import difference, largest_mean, lead
from cam_core.evaluation.scores import Column
from cam_core.evaluation.statistics import Comparison, Difference
from pages.benchmark.shown import Shown
from pages.shared import links, style, tables
from pages.shared.tables import Cell


def section(shown: Shown, comparisons: Sequence[Comparison]) -> None:
    """The picker of a reference, and the table; nothing where there is one method alone."""
    columns = {f"{each.column.run}|{each.column.method}": each.column for each in comparisons[0].standings}
    if len(columns) < 2:
        return
    several = len(shown.runs) > 1
    names = {key: _name(column, several) for key, column in columns.items()}
    st.header("Paired differences")
    reference = links.choice(
        "versus", "Less", names, default=_reference(comparisons[0], columns), scope=shown.key, width=420,
        help="What each method’s values are taken less, image by image.",
    )  # fmt: skip
    heads = ["Method", *(f"{escape(METRICS[each.metric].title)}" for each in comparisons)]
    rows = [
        (f"{tables.line(column.method)}{escape(names[key])}", [_cell(each, key, reference) for each in comparisons])
        for key, column in columns.items()
        if key != reference
    ]
    with st.container(key="benchmark-differences"):
        st.html(tables.table(heads, rows))
    st.html(
        style.quiet(
            f"Mean over the images of the method’s value less that of {names[reference]}, its 95 % bootstrap "
            "interval, and p: how often signs drawn by chance give a mean as far from 0 (sign-flip test), "
            "Holm-corrected over all pairs by the metric. Bold: p ≤ 0.05, and then ✓ where the method is better, ✗ "
            "where it is worse."
        )
    )


def _name(column: Column, several: bool) -> str:
    title = METHODS[column.method].title
    return f"{title} · {column.run}" if several else title


def _reference(comparison: Comparison, columns: Mapping[str, Column]) -> str:
    """The leader of the first network by the first metric: is it really better? The first method where none leads."""
    first = next(iter(columns.values()))
    leader = lead(comparison, first.run).best or first
    return f"{leader.run}|{leader.method}"


def _cell(comparison: Comparison, key: str, reference: str) -> Cell:
    columns = {f"{each.column.run}|{each.column.method}": each.column for each in comparison.standings}
    if key not in columns or reference not in columns:
        return Cell("–")
    made = difference(comparison, columns[key], columns[reference])
    if made is None:
        return Cell("–", "no image in common")
    largest = largest_mean(comparison)
    sign = "+" if made.interval.mean > 0 else ""
    better = comparison.better(made)
    mark = "" if better is None else " ✓" if better == made.first else " ✗"
    text = f"{sign}{style.number(made.interval.mean, largest)}{mark}"
    return Cell(text, _aside(made, largest), best=better is not None)


def _aside(made: Difference, largest: float) -> str:
    """ "[1.2, 3.4] p = 0.012"; one image has neither."""
    if made.interval.count < 2:
        return "one image"
    ends = ", ".join(style.number(end, largest) for end in (made.interval.low, made.interval.high))
    p = "p < 0.001" if made.adjusted < 0.001 else f"p = {style.significant(made.adjusted, 2)}"
    return f"[{ends}] {p}"
