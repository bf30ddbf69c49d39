"""`methods`: what the registry says of each method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from cam_core.cli.tables import at_terminal, markdown_table, print_table
from cam_core.methods import METHODS, Method
from cam_core.parameters import DeclaredParameter

_COLUMNS = (
    "key",
    "title",
    "paper",
    "formula",
    "cost",
    "score",
    "unit of coefficients",
    "signed",
    "exact",
    "paper's claim",
    "fails",
)
_BRIEF = ("key", "title", "signed", "exact", "cost")
_NOTE = "`methods KEY` says all of one method, with its parameters."


def methods(
    key: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="Say all of these methods.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole table in Markdown.")] = False,
) -> None:
    """List the methods: formula, paper, cost, unit, exactness, claim, and where they fail."""
    chosen = [METHODS[one] for one in key or METHODS]
    if markdown:
        typer.echo(methods_markdown(chosen))
    elif key:
        print_table(("method", "fact", "value"), [row for one in chosen for row in _details(one)], whole=("method",))
    elif at_terminal():
        whole = [dict(zip(_COLUMNS, _facts(one), strict=True)) for one in chosen]
        print_table(_BRIEF, [[facts[column] for column in _BRIEF] for facts in whole], whole=_BRIEF[:2], note=_NOTE)
    else:
        print_table(_COLUMNS, [_facts(one) for one in chosen])


def methods_markdown(chosen: list[Method] | None = None) -> str:
    """The table of methods in Markdown, all of them where none are chosen; without a newline at its end."""
    rows = [_facts(one) for one in (METHODS.values() if chosen is None else chosen)]
    return markdown_table(_COLUMNS, rows, code=("key", "formula"))


def _facts(one: Method) -> tuple[str, ...]:
    exact = "exact" if one.exact else "approximate"
    signed = "signed" if one.signed else "positive"
    claim = one.claim or ("control: explains nothing" if one.control else "–")
    facts = (one.key, one.title, one.paper, one.formula, one.cost, one.score, one.unit or "–")
    return *facts, signed, exact, claim, one.fails


def _details(one: Method) -> Iterator[tuple[str, str, str]]:
    for name, fact in zip(_COLUMNS[1:], _facts(one)[1:], strict=True):
        yield one.key, name, fact
    for parameter in one.parameters:
        yield (
            one.key,
            f"--param {parameter.name}={_plain(parameter.default)}",
            f"{parameter.help} ({_range(parameter)})",
        )


def _range(parameter: DeclaredParameter) -> str:
    if parameter.choices:
        return " | ".join(parameter.choices)
    if parameter.kind == "bool":
        return "true | false"
    low, high = (("" if end is None else f"{end:g}") for end in (parameter.low, parameter.high))
    return f"{parameter.kind}, {low}–{high}" if low or high else parameter.kind


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
