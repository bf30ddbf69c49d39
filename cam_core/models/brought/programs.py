"""Programs, as torch.export and TorchScript make them, put together again of modules that can be cut and explained.

A program is a graph of torch's own operators, to which weights are given as arguments. An operator with weights, and an
activation or a pooling, becomes a module: called after its weights, or after the module that it came from where the
program says so. All others become the functions and methods of tensors that they implement. The weights are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree

from cam_core.models.brought.torchscript import LEAF, STACK, VALUE, script_graph
from cam_core.models.split.tracing import called_modules
from cam_core.types import ModelError

_HOW: Final = "bring the Python module that it was made from"
# What only checks, or has an effect on nothing that is returned.
_CHECKS: Final = ("_assert", "sym_constrain", "_guards_fn")
_SAME: Final = ("dropout", "dropout_", "feature_dropout", "alpha_dropout", "lift_fresh_copy", "alias", "detach_")

Make: TypeAlias = Callable[..., nn.Module | None]
"""An operator's arguments, tensors among them as they are → the module; None where there is none like it."""


def is_program(module: object) -> bool:
    """Whether it is a graph without modules, as torch.export makes one, or TorchScript."""
    return _is_exported(module) or isinstance(module, torch.jit.ScriptModule)


def as_modules(program: Any, input_size: tuple[int, int]) -> nn.Module:
    """A program as a graph of modules.

    Args:
        program: for which `is_program`; it is left as it is.
        input_size: (H, W) of its images, for TorchScript, which decides some things by them.
    Raises:
        ModelError: it cannot be read, with what to bring instead.
    """
    kind = "TorchScript" if isinstance(program, torch.jit.ScriptModule) else "a program of torch.export"
    try:
        if isinstance(program, torch.jit.ScriptModule):
            source = script_graph(program, input_size)
        else:
            source = program if isinstance(program, fx.GraphModule) else program.module()
        return _Rewriter(source).rewritten()
    except Exception as error:  # a foreign program may hold anything
        raise ModelError(f"the network is {kind}, which could not be taken apart ({_said(error)}): {_HOW}") from error


def _is_exported(module: object) -> bool:
    if type(module).__name__ == "ExportedProgram":
        return True
    if not isinstance(module, fx.GraphModule):
        return False
    return not any(next(module.get_submodule(name).parameters(), None) is not None for name in called_modules(module))


class _Rewriter:
    """One graph of operators, written anew with modules."""

    def __init__(self, source: fx.GraphModule) -> None:
        self._source = source
        self._root = nn.Module()
        self._graph = fx.Graph()
        self._new: dict[fx.Node, Any] = {}

    def rewritten(self) -> nn.Module:
        for node in self._source.graph.nodes:
            self._new[node] = self._write(node)
        self._graph.lint()
        self._graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output") or _writes(node))
        return fx.GraphModule(self._root, self._graph).eval().requires_grad_(False)

    def _write(self, node: fx.Node) -> Any:
        name = _operator(node)
        if node.op == "placeholder":
            return self._graph.placeholder(node.name)
        if node.op == "get_attr":
            return None  # put where it is used, if that is no module
        if node.op == "output":
            return self._graph.output(self._mapped(self._returned(node.args[0])))
        if name.startswith(_CHECKS):
            return None
        if name in _SAME:
            return self._mapped(node.args[0])
        return self._module(node, name) or self._function(node, name)

    def _weight(self, path: str) -> fx.Node:
        value = _attribute(self._source, path)
        if not isinstance(value, Tensor):
            raise ValueError(f"{path} is no tensor")
        holder, _, name = path.rpartition(".")
        place = _container(self._root, holder)
        if not hasattr(place, name) and value.is_floating_point():
            place.register_parameter(name, nn.Parameter(value.detach(), requires_grad=False))
        elif not hasattr(place, name):
            place.register_buffer(name, value.detach(), persistent=False)
        return self._graph.get_attr(path)

    def _module(self, node: fx.Node, name: str) -> fx.Node | None:
        make = _MODULES.get(name.removesuffix("_"))
        if make is None or not isinstance(node.args[0], fx.Node):
            return None
        operator, rest = node.args[0], node.args[1:]
        given = [self._given(value) for value in rest]
        if any(isinstance(value, fx.Node) for value in given) or any(map(_holds_nodes, given)):
            return None  # a size that is not known, a weight that is computed
        shape = operator.meta.get(VALUE)
        module = make(*given, **{"rank": None if shape is None else shape.ndim}, **node.kwargs)
        if module is None:
            return None
        if name.endswith("_") and hasattr(module, "inplace"):
            module.inplace = True  # type: ignore[assignment]
        path = self._free(_weight_path(rest) or _origin(node, name.removesuffix("_")))
        holder, _, last = path.rpartition(".")
        _container(self._root, holder).add_module(last, module)
        return self._graph.call_module(path, (self._new[operator],))

    def _given(self, value: Any) -> Any:
        """An argument, weights among them as tensors."""
        if isinstance(value, fx.Node) and value.op == "get_attr":
            return _attribute(self._source, str(value.target))
        return value

    def _function(self, node: fx.Node, name: str) -> fx.Node:
        args, kwargs = self._mapped(node.args), self._mapped(node.kwargs)
        if node.op == "call_module":
            raise ValueError(f"it calls {node.target}")
        if node.op == "call_method" or not name:
            return self._graph.create_node(node.op, node.target, args, kwargs)
        if name == "slice":
            return self._graph.call_function(_sliced, args, kwargs)
        if name == "sym_size":
            return self._graph.call_method("size", args)
        if hasattr(Tensor, name) and isinstance(node.args[0], fx.Node):
            return self._graph.call_method(name, args, kwargs)
        function: Any = getattr(torch, name, None) or getattr(torch._C._nn, name, None) or node.target
        return self._graph.call_function(function, args, kwargs)

    def _mapped(self, values: Any) -> Any:
        return fx.map_arg(
            values, lambda node: self._weight(str(node.target)) if node.op == "get_attr" else self._new[node]
        )

    def _returned(self, values: Any) -> Any:
        """In the structure in which the program returns them."""
        info = getattr(self._source.graph._codegen, "pytree_info", None)
        if info is None or info.out_spec is None:
            return values
        return _pytree.tree_unflatten(list(values), info.out_spec)

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        return chain(self._root.named_parameters(), self._root.named_buffers())

    def _free(self, path: str) -> str:
        taken = {name for name, _ in chain(self._root.named_modules(), self._weights())}
        number, free = 0, path
        while free in taken:
            number, free = number + 1, f"{path}_{number + 1}"
        return free


def _operator(node: fx.Node) -> str:
    """The name of torch's own operator that a node calls: "conv2d"; "" where it calls something else."""
    if node.op == "call_module" and str(node.target).startswith(_CHECKS):
        return str(node.target)
    target = node.target
    packet = getattr(target, "overloadpacket", target)
    return packet.__name__ if isinstance(packet, torch._ops.OpOverloadPacket) else ""


def _weight_path(args: Sequence[Any]) -> str:
    """What the module is called that has the first weight: "layer1.conv" of "layer1.conv.weight"."""
    weight = next((value for value in args if isinstance(value, fx.Node) and value.op == "get_attr"), None)
    return "" if weight is None else str(weight.target).rpartition(".")[0]


def _origin(node: fx.Node, name: str) -> str:
    """The module that a node came from, as torch.export notes it, with the operator's name if it is made of others."""
    stack = node.meta.get(STACK) or {"": ("", "")}
    path, kind = list(stack.values())[-1][:2]
    own = kind if isinstance(kind, str) else kind.__module__
    return str(path) if own.startswith(LEAF) else f"{path}.{name}".removeprefix(".")


def _writes(node: fx.Node) -> bool:
    name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
    return str(name).endswith("_") and not str(name).endswith("__")


def _holds_nodes(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(part, fx.Node) for part in value)


def _attribute(module: nn.Module, path: str) -> Any:
    value: Any = module
    for step in path.split("."):
        value = getattr(value, step)
    return value


def _container(root: nn.Module, path: str) -> nn.Module:
    """The module at a path, made where it is missing."""
    for step in filter(None, path.split(".")):
        if step not in root._modules:
            root.add_module(step, nn.Module())
        root = root.get_submodule(step)
    return root


def _sliced(value: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    # Written out, since a graph that is traced again shall hold an operation that every method knows.
    return value[(*[slice(None)] * (dim % value.ndim), slice(start, end, step))]


def _said(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# Modules by their operators. `rank` is the number of dimensions of what they are given; None where it is not known.


def _with(module: nn.Module, **weights: Tensor | None) -> nn.Module:
    for name, value in weights.items():
        if value is not None:
            module.register_parameter(name, nn.Parameter(value.detach(), requires_grad=False))
    return module


def _conv2d(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    rank: int | None = None,
) -> nn.Module | None:
    if weight.ndim != 4:
        return None
    out, per_group, *kernel = weight.shape
    padded = padding if isinstance(padding, str) else _pair(padding)
    module = nn.Conv2d(
        per_group * groups,
        out,
        _pair(kernel),
        stride=_pair(stride),
        padding=padded,
        dilation=_pair(dilation),
        groups=groups,
        bias=bias is not None,
        device="meta",
    )
    return _with(module, weight=weight, bias=bias)


def _convolution(
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    _output_padding: Any,
    groups: int,
    *_how: bool,
    rank: int | None = None,
) -> nn.Module | None:
    return None if transposed else _conv2d(weight, bias, stride, padding, dilation, groups)


def _linear(weight: Tensor, bias: Tensor | None = None, rank: int | None = None) -> nn.Module:
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    return _with(module, weight=weight, bias=bias)


def _batch_norm(
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    _training: bool,
    _momentum: float,
    eps: float,
    *_how: bool,
    rank: int | None = None,
) -> nn.Module | None:
    if rank != 4 or mean is None or variance is None:
        return None
    module = nn.BatchNorm2d(len(mean), eps, affine=weight is not None, device="meta")
    module.register_buffer("running_mean", mean.detach())
    module.register_buffer("running_var", variance.detach())
    module.register_buffer("num_batches_tracked", torch.tensor(0))
    return _with(module, weight=weight, bias=bias)


def _layer_norm(
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_how: bool,
    rank: int | None = None,
) -> nn.Module | None:
    if (weight is None) != (bias is None):
        return None
    module = nn.LayerNorm(tuple(shape), eps, elementwise_affine=weight is not None, device="meta")
    return _with(module, weight=weight, bias=bias)


def _pair(value: Any) -> Any:
    """One number per side, of one for both or of both."""
    several = list(value) if isinstance(value, list | tuple) else [value]
    return (several[0], several[-1])


def _max_pool2d(
    kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, rank: Any = None
) -> nn.Module:
    return nn.MaxPool2d(_pair(kernel), _pair(stride or kernel), _pair(padding), _pair(dilation), ceil_mode=ceil_mode)


def _avg_pool2d(
    kernel: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    rank: int | None = None,
) -> nn.Module:
    return nn.AvgPool2d(
        _pair(kernel), _pair(stride or kernel), _pair(padding), ceil_mode, count_include_pad, divisor_override
    )


def _plain(make: Callable[..., nn.Module]) -> Make:
    return lambda *args, rank=None, **kwargs: make(*args, **kwargs)


_MODULES: Final[Mapping[str, Make]] = {
    "conv2d": _conv2d,
    "_convolution": _convolution,
    "convolution": _convolution,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _plain(lambda size: nn.AdaptiveAvgPool2d(_pair(size))),
    "relu": _plain(nn.ReLU),
    "relu6": _plain(nn.ReLU6),
    "hardtanh": _plain(nn.Hardtanh),
    "leaky_relu": _plain(nn.LeakyReLU),
    "elu": _plain(lambda alpha=1.0, *_scales: nn.ELU(alpha)),
    "gelu": _plain(lambda approximate="none": nn.GELU(approximate)),
    "silu": _plain(nn.SiLU),
    "sigmoid": _plain(nn.Sigmoid),
    "tanh": _plain(nn.Tanh),
    "hardswish": _plain(nn.Hardswish),
    "hardsigmoid": _plain(nn.Hardsigmoid),
}
