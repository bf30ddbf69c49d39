"""Tables of numbers, as HTML: a row may have a method's line, a name may open, a cell may have a tint.

st.html(table(["Method", "Area"], [(f"{line('lift-cam')}LIFT-CAM", [Cell("0.9", best=True)])]))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from math import isnan
from typing import Final

from cam_core.palette import DASHES, style_of
from pages.shared import style

_WIDTH: Final = 3  # pixels of a line
_STRONGEST_TINT: Final = 70  # per cent of the colour: on more of it, letters would be hard to read


@dataclass(frozen=True)
class Cell:
    """A number as text, and what is said beside it in small print."""

    text: str
    aside: str = ""
    best: bool = False


def line(name: str) -> str:
    """The line that a method has in charts."""
    colour, dash, _ = style_of(name)
    ends = [0.0, *accumulate(_WIDTH * length for length in DASHES[dash] or (1,))]
    stripes = ", ".join(
        f"{'transparent' if number % 2 else colour} {start:g}px {end:g}px"
        for number, (start, end) in enumerate(pairwise(ends))
    )
    return f'<i class="cam-line" style="background: repeating-linear-gradient(90deg, {stripes})"></i>'


def table(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]]) -> str:
    """Rows of cells under columns.

    Args:
        columns: heads, HTML; the first, plain text over the rows' names, is what the table is called as well.
        rows: name (HTML) and cells.
    """
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    lines = [f'<tr><th scope="row">{name}</th>{"".join(map(_cell, cells))}</tr>' for name, cells in rows]
    return scrolling(
        f"Table: {columns[0]}",
        f'<table class="cam-table"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>',
    )


def term(plain: str, name: str, more: str) -> str:
    """A plain name, the field's name in small print, and what else is to be said: it opens for a tap, click or key.

    Args:
        more: HTML.
    """
    return opening(f"{escape(plain)} <small>{escape(name)}</small>", f"<div>{more}</div>")


def opening(line: str, more: str) -> str:
    """A line that opens for a tap, click or key, and what it then says; both HTML."""
    return f'<details class="cam-term"><summary>{line}</summary>{more}</details>'


def opening_list(line: str, entries: Iterable[str]) -> str:
    """The same of several entries, HTML, below each other."""
    return opening(line, f"<ul>{''.join(f'<li>{entry}</li>' for entry in entries)}</ul>")


def _cell(cell: Cell) -> str:
    text = f"<b>{escape(cell.text)}</b>" if cell.best else escape(cell.text)
    aside = f" <small>{escape(cell.aside)}</small>" if cell.aside else ""
    return f"<td>{text}{aside}</td>"


def matrix(names: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    """A square table of numbers in [−1, 1], each on a tint as strong as its square; "–" where there is none.

    The square, because most maps of one photo agree somewhat, and what is to be seen is which agree more.
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_tinted, line))}</tr>'
        for name, line in zip(names, values, strict=True)
    )
    return scrolling(
        "Table", f'<table class="cam-matrix"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def scrolling(name: str, content: str) -> str:
    """HTML that may be wider than its place: keys reach it to scroll it, and screen readers call it by its name."""
    return f'<div class="cam-scroll" tabindex="0" role="region" aria-label="{name}">{content}</div>'


def _tinted(value: float) -> str:
    if isnan(value):
        return "<td>–</td>"
    tint = "--cam-accent" if value > 0 else "--cam-opposed"
    share = f"{_STRONGEST_TINT * value**2:.0f}%"
    return (
        f'<td style="background: color-mix(in srgb, var({tint}) {share}, transparent)">{style.decimals(value, 2)}</td>'
    )
