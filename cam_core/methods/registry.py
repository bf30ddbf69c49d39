"""The registry of methods: data that pickers, the command line and tests read; no page knows a method by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from torch import Tensor

from cam_core.declarations.registered import Registered, Registry, registering
from cam_core.models.split.model import SplitModel
from cam_core.types import Activations, Coefficients, Explanation, FloatArray, Images, MethodError, Passes, RawMap

Check = Callable[[SplitModel, Images, Activations], object]
"""Raises the MethodError that the method would raise at that layer, at the cost of a forward pass at most."""

Family: TypeAlias = Literal["Gradients", "Fair shares", "Masks", "Forward pass", "Controls"]
"""Where a method has its knowledge from: the gradient of the score; how the score is shared out among channels or
positions; scores with parts masked; what the prediction computes anyway; or nowhere."""


@dataclass(frozen=True)
class Site:
    """A layer as far as the number of a method's passes depends on it.

    Attributes:
        channels, positions: K and h · w of its activations.
        layers: how many layers a method over several takes.
        pooled: whether all that is behind it is average pooling and one linear layer.
        skipped: whether something else of the image crosses the cut: a skip connection, say.
    """

    channels: int
    positions: int
    layers: int
    pooled: bool
    skipped: bool = True


class Planned(NamedTuple):
    """Images that a method pushes through head and tail, at most, beside the pass that predicts; and back again."""

    head: int = 0
    tail: int = 0
    backward: Passes = Passes()


Plan: TypeAlias = Callable[[Site, Mapping[str, Any]], Planned]
"""The passes of a method at a layer with these values of all its parameters."""


def no_pass(site: Site, params: Mapping[str, Any]) -> Planned:
    """Nothing beside the prediction."""
    return Planned()


def one_gradient(site: Site, params: Mapping[str, Any]) -> Planned:
    """Once through the tail and back."""
    return Planned(tail=1, backward=Passes(0, 1))


SAME_GRADIENT: Final = (
    "the gradient of a channel is then one number at all positions, its weight in the linear layer, "
    "and by that number each of these methods weights the channel"
)
"""y = Σ_k w_k mean(A_k) + b: g_k = w_k / (h · w) everywhere, and H A = 0."""

SAME_SHARES: Final = (
    "the score is then a plain sum over the channels, so that the fair share of a channel is what switching it off "
    "takes away, however it is computed"
)
"""y = Σ_k w_k mean(A_k) + b: the Shapley value of a channel is w_k mean(A_k), whoever else is there."""


@dataclass(frozen=True)
class Pooled:
    """What becomes of a method before average pooling and one linear layer: methods with the same `why` coincide.

    Attributes:
        why: the reason, to be read after "behind this layer there is only pooling and one linear layer:".
        where: values of parameters without which it does not hold.
    """

    why: str
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Result:
    """The fuller answer of a method, where a bare tensor does not say enough.

    Exactly one of `coefficients` (B, K) and `map` (B, h, w) is required; with both, the map is taken as given and the
    coefficients are reported beside it. `stderr` has the shape of what is estimated. `extras` are (B, …) arrays.
    `passes` (B,) is there where images differ in the passes of the whole network that the method took for them.
    """

    coefficients: Coefficients | None = None
    map: RawMap | None = None
    stderr: Tensor | None = None
    extras: Mapping[str, list[FloatArray]] = field(default_factory=dict)
    passes: Sequence[int] | None = None


@dataclass(frozen=True)
class Method(Registered[Tensor | Result]):
    """One registered method. `signed`: its raw map can be negative. `class_specific`: the map depends on the class.

    `plain` says what it does, in a sentence without symbols; `planned` how many passes that takes.
    `pooled` is there where theory says what it gives before pooling and one linear layer.
    `score` is what it explains of the network's output. `unit` is the unit of its coefficients, empty where it has
    none. `fails` says, in words for a user, where not to trust it. `multi_layer` methods receive one network and one
    activation tensor per layer, as tuples. `check` is there where the method does not work at every layer. `at_once` is
    how many images an expensive one takes at once on a GPU: the batches of others are full with one.
    """

    kind = "method"
    error = MethodError

    _: KW_ONLY
    title: str
    plain: str
    family: Family
    paper: str
    formula: str
    cost: str
    planned: Plan
    fails: str
    pooled: Pooled | None = None
    score: str = "logit"
    unit: str = ""
    signed: bool = True
    class_specific: bool = True
    stochastic: bool = False
    expensive: bool = False
    at_once: int = 0
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


def is_signed(explanation: Explanation) -> bool:
    """Whether a map may speak against what is explained: its method's can, or one from elsewhere does."""
    name = explanation.method
    return METHODS[name].signed if name in METHODS else bool((explanation.map < 0).any())
