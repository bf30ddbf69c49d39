"""The registry of methods: data that pickers, the command line and tests read; no page knows a method by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field

from torch import Tensor

from cam_core.declarations.registered import Registered, Registry, registering
from cam_core.models.split.model import SplitModel
from cam_core.types import Activations, Coefficients, FloatArray, Images, MethodError, RawMap

Check = Callable[[SplitModel, Images, Activations], object]
"""Raises the MethodError that the method would raise at that layer, at the cost of a forward pass at most."""


@dataclass
class Result:
    """The fuller answer of a method, where a bare tensor does not say enough.

    Exactly one of `coefficients` (B, K) and `map` (B, h, w) is required; with both, the map is taken as given and the
    coefficients are reported beside it. `stderr` has the shape of what is estimated. `extras` are (B, …) arrays.
    """

    coefficients: Coefficients | None = None
    map: RawMap | None = None
    stderr: Tensor | None = None
    extras: Mapping[str, list[FloatArray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Method(Registered[Tensor | Result]):
    """One registered method. `signed`: its raw map can be negative. `class_specific`: the map depends on the class.

    `score` is what it explains of the network's output. `unit` is the unit of its coefficients, empty where it has
    none. `fails` says, in words for a user, where not to trust it. `multi_layer` methods receive one network and one
    activation tensor per layer, as tuples. `check` is there where the method does not work at every layer.
    """

    kind = "method"
    error = MethodError

    _: KW_ONLY
    title: str
    paper: str
    formula: str
    cost: str
    fails: str
    score: str = "logit"
    unit: str = ""
    signed: bool = True
    class_specific: bool = True
    stochastic: bool = False
    expensive: bool = False
    multi_layer: bool = False
    control: bool = False
    exact: bool = True
    claim: str = ""
    check: Check | None = None


METHODS: Registry[Method] = Registry(Method)

method = registering(METHODS, Method, shared=("net", "image", "acts", "target", "run"))
"""`@method(key, **fields of Method)` registers a function `(net, image, acts, target, run, **its parameters)`.

Raises:
    MethodError: the key is taken, or a parameter is not declared: see `cam_core.declarations.parameters`.
"""


def title_of(name: str) -> str:
    """A method's title by its key; whatever else is set beside methods is called by its name."""
    return METHODS[name].title if name in METHODS else name
