"""Records of JSON read as frozen dataclasses, whose annotations say what is allowed; what is wrong is said in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cam_core.figures.design import FigureError

T = TypeVar("T")

_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def read_record(record: object, kind: type[T], where: str) -> T:
    """The record as a `kind`. A text alone stands for a record with nothing but its first field.

    Args:
        record: as `json.loads` gives it.
        kind: a dataclass whose fields are numbers, texts, truth values, choices, tuples of these, and such dataclasses.
        where: the record's name, for messages.
    Raises:
        FigureError: an unknown or missing field, or a value of another kind; and what `kind` itself refuses.
    """
    known: dict[str, Field[Any]] = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if isinstance(record, str):
        record = {next(iter(known)): record}
    if not isinstance(record, Mapping):
        raise FigureError(f"{where} is {record!r}, and should be an object with {', '.join(known)}")
    for name in record:
        if name not in known:
            raise FigureError(f"{where} has no field {name!r}; it has: {', '.join(known)}")
    missing = [name for name, field in known.items() if name not in record and _required(field)]
    if missing:
        raise FigureError(f"{where} lacks {', '.join(missing)}")
    hints = get_type_hints(kind)
    return kind(**{name: _read(value, hints[name], f"{where}.{name}") for name, value in record.items()})


def plain(value: Any) -> Any:
    """A dataclass, or what is in one, as JSON has it; parameters in pairs become an object."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: dict(getattr(value, field.name))
            if field.name == "params"
            else plain(getattr(value, field.name))
            for field in fields(value)
        }
    return [plain(part) for part in value] if isinstance(value, tuple) else value


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _read(value: object, hint: Any, where: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return read_record(value, hint, where)
    if origin in (Union, UnionType):
        return _one_of(value, parts, where)
    if origin is Literal:
        if value not in parts:
            raise FigureError(f"{where} is {value!r}, and is one of {', '.join(map(repr, parts))}")
        return value
    if origin is tuple:
        return _several(value, parts, where)
    if not _is(value, hint):
        raise FigureError(f"{where} is {value!r}, and should be {_WORDS[hint]}")
    return value


def _is(value: object, kind: type) -> bool:
    """Whether it is of that kind in JSON, where a truth value is no number, and 8 is a number as good as 8.0."""
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)


def _one_of(value: object, kinds: tuple[Any, ...], where: str) -> Any:
    """A union of plain kinds, and perhaps one record or one tuple."""
    plain_kinds = [kind for kind in kinds if kind in _WORDS]
    if any(_is(value, kind) for kind in plain_kinds):
        return value
    composed = [kind for kind in kinds if kind not in _WORDS]
    if composed and isinstance(value, Mapping | list | tuple | str):
        return _read(value, composed[0], where)
    words = [
        *(_WORDS[kind] for kind in plain_kinds),
        *("an object" if is_dataclass(kind) else "a list" for kind in composed),
    ]
    raise FigureError(f"{where} is {value!r}, and should be {' or '.join(words)}")


def _several(value: object, parts: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if isinstance(value, Mapping):  # parameters by name
        return tuple(value.items())
    if not isinstance(value, list | tuple):
        raise FigureError(f"{where} is {value!r}, and should be a list")
    if Ellipsis in parts:
        return tuple(_read(part, parts[0], f"{where}[{number}]") for number, part in enumerate(value))
    if len(value) != len(parts):
        raise FigureError(f"{where} has {len(value)} entries, and should have {len(parts)}")
    return tuple(_read(part, hint, f"{where}[{n}]") for n, (part, hint) in enumerate(zip(value, parts, strict=True)))
