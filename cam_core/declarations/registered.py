"""The registries of methods and of metrics: entries by key, and the decorator that adds a function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from cam_core.declarations.parameters import DeclaredParameter, validate
from cam_core.declarations.signatures import Signature
from cam_core.types import CamError

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")


@dataclass(frozen=True)
class Registered(Generic[R]):
    """The common part of every entry of a registry; the fields of a subclass say the rest.

    Attributes:
        function: called with the shared arguments and every parameter by name.
        parameters: as the function declares them.
        kind: what an entry is called in messages: "method", "metric".
        error: raised for a wrong declaration, an unknown key, one that is taken, and a wrong value.
    """

    kind: ClassVar[str]
    error: ClassVar[type[CamError]]

    key: str
    function: Callable[..., R]
    parameters: tuple[DeclaredParameter, ...]

    def validate(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, defaults filled in and every value checked.

        Raises:
            CamError: `error`, for an unknown parameter or a wrong value.
        """
        return validate(self.key, self.parameters, params, self.error)


Entry = TypeVar("Entry", bound=Registered[Any])


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries of one class by key, in the order in which they were added."""

    def __init__(self, entry: type[Entry]) -> None:
        self._entry = entry
        self._entries: dict[str, Entry] = {}

    @property
    def error(self) -> type[CamError]:
        """That of the entries' class."""
        return self._entry.error

    def add(self, entry: Entry) -> None:
        """Raises the entry's error where the key is taken."""
        if entry.key in self._entries:
            raise entry.error(f"the {entry.kind} {entry.key!r} is registered twice")
        self._entries[entry.key] = entry

    def __getitem__(self, key: str) -> Entry:
        if key not in self._entries:
            raise self.error(f"unknown {self._entry.kind} {key!r}; there are: {', '.join(self._entries)}")
        return self._entries[key]

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Register(Protocol[R]):
    """A decorator that leaves the function as it is."""

    def __call__(self, function: Callable[Q, R], /) -> Callable[Q, R]:
        """Register `function`."""


def registering(
    registry: Registry[Entry],
    entry: Callable[Concatenate[str, Callable[..., R], tuple[DeclaredParameter, ...], P], Entry],
    shared: Collection[str],
) -> Callable[Concatenate[str, P], Register[R]]:
    """The decorator `@…(key, **fields)` of a registry; the fields are those of its entries' class, listed there alone.

    It raises the class's error where the key is taken, and where a function's own arguments are not declared.

    Args:
        entry: the class.
        shared: names of the arguments that every function of this registry takes.
    """

    def describe(key: str, /, *args: P.args, **fields: P.kwargs) -> Register[R]:
        def register(function: Callable[Q, R], /) -> Callable[Q, R]:
            signature = Signature(function, shared, key, registry.error)
            registry.add(entry(key, signature.by_name(), signature.parameters, *args, **fields))
            return function

        return register

    return describe
