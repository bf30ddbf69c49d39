"""The registry of metrics: what each measures, which way is better, its range, source and edge cases, as data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cam_core.declarations.registered import Registered, Registry, registering
from cam_core.types import MetricError

Values: TypeAlias = npt.NDArray[np.float64]
Direction = Literal["higher", "lower"]
Need = Literal["region", "other_region", "explain_again", "explain_with"]
"""Something that a metric asks for beside image and map: ground truth, or a way to explain another image or network."""


@dataclass(frozen=True)
class MetricResult:
    """The value that one metric gives one map of one image.

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
    """Values (B,) with extras, where the values alone do not say enough; extras hold one array per image."""

    values: Tensor
    extras: Mapping[str, list[Values]] = field(default_factory=dict)


Pool: TypeAlias = Callable[[Values], Values]


@dataclass(frozen=True)
class Metric(Registered[Tensor | Scores]):
    """One registered metric.

    Attributes:
        plain: what it measures on one image, in words for somebody who has never heard its title.
        direction: whether "higher" or "lower" is better.
        range: lowest and highest possible value; infinite where there is no bound.
        unit: "%" where values are per cent, else empty.
        indicator: whether one image gives no more than yes (the upper end of the range) or no (the lower one), so that
            only a mean over many is a number.
        edge_cases: in words, the value of what the formula leaves undefined.
        cost: in words, passes of the network per image.
        expensive: whether that is more than two passes: many passes, further explanations, linear systems.
        uses_network: whether it asks the network anything; others look at the map alone.
        stochastic: whether it depends on the seed.
        needs: what it asks for beside image and map.
        details: name of the extra that `pool` reads.
        pool: for a metric that is defined on a set of images: the details of all (N, D) → one value per image, whose
            mean is the metric on the set. None where that is the mean of the values.
        shows: parameters → what it has scored, as in `Samples.wanted`; None where no other metric has the same scored.
    """

    kind = "metric"
    error = MetricError

    _: KW_ONLY
    title: str
    plain: str
    direction: Direction
    range: tuple[float, float]
    source: str
    formula: str
    edge_cases: str
    cost: str
    unit: str = ""
    indicator: bool = False
    expensive: bool = False
    uses_network: bool = True
    stochastic: bool = False
    needs: tuple[Need, ...] = ()
    details: str = ""
    pool: Pool | None = None
    shows: Callable[[Mapping[str, Any]], Hashable] | None = None

    @property
    def between(self) -> str:
        """Its range in words: "0 to 100 %"."""
        low, high = (f"{end:g}".replace("inf", "∞").replace("-", "−") for end in self.range)
        return f"{low} to {high} {self.unit}".strip()

    @property
    def needs_boxes(self) -> bool:
        """Whether it asks where objects are."""
        return bool({"region", "other_region"} & set(self.needs))


METRICS: Registry[Metric] = Registry(Metric)

metric = registering(METRICS, Metric, shared=("net", "batch", "run"))
"""`@metric(key, **fields of Metric)` registers a function `(net, batch, run, **its parameters)`.

The function returns values (B,) or `Scores`.

Raises:
    MetricError: the key is taken, or a parameter is not declared: see `cam_core.declarations.parameters`.
"""
