"""What methods and metrics declare alike: parameters as data, and the registry that lists whoever declares them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from cam_core.types import CamError, MethodError

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: enough to validate a value and to build a widget or a command-line option from it.

    The kind follows from the default: bool, int, float, or one of `choices`.
    """

    name: str
    default: bool | int | float | str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["bool", "int", "float", "choice"]:
        if self.choices:
            return "choice"
        if isinstance(self.default, bool):
            return "bool"
        return "int" if isinstance(self.default, int) else "float"

    def validate(self, value: Any, error: type[CamError] = MethodError) -> bool | int | float | str:
        """The value in its declared type.

        Raises:
            MethodError: wrong type, out of range, not finite, or not one of the choices; or `error` in its place.
        """
        checked: bool | int | float | str = self._typed(value, error)
        lowest = -math.inf if self.minimum is None else self.minimum
        highest = math.inf if self.maximum is None else self.maximum
        if not isinstance(checked, str) and not lowest <= checked <= highest:
            raise error(f"{self.name}={value!r} is out of range ({self.minimum} to {self.maximum})")
        return checked

    def _typed(self, value: Any, error: type[CamError]) -> Any:
        wrong = error(f"{self.name}={value!r} is not {self._expected()}")
        if self.kind == "choice":
            if value not in self.choices:
                raise wrong
            return value
        if self.kind == "bool" or isinstance(value, bool):
            if self.kind != "bool" or not isinstance(value, bool):
                raise wrong
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise wrong from None
        if not math.isfinite(number) or (self.kind == "int" and number != int(number)):
            raise wrong
        return int(number) if self.kind == "int" else number

    def _expected(self) -> str:
        kinds = {"bool": "true or false", "int": "a whole number", "float": "a finite number"}
        return f"one of {', '.join(self.choices)}" if self.choices else kinds[self.kind]


# What everything that masks an image lets its user choose.
MASK_SPACE = Parameter(
    "mask_space",
    "normalized",
    "what a masked pixel becomes: the mean colour (normalized) or black (pixel)",
    choices=("normalized", "pixel"),
)


def validate(
    owner: str, parameters: Sequence[Parameter], values: Mapping[str, Any], error: type[CamError]
) -> dict[str, Any]:
    """All parameters of `owner`, defaults filled in and every value checked.

    Raises:
        CamError: `error`, for an unknown parameter or a wrong value.
    """
    known = {p.name: p for p in parameters}
    for name in values:
        if name not in known:
            offered = ", ".join(known) or "none"
            raise error(f"{owner} has no parameter {name!r}; it has: {offered}")
    return {name: p.validate(values.get(name, p.default), error) for name, p in known.items()}


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by key, in the order in which they were added.

    Args:
        kind: what an entry is called in messages: "method", "metric".
        error: raised for an unknown key and for one that is taken.
    """

    def __init__(self, kind: str, error: type[CamError]) -> None:
        self._kind, self._error = kind, error
        self._entries: dict[str, Entry] = {}

    def add(self, key: str, entry: Entry) -> None:
        """Raises `error` where the key is taken."""
        if key in self._entries:
            raise self._error(f"the {self._kind} {key!r} is registered twice")
        self._entries[key] = entry

    def __getitem__(self, key: str) -> Entry:
        if key not in self._entries:
            raise self._error(f"unknown {self._kind} {key!r}; there are: {', '.join(self._entries)}")
        return self._entries[key]

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
