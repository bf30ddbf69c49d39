"""Tracing a network whose forward pass asks for sizes: `if H % 7: pad`, a table of positions for N tokens.

`torch.fx` knows no sizes, and gives up at such a question. Here every operation is also carried out, on one image and
on two, so that sizes are numbers wherever they do not depend on the number of images, and what does stays symbolic. The
graph is then good for images of that size alone; that it is the network is checked on three images.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from cam_core.models.noise import InputSize, noise
from cam_core.models.split.hooks import carries_hooks
from cam_core.models.split.tracing import HOOKS_ARE_LOST, LayerTracer, Traced, is_inplace

_VALUES: Final = "values"
_PLAIN = (bool, int, float, torch.dtype, torch.device)
AGREEMENT: Final = 1e-5
"""Relative to the largest |logit|: the same operations, in the order in which the network calls them."""


class _SizedProxy(fx.Proxy):
    """A value of the network that knows the sizes of what it stands for."""

    def __getattr__(self, k: str) -> Any:
        values = self.node.meta.get(_VALUES, ())
        if all(isinstance(value, Tensor) for value in values) and values:
            if k == "shape":
                return self._sizes()
            if k in ("ndim", "dtype", "device", "is_cuda", "requires_grad"):
                return getattr(values[0], k)
        return super().__getattr__(k)

    def size(self, dim: int | None = None) -> Any:
        return self._sizes() if dim is None else self._sizes()[dim]

    def dim(self) -> int:
        return int(self.ndim)

    def _sizes(self) -> tuple[Any, ...]:
        one, two = (value.shape for value in self.node.meta[_VALUES])
        return tuple(
            a if a == b else self.tracer.create_proxy("call_method", "size", (self, place), {})
            for place, (a, b) in enumerate(zip(one, two, strict=True))
        )

    def __iter__(self) -> Iterator[Any]:
        value = self.node.meta.get(_VALUES, (None,))[0]
        if isinstance(value, tuple | list):
            parts = (
                self.tracer.create_proxy("call_function", operator.getitem, (self, n), {}) for n in range(len(value))
            )
            return iter(list(parts))
        return iter(super().__iter__())


class _SizedTracer(LayerTracer):
    """Carries out what it traces, for one image and for two.

    Args:
        size: of the images.
        buffers: whether buffers are values of the graph, as weights are.
    """

    _computing = False  # also of one whose trace has just ended, while another thread was inside a module

    def __init__(self, size: InputSize, buffers: bool) -> None:
        super().__init__()
        self.proxy_buffer_attributes = buffers
        self._images = [noise(size, seed=n, images=n) for n in (1, 2)]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _SizedProxy(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> Any:
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        if kind == "output":
            return proxy
        self._computing = True
        try:
            values = self._values(proxy.node)
        finally:
            self._computing = False
        # A number that two batches agree on is a number.
        return values[0] if isinstance(values[0], _PLAIN) and values[0] == values[1] else proxy

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return forward(*args, **kwargs) if self._computing else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._computing else super().getattr(attr, attr_val, parameter_proxy_cache)

    def _values(self, node: fx.Node) -> tuple[Any, Any]:
        if _VALUES not in node.meta:
            node.meta[_VALUES] = (self._value(node, 0), self._value(node, 1))
        values: tuple[Any, Any] = node.meta[_VALUES]
        return values

    def _value(self, node: fx.Node, place: int) -> Any:
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda source: self._values(source)[place])
        if node.op == "placeholder":
            return self._images[place]
        if node.op == "get_attr":
            value: Any = self.root
            for name in str(node.target).split("."):
                value = getattr(value, name)
            return value
        if node.op == "call_module":
            return self.root.get_submodule(str(node.target)).forward(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


def _must_stay(node: fx.Node, module: nn.Module) -> bool:
    """Whether a node that nobody reads has a purpose: to be written into, or to write."""
    return node.op in ("placeholder", "output") or node.target is operator.setitem or is_inplace(node, module)


@torch.no_grad()
def trace_at_size(module: nn.Module, input_size: InputSize, *, buffers: bool = False) -> Traced:
    """As `cam_core.models.split.tracing.trace`, for images of `input_size` alone.

    Args:
        module: a private copy in evaluation mode, on the CPU.
        buffers: follow buffers as values, for a network that makes some of them when it first runs, or that shapes them
            by the number of images: ConViT's positions.
    Raises:
        Exception: whatever `torch.fx` and the network raise where sizes do not help; the caller falls back.
    """
    if carries_hooks(module):
        raise fx.proxy.TraceError(HOOKS_ARE_LOST)
    if buffers:
        module(noise(input_size))
    network = copy.deepcopy(module)  # tracing may leave what it traced in a network's own cache
    tracer = _SizedTracer(input_size, buffers)
    try:
        traced = Traced(module, tracer.trace(module), tracer.outputs, input_size)
    finally:
        # Nodes are in reference cycles: what they hold would stay until it is collected.
        for node in tracer.graph.nodes:
            node.meta.clear()
        vars(tracer).clear()
    traced.graph.eliminate_dead_code(lambda node: _must_stay(node, module))
    traced.graph.lint()
    images = noise(input_size, seed=3, images=3)
    expected, found = network(images.clone()), fx.Interpreter(module, graph=traced.graph).run(images.clone())
    if not float((found - expected).abs().max()) <= AGREEMENT * float(expected.abs().max()):
        raise fx.proxy.TraceError("the graph differs from the network")
    return traced
