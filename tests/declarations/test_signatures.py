"""Parameters as they are declared in a signature, and what is no declaration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import pytest

from cam_core.declarations.parameters import DeclaredParameter, Parameter
from cam_core.declarations.signatures import Signature, declared_fields
from cam_core.types import MetricError

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

Colour: TypeAlias = Annotated[Literal["red", "green"], Parameter("of the pixel")]


def read(function: Callable[..., Any]) -> Signature[Any]:
    return Signature(function, ("net",), "owner", MetricError)


def test_name_type_and_default_come_from_the_signature() -> None:
    def function(
        net: Unknown,
        steps: Annotated[int, Parameter("how many", low=1, high=9)] = 5,
        rate: Annotated[float, Parameter("how far", low=0)] = 1,
        centred: Annotated[bool, Parameter("about the mean")] = False,
        colour: Colour = "green",
    ) -> Unknown: ...

    assert read(function).parameters == (
        DeclaredParameter("how many", low=1, high=9, name="steps", kind="int", default=5),
        DeclaredParameter("how far", low=0, name="rate", kind="float", default=1.0),
        DeclaredParameter("about the mean", name="centred", kind="bool", default=False),
        DeclaredParameter("of the pixel", name="colour", kind="choice", default="green", choices=("red", "green")),
    )
    assert isinstance(read(function).parameters[1].default, float), "a default in its declared type"
    assert read(function).by_name() is function


@dataclass(frozen=True)
class Brush:
    """`owner` is no parameter."""

    owner: str = "nobody"
    width: Annotated[float, Parameter("in pixels", low=0, high=9)] = 2.0
    colour: Colour = "red"


WIDE = Brush("me", width=8)


def paint(net: object, before: Annotated[int, Parameter("")] = 1, brush: Brush = WIDE, *, after: Colour = "red") -> Any:
    return net, before, brush, after


def test_a_dataclass_stands_for_its_declared_fields() -> None:
    signature = read(paint)
    assert [(p.name, p.default) for p in signature.parameters] == [
        ("before", 1),
        ("width", 8.0),
        ("colour", "red"),
        ("after", "red"),
    ]
    call = signature.by_name()
    called = call("net", before=3, width=4.0, colour="green", after="green")
    assert called == ("net", 3, Brush("me", 4.0, "green"), "green")
    assert call("net", before=3, width=8.0, colour="red", after="red")[2] == WIDE
    assert Brush("me", 8) == WIDE, "the default is not written to"
    assert [p.default for p in declared_fields(Brush(width=3), "owner", MetricError)] == [3.0, "red"]


def test_without_a_default_of_its_own_a_dataclass_has_its_own_defaults() -> None:
    def function(net: object, brush: Brush) -> Brush:
        return brush

    assert [p.default for p in read(function).parameters] == [2.0, "red"]
    assert read(function).by_name()("net", width=2.0, colour="red") == Brush()


def undeclared(net: object, steps: int = 1) -> None: ...
def bare(net: object, steps=1) -> None: ...  # type: ignore[no-untyped-def]
def without_default(net: object, steps: Annotated[int, Parameter("")]) -> None: ...
def of_no_kind(net: object, steps: Annotated[str, Parameter("")] = "1") -> None: ...
def out_of_range(net: object, steps: Annotated[int, Parameter("", low=2)] = 1) -> None: ...
def not_whole(net: object, steps: Annotated[int, Parameter("")] = 1.5) -> None: ...  # type: ignore[assignment]
def no_choice(net: object, colour: Colour = "blue") -> None: ...  # type: ignore[assignment]
def twice(net: object, brush: Brush, colour: Colour = "red") -> None: ...
def unknown(net: object, steps: Annotated[Unknown, Parameter("")] = 1) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (undeclared, "owner takes 'steps' without declaring it: steps: Annotated"),
        (bare, "owner takes 'steps' without declaring it"),
        (without_default, "owner declares the parameter 'steps' without a default"),
        (of_no_kind, "owner declares the parameter 'steps' as <class 'str'>, not as bool, int, float or Literal"),
        (out_of_range, "steps=1 is out of range"),
        (not_whole, "steps=1.5 is not a whole number"),
        (no_choice, "colour='blue' is not one of red, green"),
        (twice, "owner declares the parameter 'colour' 2 times"),
        (unknown, "owner declares a parameter by what its file does not define: name 'Unknown'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_declaration_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        read(function)
