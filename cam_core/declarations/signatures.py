"""Reading the parameters that a function declares in its signature.

What several functions hand on together are the fields of a frozen dataclass, declared alike: an argument
`masking: Masking` stands for all of them, and each is a parameter by its own name. Defaults are those of the dataclass,
or what the instance holds that is the argument's default.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import is_dataclass, replace
from functools import wraps
from types import SimpleNamespace
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from cam_core.declarations.parameters import DeclaredParameter, Kind, Parameter
from cam_core.types import CamError

R = TypeVar("R")

_KINDS: dict[object, Kind] = {bool: "bool", int: "int", float: "float"}


class Signature(Generic[R]):
    """The parameters of a function, in their order.

    Args:
        shared: names of the arguments that are no parameters.
        owner: what the function belongs to, for messages.
        error: for what is declared wrongly.
    Raises:
        CamError: `error`, for an argument without a declaration, a name that is declared twice, or a default that is
            missing or not allowed.
    """

    def __init__(self, function: Callable[..., R], shared: Collection[str], owner: str, error: type[CamError]) -> None:
        self._function = function
        self._groups: dict[str, Any] = {}
        declared: list[DeclaredParameter] = []
        for name, hint, default in _arguments(function, shared, owner, error):
            if is_dataclass(hint) and isinstance(hint, type):
                self._groups[name] = hint() if default is inspect.Parameter.empty else default
                declared += declared_fields(self._groups[name], owner, error)
            else:
                declared.append(_declared(name, hint, default, owner, error))
        self.parameters = tuple(declared)
        for name, count in Counter(parameter.name for parameter in declared).items():
            if count > 1:
                raise error(f"{owner} declares the parameter {name!r} {count} times")

    def by_name(self) -> Callable[..., R]:
        """The function, to be called with every parameter by its own name, also those that a dataclass declares."""
        function, members = self._function, {name: _members(group) for name, group in self._groups.items()}
        if not members:
            return function

        @wraps(function)
        def gathering(*args: Any, **params: Any) -> R:
            for name, group in self._groups.items():
                params[name] = replace(group, **{member: params.pop(member) for member in members[name]})
            return function(*args, **params)

        return gathering


def declared_fields(group: Any, owner: str, error: type[CamError]) -> tuple[DeclaredParameter, ...]:
    """The parameters among the fields of a dataclass; what the instance `group` holds are their defaults.

    Raises:
        CamError: `error`, for a default that is not allowed.
    """
    return tuple(_declared(name, hint, getattr(group, name), owner, error) for name, hint in _members(group).items())


def _members(group: Any) -> Mapping[str, Any]:
    hints = get_type_hints(type(group), include_extras=True)
    return {name: hint for name, hint in hints.items() if _declaration(hint)}


def _arguments(
    function: Callable[..., Any], shared: Collection[str], owner: str, error: type[CamError]
) -> Iterator[tuple[str, Any, Any]]:
    """Name, type (None where there is none) and default of every argument that is not shared."""
    own = {name: a for name, a in inspect.signature(function).parameters.items() if name not in shared}
    # Theirs alone: what else the signature names may be known to a type checker only.
    annotations = {name: a.annotation for name, a in own.items() if a.annotation is not a.empty}
    known = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        hints = get_type_hints(SimpleNamespace(__annotations__=annotations), known, include_extras=True)
    except NameError as unknown:
        raise error(f"{owner} declares a parameter by what its file does not define: {unknown}") from None
    for name, argument in own.items():
        yield name, hints.get(name), argument.default


def _declaration(hint: Any) -> Parameter | None:
    """The declaration in `Annotated`, the outermost where there are several."""
    return next((said for said in reversed(getattr(hint, "__metadata__", ())) if isinstance(said, Parameter)), None)


def _declared(name: str, hint: Any, default: Any, owner: str, error: type[CamError]) -> DeclaredParameter:
    said = _declaration(hint)
    if said is None:
        raise error(f'{owner} takes {name!r} without declaring it: {name}: Annotated[…, Parameter("…")] = …')
    if default is inspect.Parameter.empty:
        raise error(f"{owner} declares the parameter {name!r} without a default")
    bare = get_args(hint)[0]
    choices = get_args(bare) if get_origin(bare) is Literal else ()
    if bare not in _KINDS and not choices:
        raise error(f"{owner} declares the parameter {name!r} as {bare}, not as bool, int, float or Literal")
    kind = "choice" if choices else _KINDS[bare]
    whole = {"choices": choices, "name": name, "kind": kind, "default": default}
    declared = DeclaredParameter(**vars(said) | whole)
    return replace(declared, default=declared.validate(default, error))
