"""The registry of methods: data that pickers, the command line and tests read; no page knows a method by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from cam_core.types import Coefficients, FloatArray, MethodError, RawMap


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

    def validate(self, value: Any) -> bool | int | float | str:
        """The value in its declared type.

        Raises:
            MethodError: wrong type, out of range, not finite, or not one of the choices.
        """
        checked: bool | int | float | str = self._typed(value)
        lowest = -math.inf if self.minimum is None else self.minimum
        highest = math.inf if self.maximum is None else self.maximum
        if not isinstance(checked, str) and not lowest <= checked <= highest:
            raise MethodError(f"{self.name}={value!r} is out of range ({self.minimum} to {self.maximum})")
        return checked

    def _typed(self, value: Any) -> Any:
        wrong = MethodError(f"{self.name}={value!r} is not {self._expected()}")
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


@dataclass
class Result:
    """What a method may return where a bare tensor does not say enough.

    Exactly one of `coefficients` (B, K) and `map` (B, h, w) is required; with both, the map is taken as given and the
    coefficients are reported beside it. `stderr` has the shape of what is estimated. `extras` are (B, …) arrays.
    """

    coefficients: Coefficients | None = None
    map: RawMap | None = None
    stderr: Tensor | None = None
    extras: Mapping[str, list[FloatArray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """One registered method. `signed`: its raw map can be negative. `class_specific`: the map depends on the class.

    `unit` is the unit of its coefficients, empty where it has none. `fails` says, in words for a user, where not to
    trust it. `multi_layer` methods receive one network and one activation tensor per layer, as tuples.
    """

    key: str
    title: str
    paper: str
    formula: str
    cost: str
    fails: str
    unit: str
    signed: bool
    class_specific: bool
    stochastic: bool
    expensive: bool
    multi_layer: bool
    control: bool
    exact: bool
    claim: str
    parameters: tuple[Parameter, ...]
    function: Callable[..., Tensor | Result]

    def validate(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, defaults filled in and every value checked.

        Raises:
            MethodError: an unknown parameter or a wrong value.
        """
        known = {p.name: p for p in self.parameters}
        for name in params:
            if name not in known:
                offered = ", ".join(known) or "none"
                raise MethodError(f"{self.key} has no parameter {name!r}; it has: {offered}")
        return {name: p.validate(params.get(name, p.default)) for name, p in known.items()}


class Registry(Mapping[str, Method]):
    """Methods by key, in the order in which `methods/__init__.py` imports them."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def add(self, method: Method) -> None:
        if method.key in self._methods:
            raise MethodError(f"the method {method.key!r} is registered twice")
        self._methods[method.key] = method

    def __getitem__(self, key: str) -> Method:
        if key not in self._methods:
            raise MethodError(f"unknown method {key!r}; there are: {', '.join(self._methods)}")
        return self._methods[key]

    def __contains__(self, key: object) -> bool:
        return key in self._methods

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)


METHODS = Registry()

_SHARED_ARGUMENTS = ("net", "image", "acts", "target", "run")


def method(
    key: str,
    *,
    title: str,
    paper: str,
    formula: str,
    cost: str,
    fails: str,
    unit: str = "",
    signed: bool = True,
    class_specific: bool = True,
    stochastic: bool = False,
    expensive: bool = False,
    multi_layer: bool = False,
    control: bool = False,
    exact: bool = True,
    claim: str = "",
    parameters: tuple[Parameter, ...] = (),
) -> Callable[[Callable[..., Tensor | Result]], Callable[..., Tensor | Result]]:
    """Register a method under `key`.

    Raises:
        MethodError: the key is taken, or the function's own arguments are not the declared parameters.
    """

    def register(function: Callable[..., Tensor | Result]) -> Callable[..., Tensor | Result]:
        own = [name for name in inspect.signature(function).parameters if name not in _SHARED_ARGUMENTS]
        declared = [p.name for p in parameters]
        if own != declared:
            raise MethodError(f"{key} declares the parameters {declared} but takes {own}")
        METHODS.add(
            Method(
                key=key,
                title=title,
                paper=paper,
                formula=formula,
                cost=cost,
                fails=fails,
                unit=unit,
                signed=signed,
                class_specific=class_specific,
                stochastic=stochastic,
                expensive=expensive,
                multi_layer=multi_layer,
                control=control,
                exact=exact,
                claim=claim,
                parameters=parameters,
                function=function,
            )
        )
        return function

    return register
