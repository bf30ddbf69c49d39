"""`methods`: the registry's entry of each method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from cam_core.applicability import methods_at
from cam_core.cli import options
from cam_core.cli.tables import at_terminal, markdown_table, print_table
from cam_core.declarations.parameters import DeclaredParameter
from cam_core.methods import METHODS, Method
from cam_core.models.load import is_whole, load_model

_COLUMNS = (
    "key",
    "title",
    "family",
    "in plain words",
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
    model: options.Model = options.DEFAULT_MODEL,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="Say which methods work at this layer of --model: see `layers`.")
    ] = None,
) -> None:
    """List the methods: what they do, formula, paper, cost, unit, exactness, claim, and where they fail."""
    chosen = [METHODS[name] for name in key or METHODS]
    if layer:
        print_table(("key", "title", f"at {layer}"), _at_layer(chosen, model, layer), whole=("key", "title"))
    elif markdown:
        typer.echo(methods_markdown(chosen))
    elif key:
        print_table(
            ("method", "fact", "value"), [row for method in chosen for row in _details(method)], whole=("method",)
        )
    elif at_terminal():
        whole = [dict(zip(_COLUMNS, _facts(method), strict=True)) for method in chosen]
        print_table(_BRIEF, [[facts[column] for column in _BRIEF] for facts in whole], whole=_BRIEF[:2], note=_NOTE)
    else:
        print_table(_COLUMNS, [_facts(method) for method in chosen])


def methods_markdown(chosen: list[Method] | None = None) -> str:
    """The table of methods in Markdown, all of them where none are chosen; without a newline at its end."""
    rows = [_facts(method) for method in (METHODS.values() if chosen is None else chosen)]
    return markdown_table(_COLUMNS, rows, code=("key", "formula"))


def _at_layer(chosen: list[Method], model: str, layer: str) -> list[tuple[str, str, str]]:
    """Whether each method works there, or why not. Random weights will do: nothing is downloaded."""
    weights = "default" if is_whole(model) else "random"
    reasons = methods_at(load_model(model, weights=weights, device="cpu"), layer)
    answers = {key: f"no: {reason}" if reason else "yes" for key, reason in reasons.items()}
    return [(method.key, method.title, answers[method.key]) for method in chosen]


def _facts(method: Method) -> tuple[str, ...]:
    exact = "exact" if method.exact else "approximate"
    signed = "signed" if method.signed else "positive"
    claim = method.claim or ("control: explains nothing" if method.control else "–")
    named = (method.key, method.title, method.family, method.plain, method.paper, method.formula, method.cost)
    return *named, method.score, method.unit or "–", signed, exact, claim, method.fails


def _details(method: Method) -> Iterator[tuple[str, str, str]]:
    for name, fact in zip(_COLUMNS[1:], _facts(method)[1:], strict=True):
        yield method.key, name, fact
    for parameter in method.parameters:
        yield (
            method.key,
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
