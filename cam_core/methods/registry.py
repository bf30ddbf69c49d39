"""The registry of methods: data that pickers, the command line and tests read; no page knows a method by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from cam_core.parameters import Parameter as Parameter
from cam_core.parameters import Registry, validate
from cam_core.types import Coefficients, FloatArray, MethodError, RawMap


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

    `score` is what it explains of the network's output. `unit` is the unit of its coefficients, empty where it has
    none. `fails` says, in words for a user, where not to trust it. `multi_layer` methods receive one network and one
    activation tensor per layer, as tuples.
    """

    key: str
    title: str
    paper: str
    formula: str
    cost: str
    fails: str
    score: str
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
        return validate(self.key, self.parameters, params, MethodError)


METHODS: Registry[Method] = Registry("method", MethodError)

_SHARED_ARGUMENTS = ("net", "image", "acts", "target", "run")


def method(
    key: str,
    *,
    title: str,
    paper: str,
    formula: str,
    cost: str,
    fails: str,
    score: str = "logit",
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
            key,
            Method(
                key=key,
                title=title,
                paper=paper,
                formula=formula,
                cost=cost,
                fails=fails,
                score=score,
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
            ),
        )
        return function

    return register


def title_of(name: str) -> str:
    """A method's title by its key; whatever else is set beside methods is called by its name."""
    return METHODS[name].title if name in METHODS else name
