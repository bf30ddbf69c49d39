"""The two halves of a network cut after a layer: traced, or hooked where it cannot be traced.

`torch.fx` cuts the traced network. Every value that crosses the cut beside the activations (skip connections) is the
head's *context*. A network that cannot be traced takes one clear, slower path: the layer's output is replaced during a
full forward pass of a private copy.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from itertools import chain
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, fx, nn

from cam_core.models.batching import is_out_of_memory
from cam_core.models.devices import home_of
from cam_core.models.noise import InputSize
from cam_core.models.precision import computing_in, dtype_of
from cam_core.models.split.cutting import cut
from cam_core.models.split.hooks import hooked_copy
from cam_core.models.split.onednn import fused
from cam_core.models.split.prepare import prepare
from cam_core.models.split.sized_tracing import AGREEMENT, trace_at_size
from cam_core.models.split.tracing import (
    TensorValues,
    Traced,
    make_safe,
    private_copy,
    trace,
)
from cam_core.models.split.views import MAPS, View, insert_view
from cam_core.models.split.watching import cannot_take, watch
from cam_core.types import Activations, CamError, Images, LayerError, Logits, ModelError

Context = tuple[Tensor, ...]
_Module = TypeVar("_Module", bound=nn.Module)


class Halves(Protocol):
    """A network that can be run in two steps. Immutable and shared by all users of one (model, layer, precision).

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
        """The same weights in another dtype, for what needs more digits; only its tail is run. Made once, and kept.

        On the CPU where the device has no such dtype.
        """
        ...


class TracedHalves:
    """Two `torch.fx` graph modules; the context is every tensor that skips the layer.

    `head_graph` and `tail_graph` say what is computed; what runs is their fused form, if `fast`.
    """

    traced = True

    def __init__(self, head: fx.GraphModule, tail: fx.GraphModule, *, fast: bool) -> None:
        self.head_graph: fx.GraphModule | None = head
        self.tail_graph: fx.GraphModule | None = tail
        self._run_head, self._run_tail = (fused(head), fused(tail)) if fast else (head, tail)
        self._in_dtype = _OncePerDtype(
            lambda dtype: TracedHalves(head, _converted(copy.deepcopy(tail), dtype), fast=fast)
        )
        for half in (head, tail, self._run_head, self._run_tail):
            # A graph that knows its module keeps the weights alive until garbage is collected, which may be much later.
            half.graph.owning_module = None

    def head(self, images: Images) -> tuple[Activations, Context]:
        acts, context = self._run_head(images)
        return acts, tuple(context)

    def tail(self, acts: Activations, context: Context) -> Logits:
        logits: Logits = self._run_tail(acts, *context)
        return logits

    def whole(self, images: Images) -> Logits:
        return self.tail(*self.head(images))

    def tail_in(self, dtype: torch.dtype) -> Halves:
        return self._in_dtype(dtype)


class HookedHalves:
    """The path for networks that cannot be traced: each tail pass is a full pass with the layer's output replaced.

    Class and register tokens among it are taken as that pass makes them of the images, which are the whole context. The
    hook lives on a private copy for the length of one call, behind a lock; the context is the images themselves.
    """

    traced = False
    head_graph: fx.GraphModule | None = None
    tail_graph: fx.GraphModule | None = None

    def __init__(self, module: nn.Module, layer: str, view: View = MAPS) -> None:
        self._module = module
        self._layer = module.get_submodule(layer)
        self._view = view
        self._lock = threading.RLock()
        self._in_dtype = _OncePerDtype(lambda dtype: HookedHalves(_converted(hooked_copy(module), dtype), layer, view))

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
        return self._view.maps(acts), (images,)

    def tail(self, acts: Activations, context: Context) -> Logits:
        calls = 0
        (images,) = context

        def count(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            nonlocal calls
            calls += 1

        with torch.no_grad():
            self._forward(images[:1], count)
        remaining = calls

        def replace(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
            nonlocal remaining
            remaining -= 1
            # A layer that is called several times is cut after its last call. The clone guards against in-place users.
            return self._view.output(acts.clone(), output) if remaining == 0 else None

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
        if not isinstance(logits, Tensor):
            raise ModelError(f"the network returns {type(logits).__name__}, not a tensor of logits")
        return logits


class SizedHalves:
    """Traced halves that are good for images of one size, and hooked ones for all others.

    A network that asks for sizes may do another thing at another size, so no graph says what it is.
    """

    traced = True
    head_graph: fx.GraphModule | None = None
    tail_graph: fx.GraphModule | None = None

    def __init__(self, usual: Halves, others: Halves, size: tuple[int, int, int]) -> None:
        self._usual, self._others, self._at = usual, others, size
        self._in_dtype = _OncePerDtype(lambda dtype: SizedHalves(usual.tail_in(dtype), others.tail_in(dtype), size))

    def head(self, images: Images) -> tuple[Activations, Context]:
        if _size(images) == self._at:
            return self._usual.head(images)
        acts, context = self._others.head(images)
        # An empty tensor at the end tells whose context this is.
        return acts, (*context, images.new_empty(len(images), 0))

    def tail(self, acts: Activations, context: Context) -> Logits:
        if context and context[-1].ndim == 2 and context[-1].shape[1] == 0:
            return self._others.tail(acts, context[:-1])
        return self._usual.tail(acts, context)

    def whole(self, images: Images) -> Logits:
        return (self._usual if _size(images) == self._at else self._others).whole(images)

    def tail_in(self, dtype: torch.dtype) -> Halves:
        return self._in_dtype(dtype)


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
        sample: (B, n, H, W) on the device to run on; one forward pass of it decides what crosses the cut.
        prepared: fold, freeze and lay out each half; without it `tail(head(x))` equals the module to the bit.
        force_hooks: take the untraced path (for tests and comparison).
    Raises:
        LayerError: the layer does not exist, is never reached, does not return (B, K, h, w), or does not influence the
            logits.
        ModelError: the network cannot take the images, does not return logits (B, C), or (untraced) lets no gradient
            pass.
    """
    check_layer_exists(module, layer)
    with torch.no_grad():
        traced = None if force_hooks else _traced_halves(module, layer, sample, precision, prepared)
    try:
        with torch.no_grad(), computing_in(precision, sample.device):
            halves: Halves = traced or _hooked_halves(module, layer, sample, precision, prepared)
            _check_halves(halves, layer, sample.to(dtype_of(precision)) if prepared else sample)
    except Exception as error:  # a foreign network may raise anything
        if isinstance(error, CamError) or is_out_of_memory(error):
            raise
        raise cannot_take(sample.shape[1:], error) from error
    return halves


def _check_halves(halves: Halves, layer: str, images: Images) -> None:
    acts, context = halves.head(images)
    # A traced network lets gradients pass: its graph knows no `no_grad`. In inference mode nobody asks for them.
    tries = not halves.traced and not torch.is_inference_mode_enabled()
    with torch.set_grad_enabled(tries):
        logits = halves.tail(acts.requires_grad_(tries), context)
    if logits.ndim != 2:
        raise ModelError(f"the network returns {tuple(logits.shape)}, not one row of logits per image")
    if tries and not logits.requires_grad:
        raise ModelError(
            f"no gradient passes from the layer {layer!r} to the logits: they do not depend on it, or the network cuts "
            "gradients off (detach, no_grad, integers)"
        )


def check_layer_exists(module: nn.Module, layer: str) -> None:
    """Raises LayerError with near names where `layer` is not a module of `module`."""
    names = [name for name, _ in module.named_modules() if name]
    if layer not in names:
        import difflib

        near = difflib.get_close_matches(layer, names, n=3, cutoff=0.3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise LayerError(f"the network has no layer {layer!r}{hint}")


def _traced_halves(module: nn.Module, layer: str, sample: Images, precision: str, prepared: bool) -> Halves | None:
    traced = _traced(module, _size(sample))
    node = None if traced is None else traced.outputs.get(traced.module.get_submodule(layer))
    if traced is None or node is None:
        return None
    pair = _exact_pair(module, traced, node, layer, sample)
    if pair is None:
        return None
    for half in pair:
        prepare(half, sample.device, precision) if prepared else half.to(sample.device)
    halves = TracedHalves(*pair, fast=prepared)
    if traced.size is None:
        return halves
    return SizedHalves(halves, _hooked_halves(module, layer, sample, precision, prepared), _size(sample))


def _traced(module: nn.Module, size: InputSize) -> Traced | None:
    """The graph for images of any size, else for those of `size` alone, or None."""
    attempts: tuple[Callable[[], Traced], ...] = (
        lambda: trace(module, size),
        lambda: trace_at_size(private_copy(module, size).cpu(), size),
        lambda: trace_at_size(private_copy(module, size).cpu(), size, buffers=True),
    )
    for attempt in attempts:
        try:
            return attempt()
        except CamError:
            raise
        except Exception:  # torch.fx raises many kinds of error; each means the same: it cannot be traced so
            continue
    return None


def _exact_pair(
    module: nn.Module, traced: Traced, node: fx.Node, layer: str, sample: Images
) -> tuple[fx.GraphModule, fx.GraphModule] | None:
    """Head and tail that make the whole to the bit; None where they do not, or where the graph cannot be run.

    To the last digits where tokens are seen as maps: they may lie in memory in another order, and so be summed in one.
    """
    # On the CPU: a GPU may take another algorithm the second time, and answer with other last bits.
    traced.module.to("cpu")
    image = sample.cpu()
    try:
        make_safe(traced, node)
        values = TensorValues(traced)
        expected = values.run(image)
        view = _view(module, layer, values.tensors.get(node, torch.Size()), _size(sample))
        maps, added = insert_view(traced.module, node, view)
        head, tail = cut(traced, maps, {*values.tensors, *added}, layer)
        acts, context = head(image)
        found = tail(acts, *context)
        same = torch.equal(found, expected) or (view != MAPS and _agree(found, expected))
    except Exception as error:  # tracing may have gone wrong without a word
        if isinstance(error, CamError) or is_out_of_memory(error):
            raise
        return None
    return (head, tail) if same else None


def _agree(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= AGREEMENT * expected.abs().max())


def _hooked_halves(module: nn.Module, layer: str, sample: Images, precision: str, prepared: bool) -> HookedHalves:
    duplicate = private_copy(module, _size(sample)).to(sample.device)
    if prepared:
        duplicate.to(dtype_of(precision))
    acts, _ = HookedHalves(duplicate, layer).head(sample.to(dtype_of(precision)) if prepared else sample)
    return HookedHalves(duplicate, layer, _view(module, layer, acts.shape, _size(sample)))


def _view(module: nn.Module, layer: str, shape: torch.Size, size: InputSize) -> View:
    """How the layer's output is seen; the network is watched where its shape leaves that open.

    Raises:
        LayerError: as no view that shows channels × height × width.
    """
    if len(shape) == 4 and shape[2] * size[-1] == shape[3] * size[-2] and shape[1] != shape[2]:
        return MAPS  # shaped like the image behind its channels, and not (B, h, w, D) with as many channels as columns
    seen = watch(private_copy(module, size), size)
    if layer not in seen.views:
        raise LayerError(f"the layer {layer!r} yields {seen.grids.misfit(shape)}")
    return seen.views[layer]


def _converted(module: _Module, dtype: torch.dtype) -> _Module:
    """The module itself, in another dtype and wherever there is such a dtype."""
    values = next(chain(module.parameters(), module.buffers()), None)
    return module if values is None else module.to(home_of(dtype, values.device)).to(dtype)


def _size(images: Images) -> tuple[int, int, int]:
    return images.shape[1], images.shape[2], images.shape[3]
