"""Convolutions on the CPU as oneDNN runs them best: weights laid out once, and what follows folded into the same pass.

PyTorch's own convolution lays its weights out anew at every call, and each addition and activation after it reads and
writes the whole tensor once more. `fused` gives a half of a network whose convolutions do neither. The half that it
came from stays as it is, for whoever reads the graph: DeepLIFT's rules, Captum, `torch.compile`.

Where gradients are wanted, or a `TorchFunctionMode` looks on, the fused parts run apart, one torch function per part.
"""

from __future__ import annotations

import copy
import functools
import logging
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input
from torch.overrides import handle_torch_function, has_torch_function_unary

from cam_core.declarations.lazy import lazy

_log = logging.getLogger(__name__)


def fused(half: fx.GraphModule) -> fx.GraphModule:
    """The same function of the same weights, faster; `half` itself where its device or dtype is not oneDNN's.

    Each plain convolution takes in the addition that alone reads it, and then the activation that alone reads that.
    """
    parameter = next(half.parameters(), None)
    if parameter is None or parameter.device.type != "cpu" or not _supported(parameter.dtype):
        return half
    result = fx.GraphModule(half, copy.deepcopy(half.graph))
    for number, node in enumerate(list(result.graph.nodes)):
        conv = _module(result, node)
        if conv is not None and _is_plain(conv) and len(node.args) == 1:
            _fuse(result, node, f"fused_{number}")
    result.graph.lint()
    result.recompile()
    return result


def _is_plain(module: nn.Module) -> bool:
    """Not a subclass, which may pad or rescale its weights in its own way."""
    return type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str)


def _fuse(half: fx.GraphModule, conv: fx.Node, name: str) -> None:
    addition = _only_reader(conv)
    if addition is None or not _is_addition(addition):
        addition = None
    activation = _only_reader(addition or conv)
    module = None if activation is None else _activation(half, activation)
    parts = [node for node in (conv, addition, activation if module else None) if node is not None]
    addends = [] if addition is None else [node for node in addition.args if node is not conv]
    source = half.get_submodule(str(conv.target))
    assert isinstance(source, nn.Conv2d)
    half.add_submodule(name, FusedConv2d(source, module))
    with half.graph.inserting_after(parts[-1]):
        together = half.graph.call_module(name, (*conv.args, *addends))
    parts[-1].replace_all_uses_with(together)
    for node in reversed(parts):
        half.graph.erase_node(node)


def _only_reader(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_addition(node: fx.Node) -> bool:
    """Of two different tensors, to judge by the graph; whether their shapes agree is seen when it runs."""
    adds = node.op == "call_function" and node.target in (operator.add, operator.iadd, torch.add)
    return adds and not node.kwargs and len(set(node.args)) == 2 and all(isinstance(a, fx.Node) for a in node.args)


def _module(half: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return half.get_submodule(str(node.target)) if node.op == "call_module" else None


# oneDNN's name and parameters of each activation that it can fold in.
_ACTIVATIONS: dict[type[nn.Module], Callable[[Any], tuple[str, list[float]]]] = {
    nn.ReLU: lambda _: ("relu", []),
    nn.ReLU6: lambda _: ("hardtanh", [0.0, 6.0]),
    nn.Hardtanh: lambda module: ("hardtanh", [module.min_val, module.max_val]),
    nn.SiLU: lambda _: ("swish", []),
    nn.Hardswish: lambda _: ("hardswish", []),
}
_FUNCTIONS: dict[Any, type[nn.Module]] = {
    functional.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    functional.relu6: nn.ReLU6,
    functional.silu: nn.SiLU,
    functional.hardswish: nn.Hardswish,
}


def _activation(half: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    module = _module(half, node)
    if module is None and node.op == "call_function" and len(node.args) == 1 and node.target in _FUNCTIONS:
        module = _FUNCTIONS[node.target]()
    return module if type(module) in _ACTIVATIONS else None


class FusedConv2d(nn.Module):
    """A convolution, then the addition of another tensor if one is given, then an activation if there is one."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None) -> None:
        super().__init__()
        self.activation = activation
        self.weights = PackedWeights(conv)
        self._operation = _ACTIVATIONS[type(activation)](activation) if activation else ("none", [])

    def forward(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        if has_torch_function_unary(x) or _needs_gradient(x, addend):
            return self._apart(x, addend)
        if addend is None:
            return self.weights.run(x, self._operation)
        if not self._adds(x, addend):
            return self._apart(x, addend)
        return self.weights.run_and_add(x, addend, self._operation[0])

    def _adds(self, x: Tensor, addend: Tensor) -> bool:
        """oneDNN adds tensors of one shape and dtype to ungrouped convolutions, and folds in a ReLU alone after it."""
        alike = isinstance(addend, Tensor) and addend.dtype == x.dtype and addend.shape == self.weights.output_shape(x)
        return alike and self.weights.groups == 1 and self._operation[0] in ("none", "relu")

    def _apart(self, x: Tensor, addend: Tensor | None) -> Tensor:
        out = conv2d(x, self.weights)
        out = out if addend is None else out + addend
        return out if self.activation is None else self.activation(out)


def _needs_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def conv2d(x: Tensor, weights: PackedWeights) -> Tensor:
    """A convolution with packed weights, differentiable in `x` as often as you like; modes see it as torch's own."""
    if has_torch_function_unary(x):
        seen: Tensor = handle_torch_function(conv2d, (x,), x, weights)
        return seen
    if _needs_gradient(x):
        result: Tensor = _Convolution.apply(x, weights)
        return result
    return weights.run(x)


_Operation = tuple[str, Sequence[float]]


class PackedWeights:
    """One convolution's weights in oneDNN's own layout, made at the first call, and again for gradients."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.weight = conv.weight.detach()
        self.bias = None if conv.bias is None else conv.bias.detach()
        self.padding: list[int] = [int(p) for p in conv.padding]
        self.stride: list[int] = list(conv.stride)
        self.dilation: list[int] = list(conv.dilation)
        self.groups = conv.groups
        self._lock = threading.Lock()
        self._forward: Tensor | None = None
        self._backward: Tensor | None = None

    @lazy
    def without_bias(self) -> PackedWeights:
        """The same weights, in the same memory."""
        plain = copy.copy(self)
        plain.bias = None
        return plain

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedWeights:
        return self  # never written to once it is made; torch cannot copy an opaque layout

    def run(self, x: Tensor, operation: _Operation = ("none", [])) -> Tensor:
        """(B, C, H, W) → (B, K, h, w), bias added, then the operation."""
        layout = self._layout(x)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            _channels_last(x), layout, self.bias, *self._geometry, self.groups, operation[0], operation[1], ""
        )
        return out

    def run_and_add(self, x: Tensor, addend: Tensor, operation: str) -> Tensor:
        """The same, with `addend` (B, K, h, w) added before the operation."""
        layout = self._layout(x)
        then = None if operation == "none" else operation
        out: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            _channels_last(x), _channels_last(addend), layout, self.bias, *self._geometry, self.groups,
            "add", 1.0, then, [], "",
        )  # fmt: skip
        return out

    def transposed(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """The gradient at the input, of this shape, for a gradient at the output."""
        if self.stride != [1, 1] or self.groups != 1 or any(p < 0 for p in self._transposed_padding):
            result: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
                shape, self.weight, gradient, self.stride, self.padding, self.dilation, self.groups
            )
            return result
        # At stride 1 it is a convolution too, with the weights turned round and their channels exchanged.
        with self._lock:
            if self._backward is None:
                turned = self.weight.transpose(0, 1).flip(2, 3).contiguous()
                self._backward = _pack(turned, self._transposed_padding, [1, 1], self.dilation, 1, gradient.shape)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            _channels_last(gradient), self._backward, None, self._transposed_padding, [1, 1], self.dilation, 1,
            "none", [], "",
        )  # fmt: skip
        return out

    def output_shape(self, x: Tensor) -> torch.Size:
        """(B, K, h, w) for this input."""
        sizes = zip(x.shape[-2:], self.weight.shape[-2:], self.padding, self.stride, self.dilation, strict=True)
        return torch.Size(
            [len(x), len(self.weight), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, p, s, d in sizes)]
        )

    @property
    def _geometry(self) -> tuple[list[int], list[int], list[int]]:
        return self.padding, self.stride, self.dilation

    @property
    def _transposed_padding(self) -> list[int]:
        kernel = self.weight.shape[-2:]
        return [d * (k - 1) - p for d, k, p in zip(self.dilation, kernel, self.padding, strict=True)]

    def _layout(self, x: Tensor) -> Tensor:
        with self._lock:
            if self._forward is None:
                self._forward = _pack(self.weight, *self._geometry, self.groups, x.shape)
            return self._forward


class _Convolution(torch.autograd.Function):
    """W x + b, and Wᵀ for its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: PackedWeights) -> Tensor:
        ctx.weights, ctx.shape = weights, x.shape
        return weights.run(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Transposed.apply(gradients[0], ctx.weights, ctx.shape), None


class _Transposed(torch.autograd.Function):
    """Wᵀ g, and W without its bias for its gradient."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weights: PackedWeights, shape: torch.Size) -> Tensor:
        ctx.weights = weights
        return weights.transposed(gradient, shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Convolution.apply(gradients[0], ctx.weights.without_bias), None, None


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _pack(
    weight: Tensor, padding: list[int], stride: list[int], dilation: list[int], groups: int, shape: torch.Size
) -> Tensor:
    # For one image, so that it does not depend on how large a batch came first.
    library: Any = torch._C._nn  # its types are not declared
    packed: Tensor = library.mkldnn_reorder_conv2d_weight(
        weight.to_mkldnn(), padding, stride, dilation, groups, [1, *shape[1:]]
    )
    return packed


def _offered(dtype: torch.dtype) -> bool:
    """Whether this build of torch has oneDNN, and this CPU the dtype."""
    if not torch._C._has_mkldnn or dtype not in (torch.float32, torch.bfloat16):
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@functools.cache
def _supported(dtype: torch.dtype) -> bool:
    """Tried out where it is offered: these operations are torch's own, but not public, and may change."""
    if not _offered(dtype):
        return False
    try:
        wrong = _trial(dtype)
    except (
        AttributeError,
        RuntimeError,
    ) as error:  # torch's for an operation that is missing, or takes other arguments
        wrong = str(error)
    if wrong:
        _log.warning("networks run slower than they could: torch %s and oneDNN: %s", torch.__version__, wrong)
    return not wrong


@torch.no_grad()
def _trial(dtype: torch.dtype) -> str:
    """The fault of fused convolutions, empty where there is none."""
    # By way of "meta": nobody's random numbers are used up.
    conv = nn.Conv2d(4, 4, 3, padding=1, device="meta").to_empty(device="cpu").to(dtype)
    for parameter in conv.parameters():
        parameter.copy_(torch.linspace(-0.3, 0.3, parameter.numel()).view_as(parameter))
    weights, x = PackedWeights(conv), torch.linspace(-1, 1, 4 * 25).view(1, 4, 5, 5).to(dtype)
    plain = conv(x)
    pairs = {"addition": (weights.run_and_add(x, x, "relu"), (plain + x).relu())}
    pairs |= {kind.__name__: (FusedConv2d(conv, kind())(x), kind()(plain)) for kind in _ACTIVATIONS}
    error = 1e-5 if dtype == torch.float32 else 2e-2
    wrong = [name for name, (a, b) in pairs.items() if not torch.allclose(a, b, rtol=error, atol=error)]
    return f"wrong values with {', '.join(wrong)}" if wrong else ""
