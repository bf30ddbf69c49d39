"""Parameters, declared once where they are taken: `steps: Annotated[int, Parameter("…", low=1, high=2000)] = 100`.

`cam_core.declarations.signatures` reads name, type and default from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Literal, TypeAlias

from cam_core.types import CamError, MethodError

Kind: TypeAlias = Literal["bool", "int", "float", "choice"]


@dataclass(frozen=True)
class Parameter:
    """The declaration of a parameter, beside its type and its default; stands within `Annotated`.

    Attributes:
        help: in words, for a widget and the command line.
        title: a plain name, the formula's symbol after it, where the parameter's own name is a symbol or says too
            little.
        low, high: the smallest and the largest number allowed.
        zero: what 0 stands for where it is no number, given the values of the parameters before it.
    """

    help: str
    _: KW_ONLY
    title: str = ""
    low: float | None = None
    high: float | None = None
    zero: Callable[[Mapping[str, Any]], str] | None = None


@dataclass(frozen=True)
class DeclaredParameter(Parameter):
    """A parameter with all that its declaration says: enough to validate a value, and to build a widget or an option.

    Attributes:
        kind: bool, int, float, or one of the `choices` of a `Literal`.
    """

    _: KW_ONLY
    name: str
    kind: Kind
    default: bool | int | float | str
    choices: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The plain name, for a widget."""
        return self.title or self.name.replace("_", " ")

    def validate(self, value: Any, error: type[CamError] = MethodError) -> bool | int | float | str:
        """The value in its declared type.

        Raises:
            MethodError: wrong type, out of range, not finite, or not one of the choices; or `error` in its place.
        """
        checked: bool | int | float | str = self._typed(value, error)
        lowest = -math.inf if self.low is None else self.low
        highest = math.inf if self.high is None else self.high
        if not isinstance(checked, str) and not lowest <= checked <= highest:
            raise error(f"{self.name}={value!r} is out of range ({self.low} to {self.high})")
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


MaskSpace: TypeAlias = Annotated[
    Literal["normalized", "pixel"],
    Parameter("what a masked pixel becomes: the mean colour (normalized) or black (pixel)", title="masked pixels"),
]
"""The choice that everything that masks an image leaves to its user."""


def validate(
    owner: str, parameters: Sequence[DeclaredParameter], values: Mapping[str, Any], error: type[CamError]
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
