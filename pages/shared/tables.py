"""Tables of numbers, as HTML: with the line that stands for a method in a chart, and the best in bold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from typing import Final

from cam_core.palette import DASHES, style_of

RULES: Final = """
.cam-table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
.cam-table th, .cam-table td { padding: .3rem .9rem .3rem 0; border: 0; white-space: nowrap; text-align: left;
  border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent); vertical-align: baseline; }
.cam-table th { font-weight: 500; } .cam-table thead th { font-size: .78rem; opacity: .75; }
.cam-table td small { opacity: .68; font-size: .78rem; }
.cam-table b { font-weight: 650; }
.cam-line { display: inline-block; vertical-align: middle; width: 26px; height: 3px; margin-right: .5rem; }
"""

_WIDTH: Final = 3  # pixels of a line


@dataclass(frozen=True)
class Cell:
    """A number as text, what is said beside it in small print, and what the pointer finds out."""

    text: str
    aside: str = ""
    help: str = ""
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
        columns: heads, the first of them over the rows' names; HTML.
        rows: name (HTML) and cells.
    """
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    lines = [f'<tr><th scope="row">{name}</th>{"".join(map(_cell, cells))}</tr>' for name, cells in rows]
    return (
        f'<div class="cam-scroll"><table class="cam-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def hinted(text: str, help: str) -> str:
    """Text that says more where the pointer rests on it."""
    return f'<span title="{escape(help)}">{escape(text)}</span>'


def _cell(cell: Cell) -> str:
    text = f"<b>{escape(cell.text)}</b>" if cell.best else escape(cell.text)
    aside = f" <small>{escape(cell.aside)}</small>" if cell.aside else ""
    return f'<td title="{escape(cell.help)}">{text}{aside}</td>' if cell.help else f"<td>{text}{aside}</td>"
