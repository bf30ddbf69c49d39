"""The registry of metrics: what each measures, which way is better, its range, source and edge cases, as data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cam_core.parameters import Parameter, Registry, validate
from cam_core.types import MetricError

Values: TypeAlias = npt.NDArray[np.float64]
Direction = Literal["higher", "lower"]
Need = Literal["region", "other_region", "explain_again", "explain_with"]
"""What a metric asks for beside image and map: ground truth, or a way to explain another image or network."""


@dataclass(frozen=True)
class MetricResult:
    """What one metric says of one map on one image.

    Attributes:
        value: in the metric's unit.
        params: all its parameters, defaults filled in.
        extras: what the value was made of, such as a curve; float64 arrays by name.
        warnings: what the reader should know before trusting the value, one sentence each.
    """

    metric: str
    value: float
    params: Mapping[str, Any] = field(default_factory=dict)
    extras: Mapping[str, Values] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass
class Scores:
    """What a metric may return where bare values (B,) do not say enough: extras hold one array an image."""

    values: Tensor
    extras: Mapping[str, list[Values]] = field(default_factory=dict)


Pool: TypeAlias = Callable[[Values], Values]


@dataclass(frozen=True)
class Metric:
    """One registered metric.

    Attributes:
        direction: whether "higher" or "lower" is better.
        range: lowest and highest possible value; infinite where there is no bound.
        unit: "%" where values are per cent, else empty.
        edge_cases: in words, the value of what the formula leaves undefined.
        cost: in words, passes of the network per image.
        expensive: whether that is more than two passes: many passes, further explanations, linear systems.
        uses_network: whether it asks the network anything; others look at the map alone.
        stochastic: whether it depends on the seed.
        needs: what it asks for beside image and map.
        details: name of the extra that `pool` reads.
        pool: for a metric that is defined on a set of images: the details of all (N, D) → one value an image, whose
            mean is the metric on the set. None where that is the mean of the values.
    """

    key: str
    title: str
    direction: Direction
    range: tuple[float, float]
    unit: str
    source: str
    formula: str
    edge_cases: str
    cost: str
    expensive: bool
    uses_network: bool
    stochastic: bool
    needs: tuple[Need, ...]
    parameters: tuple[Parameter, ...]
    details: str
    pool: Pool | None
    function: Callable[..., Tensor | Scores]

    def validate(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, defaults filled in and every value checked.

        Raises:
            MetricError: an unknown parameter or a wrong value.
        """
        return validate(self.key, self.parameters, params, MetricError)


Judge = TypeVar("Judge", bound=Callable[..., Tensor | Scores])

METRICS: Registry[Metric] = Registry("metric", MetricError)

_SHARED_ARGUMENTS = ("net", "batch", "run")


def metric(
    key: str,
    *,
    title: str,
    direction: Direction,
    range: tuple[float, float],
    source: str,
    formula: str,
    edge_cases: str,
    cost: str,
    unit: str = "",
    expensive: bool = False,
    uses_network: bool = True,
    stochastic: bool = False,
    needs: tuple[Need, ...] = (),
    parameters: tuple[Parameter, ...] = (),
    details: str = "",
    pool: Pool | None = None,
) -> Callable[[Judge], Judge]:
    """Register a metric under `key`.

    The function takes `(net, batch, run, **its declared parameters)` and returns values (B,) or `Scores`.

    Raises:
        MetricError: the key is taken, or the function's own arguments are not the declared parameters.
    """

    def register(function: Judge) -> Judge:
        own = [name for name in inspect.signature(function).parameters if name not in _SHARED_ARGUMENTS]
        declared = [p.name for p in parameters]
        if own != declared:
            raise MetricError(f"{key} declares the parameters {declared} but takes {own}")
        entry = Metric(
            key=key,
            title=title,
            direction=direction,
            range=range,
            unit=unit,
            source=source,
            formula=formula,
            edge_cases=edge_cases,
            cost=cost,
            expensive=expensive,
            uses_network=uses_network,
            stochastic=stochastic,
            needs=needs,
            parameters=parameters,
            details=details,
            pool=pool,
            function=function,
        )
        METRICS.add(key, entry)
        return function

    return register
