"""Tables on stdout: framed and fitted for a person at a terminal, tab-separated and whole for whatever else reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Rows = Sequence[Sequence[object]]


def at_terminal() -> bool:
    """Whether a person reads stdout."""
    return Console().is_terminal


def markdown_table(columns: Sequence[str], rows: Rows, *, code: Collection[str] = ()) -> str:
    """A table in Markdown, without a newline at its end; the cells of the columns `code` are set as code."""
    marks = ["`" if column in code else "" for column in columns]
    quoted = [[f"{mark}{cell}{mark}" for mark, cell in zip(marks, row, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in (columns, ["---"] * len(columns), *quoted))


def _cell(text: str) -> str:
    """Text in one cell: a bar would end it, also inside of code."""
    return " ".join(text.split()).replace("|", r"\|")


def print_table(
    columns: Sequence[str], rows: Rows, *, numeric: Collection[str] = (), whole: Collection[str] = (), note: str = ""
) -> None:
    """A header and rows.

    Args:
        numeric: columns to be aligned at the right.
        whole: columns that are never wrapped, such as names to be copied.
        note: a sentence below, for people only.
    """
    if not at_terminal():
        for row in (columns, *rows):
            typer.echo("\t".join(" ".join(str(cell).split()) for cell in row))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # as Text: brackets are no markup
    console = Console()
    console.print(table)
    if note:
        console.print(Text(note, style="dim"))
