"""SplitModel: a classifier cut in two after a layer, so that what varies only the activations runs the tail alone.

    image → f1 (head) → activations → f2 (tail) → logits

`torch.fx` cuts the traced network. Every value that crosses the cut beside the activations (skip connections) is the
head's *context*, remembered by the SplitModel and expanded to the tail's batch. A network that cannot be traced takes
one clear, slower path: the layer's output is replaced during a full forward pass of a private copy.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn

from cam_core.models.cutting import cut
from cam_core.models.fusion import fused
from cam_core.models.hooks import hooked_copy
from cam_core.models.inference import DTYPES, dtype_of, prepare
from cam_core.models.tracing import (
    TensorValues,
    called_modules,
    make_safe,
    module_outputs,
    private_copy,
    trace,
)
from cam_core.types import Activations, CamError, Images, LayerError, Logits, ModelError, Passes

Context = tuple[Tensor, ...]


class Halves(Protocol):
    """What can be run in two steps. Immutable and shared by all users of one (model, layer, precision).

    `head_graph` and `tail_graph` say what the halves are made of; None where the network was not traced.
    """

    traced: bool
    head_graph: fx.GraphModule | None
    tail_graph: fx.GraphModule | None

    def head(self, images: Images) -> tuple[Activations, Context]: ...

    def tail(self, acts: Activations, context: Context) -> Logits: ...

    def whole(self, images: Images) -> Logits:
        """Tail after head, for callers that want neither the activations nor their context."""
        ...

    def tail_in(self, dtype: torch.dtype) -> Halves:
        """The same weights in another dtype, for what needs more digits; only its tail is run. Made once, and kept."""
        ...


class TracedHalves:
    """Two `torch.fx` graph modules; the context is every tensor that skips the layer.

    `first` and `second` say what is computed; what runs is their fused form, if `fast`.
    """

    traced = True

    def __init__(self, first: fx.GraphModule, second: fx.GraphModule, *, fast: bool) -> None:
        self.first, self.second = first, second
        self.head_graph: fx.GraphModule | None = first
        self.tail_graph: fx.GraphModule | None = second
        self._run_first, self._run_second = (fused(first), fused(second)) if fast else (first, second)
        self._in_dtype = _OncePerDtype(lambda dtype: TracedHalves(first, copy.deepcopy(second).to(dtype), fast=fast))

    def head(self, images: Images) -> tuple[Activations, Context]:
        acts, context = self._run_first(images)
        return acts, tuple(context)

    def tail(self, acts: Activations, context: Context) -> Logits:
        logits: Logits = self._run_second(acts, *context)
        return logits

    def whole(self, images: Images) -> Logits:
        return self.tail(*self.head(images))

    def tail_in(self, dtype: torch.dtype) -> Halves:
        return self._in_dtype(dtype)


class HookedHalves:
    """The path for networks that cannot be traced: each tail pass is a full pass with the layer's output replaced.

    The hook lives on a private copy for the length of one call, behind a lock; the context is the images themselves.
    """

    traced = False
    head_graph: fx.GraphModule | None = None
    tail_graph: fx.GraphModule | None = None

    def __init__(self, module: nn.Module, layer: str) -> None:
        self._module = module
        self._layer = module.get_submodule(layer)
        self._lock = threading.RLock()
        self._in_dtype = _OncePerDtype(lambda dtype: HookedHalves(hooked_copy(module).to(dtype), layer))

    def tail_in(self, dtype: torch.dtype) -> Halves:
        return self._in_dtype(dtype)

    def head(self, images: Images) -> tuple[Activations, Context]:
        acts: Tensor | None = None

        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            nonlocal acts
            # Cloned at once: what follows may write into it, as DenseNet's last ReLU does.
            acts = output.clone() if isinstance(output, Tensor) else None

        self._forward(images, keep)
        if acts is None:
            raise LayerError("the layer is never called, or does not return one tensor")
        return acts, (images,)

    def tail(self, acts: Activations, context: Context) -> Logits:
        calls = 0
        (images,) = context

        def count(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            nonlocal calls
            calls += 1

        with torch.no_grad():
            self._forward(images[:1], count)
        remaining = calls

        def replace(_module: nn.Module, _inputs: Any, _output: Any) -> Tensor | None:
            nonlocal remaining
            remaining -= 1
            # A layer that is called several times is cut after its last call. The clone guards against in-place users.
            return acts.clone() if remaining == 0 else None

        return self._forward(images, replace)

    def whole(self, images: Images) -> Logits:
        return self._forward(images, lambda _module, _inputs, _output: None)

    def _forward(self, images: Images, hook: Callable[..., Any]) -> Tensor:
        with self._lock:
            handle = self._layer.register_forward_hook(hook)
            try:
                logits = self._module(images)
            finally:
                handle.remove()
        assert isinstance(logits, Tensor)
        return logits


class _OncePerDtype:
    """Builds halves per dtype at first use and keeps them."""

    def __init__(self, build: Callable[[torch.dtype], Halves]) -> None:
        self._build = build
        self._built: dict[torch.dtype, Halves] = {}
        self._lock = threading.Lock()

    def __call__(self, dtype: torch.dtype) -> Halves:
        with self._lock:
            if dtype not in self._built:
                self._built[dtype] = self._build(dtype)
            return self._built[dtype]


def build_halves(
    module: nn.Module,
    layer: str,
    sample: Images,
    *,
    precision: str = "float32",
    prepared: bool = True,
    force_hooks: bool = False,
) -> Halves:
    """Cut a private copy of `module` after `layer` and check on `sample` that the halves make the whole.

    Args:
        layer: any module name; its last call counts.
        sample: (B, 3, H, W) on the device to run on; one forward pass of it decides what crosses the cut.
        prepared: fold, freeze and lay out each half; without it `f2(f1(x))` equals the module to the bit.
        force_hooks: take the untraced path (for tests and comparison).
    Raises:
        LayerError: the layer does not exist, is never reached, does not return (B, K, h, w), or does not influence the
            logits.
        ModelError: the network does not return logits (B, C).
    """
    check_layer_exists(module, layer)
    with torch.no_grad():
        traced = None if force_hooks else _traced_halves(module, layer, sample, precision, prepared)
        halves: Halves = traced or _hooked_halves(module, layer, sample, precision, prepared)
        acts, context = halves.head(sample.to(dtype_of(precision)) if prepared else sample)
        if acts.ndim != 4:
            shape = " × ".join(map(str, acts.shape[1:]))
            raise LayerError(f"the layer {layer!r} yields {shape} values, not channels × height × width")
        logits = halves.tail(acts, context)
    if logits.ndim != 2:
        raise ModelError(f"the network returns {tuple(logits.shape)}, not one row of logits per image")
    return halves


def check_layer_exists(module: nn.Module, layer: str) -> None:
    """Raises LayerError with near names where `layer` is not a module of `module`."""
    names = [name for name, _ in module.named_modules() if name]
    if layer not in names:
        import difflib

        near = difflib.get_close_matches(layer, names, n=3, cutoff=0.3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise LayerError(f"the network has no layer {layer!r}{hint}")


def _traced_halves(
    module: nn.Module, layer: str, sample: Images, precision: str, prepared: bool
) -> TracedHalves | None:
    try:
        traced = trace(module, _size(sample))
        node = traced.outputs.get(traced.module.get_submodule(layer))
    except CamError:
        raise
    except Exception:  # torch.fx raises many kinds of error; each means the same: this network cannot be traced
        return None
    if node is None:
        return None
    traced.module.to(sample.device)
    make_safe(traced, node)
    values = TensorValues(traced)
    expected = values.run(sample)
    first, second = cut(traced, node, values.tensors, layer)
    halves = TracedHalves(first, second, fast=False)
    acts, context = halves.head(sample)
    if not torch.equal(halves.tail(acts, context), expected):
        return None
    if not prepared:
        return halves
    for half in (first, second):
        prepare(half, sample.device, precision)
    return TracedHalves(first, second, fast=True)


def _hooked_halves(module: nn.Module, layer: str, sample: Images, precision: str, prepared: bool) -> HookedHalves:
    duplicate = private_copy(module, _size(sample)).to(sample.device)
    if prepared:
        duplicate.to(dtype_of(precision))
    return HookedHalves(duplicate, layer)


def _size(images: Images) -> tuple[int, int]:
    return images.shape[2], images.shape[3]


class SplitModel:
    """One user's view of a pair of halves: remembers the context of its own image and counts its own passes.

    Cheap to make; the halves behind it are shared. Not to be shared between threads: `fork` one each.
    """

    def __init__(
        self,
        halves: Halves,
        precision: str = "float32",
        counter: list[int] | None = None,
        exact: Callable[[], Halves] | None = None,
    ) -> None:
        self.halves = halves
        self.precision = precision
        self.context: Context = ()
        self._exact = exact
        # float64 stays float64; bfloat16 is for the halves alone, methods compute on float32.
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self._inner = dtype_of(precision)
        self._counter = [0, 0] if counter is None else counter

    @property
    def passes(self) -> Passes:
        """Images pushed through head and tail so far, by this view and its samples."""
        return Passes(*self._counter)

    def fork(self) -> SplitModel:
        """A fresh view of the same halves, without context; it counts into the same passes."""
        return SplitModel(self.halves, self.precision, self._counter, self._exact)

    def exact(self) -> SplitModel | None:
        """A fresh view of the network in float32, where this one is coarser and it is known; counts the same passes."""
        return None if self._exact is None else SplitModel(self._exact(), "float32", self._counter)

    def sample(self, index: int) -> SplitModel:
        """A view whose context is that of image `index` alone: its tail takes any number of rows for that image."""
        view = self.fork()
        view.context = tuple(value[index : index + 1] for value in self.context)
        return view

    def tail_in(self, dtype: torch.dtype) -> SplitModel:
        """This view with the tail, and the context, in another dtype: float64 where float32 loses too many digits."""
        precision = next(name for name, kind in DTYPES.items() if kind == dtype)
        view = SplitModel(self.halves.tail_in(dtype), precision, self._counter)
        view.context = tuple(value.to(dtype) for value in self.context)
        return view

    def f1(self, images: Images) -> Activations:
        """The head: (B, 3, H, W) → (B, K, h, w); remembers the context for `f2`."""
        acts, self.context = self._head(images)
        return acts.to(self.dtype)

    def f1_exactly(self, images: Images) -> Activations:
        """`f1` in float32 where that is finer, for jobs in which one such pass is lost among the many that follow."""
        exact = self.exact()
        if exact is None:
            return self.f1(images)
        acts = exact.f1(images)
        self.context = tuple(value.to(self._inner) for value in exact.context)
        return acts

    def f2(self, acts: Activations) -> Logits:
        """The tail: (B·M, K, h, w) → (B·M, C), rows in the order b0m0, b0m1, …; never writes into `acts`."""
        return self._tail(acts.to(self._inner), self.context).to(self.dtype)

    def model(self, images: Images) -> Logits:
        """Head and tail in one: (B, 3, H, W) → (B, C); leaves the remembered context alone."""
        self._counter[0] += len(images)
        self._counter[1] += len(images)
        return self.halves.whole(self._laid_out(images)).to(self.dtype)

    def outputs_of(self, images: Images, acts: Activations, names: Sequence[str]) -> tuple[Tensor, ...] | None:
        """What inner modules yield, one tensor a name, for `images` with `acts` and this view's context.

        Costs a pass of the half that holds them all; None where neither does, or the network was not traced.
        """
        for half, graph in ((1, self.halves.tail_graph), (0, self.halves.head_graph)):
            if graph is not None and set(names) <= called_modules(graph):
                self._counter[half] += len(images)
                inputs = (acts.to(self._inner), *self.context) if half else (self._laid_out(images),)
                return tuple(found.to(self.dtype) for found in module_outputs(graph, inputs, names))
        return None

    def _head(self, images: Images) -> tuple[Activations, Context]:
        self._counter[0] += len(images)
        return self.halves.head(self._laid_out(images))

    def _laid_out(self, images: Images) -> Images:
        return images.to(self._inner, memory_format=torch.channels_last)

    def _tail(self, acts: Activations, context: Context) -> Logits:
        self._counter[1] += len(acts)
        return self.halves.tail(acts, tuple(_expanded(value, len(acts)) for value in context))


def _expanded(value: Tensor, rows: int) -> Tensor:
    if len(value) == rows:
        return value
    if len(value) == 1:
        return value.expand(rows, *value.shape[1:])
    if len(value) == 0 or rows % len(value):
        raise ValueError(f"a tail batch of {rows} rows does not divide among {len(value)} images")
    return value.repeat_interleave(rows // len(value), dim=0)
