"""TorchScript as a graph of torch's own operators, which `programs` puts together again of modules.

Its code is carried out once, on noise: what it decides on the way, about flags and shapes, is decided for good, while
sizes that follow from the images stay what they are.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from cam_core.models.noise import noise

VALUE: Final = "val"
"""Where a node's meta data hold what it was worth, as torch.export has it."""
STACK: Final = "nn_module_stack"
"""Where they hold the modules that it came from, outermost first: by any key, its name and class."""
LEAF: Final = "torch.nn.modules"
"""Begins the class of a module that is one operation."""

_DTYPES: Final = (
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.float32, torch.float64, torch.complex32, torch.complex64, torch.complex128, torch.bool),
)
_FORMATS: Final = (torch.contiguous_format, torch.preserve_format, torch.channels_last)
# What is done with numbers, flags and lists, by TorchScript's names.
_IN_PYTHON: Final[Mapping[str, Callable[..., Any]]] = {
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::__not__": operator.not_,
    "aten::__getitem__": operator.getitem,
    "aten::eq": operator.eq,
    "aten::ne": operator.ne,
    "aten::lt": operator.lt,
    "aten::le": operator.le,
    "aten::gt": operator.gt,
    "aten::ge": operator.ge,
    "aten::add": operator.add,
    "aten::sub": operator.sub,
    "aten::mul": operator.mul,
    "aten::div": operator.truediv,
    "aten::floordiv": operator.floordiv,
    "aten::remainder": operator.mod,
    "aten::neg": operator.neg,
    "aten::len": len,
    "aten::dim": Tensor.dim,
    "aten::Int": int,
    "aten::Float": float,
    "aten::Bool": bool,
    "aten::ScalarImplicit": lambda value: value,
    "aten::IntImplicit": int,
    "prim::NumToTensor": lambda value: value,
    "prim::unchecked_cast": lambda value: value,
    "prim::dtype": lambda value: value.dtype,
    "prim::device": lambda value: value.device,
}
_ON_TENSORS: Final = ("aten::dim", "prim::dtype", "prim::device")
_PASSED_OVER: Final = ("aten::warn", "prim::Print", "prim::RaiseException")
_SEVERAL: Final = ("prim::ListConstruct", "prim::TupleConstruct")


@dataclass(frozen=True)
class _Known:
    """A value of the code.

    Attributes:
        value: what it is worth, on the noise that the code is carried out on.
        written: it in the graph: a node; or itself, where it is the same for all images; lists hold either.
    """

    value: Any
    written: Any


def script_graph(script: torch.jit.ScriptModule, input_size: tuple[int, int]) -> fx.GraphModule:
    """The graph, in evaluation mode: `get_attr` for weights, and operators.

    Args:
        script: left as it is.
        input_size: (H, W) of the images.
    Raises:
        Exception: of many kinds, where the code holds what no graph does, such as a loop.
    """
    deciding = any(part.training for part in script.modules())
    # A copy: flags are part of the code.
    return _Reader(copy.deepcopy(script).eval() if deciding else script, input_size).read()


class _Reader:
    def __init__(self, script: torch.jit.ScriptModule, input_size: tuple[int, int]) -> None:
        self._script = script
        self._input_size = input_size
        self._root = nn.Module()
        self._graph = fx.Graph()
        self._known: dict[str, _Known] = {}

    @torch.no_grad()
    def read(self) -> fx.GraphModule:
        code = self._script.inlined_graph
        itself, image, *more = list(code.inputs())
        if any(not str(value.type()).startswith("Optional") for value in more):
            raise ValueError("it takes more than images")
        self._keep(itself, _Known(self._script, ("",)))
        node = self._graph.placeholder("image")
        self._keep(image, self._noted(noise((_channels(self._script), *self._input_size)), node))
        for value in more:
            self._keep(value, _Known(None, None))
        self._carry_out(code.nodes())
        (returned,) = code.outputs()
        self._graph.output(self._of(returned).written)
        return fx.GraphModule(self._root, self._graph)

    def _keep(self, name: Any, known: _Known) -> None:
        self._known[name.debugName()] = known

    def _of(self, name: Any) -> _Known:
        return self._known[name.debugName()]

    def _noted(self, value: Any, node: fx.Node) -> _Known:
        if isinstance(value, Tensor):
            node.meta[VALUE] = value.clone()
        return _Known(value, node)

    def _carry_out(self, steps: Any) -> None:
        for step in steps:
            kind = step.kind()
            if kind in _PASSED_OVER:
                continue
            if kind == "prim::If":
                self._decide(step)
            elif kind in ("prim::ListUnpack", "prim::TupleUnpack"):
                self._unpack(step)
            else:
                self._keep(step.output(), self._result(step, kind))

    def _result(self, step: Any, kind: str) -> _Known:
        given = [self._of(value) for value in step.inputs()]
        if kind == "prim::Constant":
            # Of functions, which are written out already, nothing is left but names.
            named = step.output().type().kind() == "FunctionType"
            return _Known(None, None) if named else self._constant(step.output().toIValue())
        if kind == "prim::Uninitialized":
            return _Known(None, None)
        if kind == "prim::GetAttr":
            return self._attribute(given[0], step.s("name"))
        if kind in _SEVERAL:
            several = list if kind == _SEVERAL[0] else tuple
            return _Known(several(each.value for each in given), several(each.written for each in given))
        if kind == "prim::TupleIndex":
            return self._in_python(operator.getitem, given)
        of_tensors = any(isinstance(each.value, Tensor) for each in given)
        if kind in _IN_PYTHON and (kind in _ON_TENSORS or not of_tensors):
            return self._in_python(_IN_PYTHON[kind], given)
        if kind == "aten::append":
            given[0].value.append(given[1].value)
            given[0].written.append(given[1].written)
            return given[0]
        if kind == "aten::size":
            return self._size(given)
        if kind.startswith("aten::"):
            return self._operator(step, kind, given)
        raise ValueError(f"{kind} is in its code")

    def _in_python(self, function: Callable[..., Any], given: list[_Known]) -> _Known:
        value = function(*(each.value for each in given))
        written = [each.written for each in given]
        if function is operator.getitem and isinstance(written[0], list | tuple):
            return _Known(value, written[0][given[1].value])
        if all(isinstance(each, list) for each in written):
            return _Known(value, function(*written))
        # Flags, kinds and counts are the same for all images; other numbers may follow from their number.
        counted = isinstance(value, int | float) and not isinstance(value, bool) and function not in (len, Tensor.dim)
        if not counted or not _has_nodes(written):
            return _Known(value, value)
        if len(given) == 1 and function is not operator.neg:
            return _Known(value, written[0])
        return _Known(value, self._graph.call_function(function, tuple(written)))

    def _size(self, given: list[_Known]) -> _Known:
        tensor, *place = given
        if place:
            node = self._graph.call_method("size", (tensor.written, place[0].written))
            return _Known(tensor.value.shape[place[0].value], node)
        sizes = list(tensor.value.shape)
        return _Known(sizes, [self._graph.call_method("size", (tensor.written, each)) for each in range(len(sizes))])

    def _operator(self, step: Any, kind: str, given: list[_Known]) -> _Known:
        packet = getattr(torch.ops.aten, kind.removeprefix("aten::"))
        args: list[_Known] = []
        kwargs: dict[str, _Known] = {}
        for declared, each in zip(torch._C.parse_schema(step.schema()).arguments, given, strict=True):
            each = _as_declared(str(getattr(declared, "real_type", declared.type)), each)
            if declared.kwarg_only:
                kwargs[declared.name] = each
            else:
                args.append(each)
        value = packet(*(each.value for each in args), **{name: each.value for name, each in kwargs.items()})
        written = {name: each.written for name, each in kwargs.items()}
        node = self._graph.call_function(packet, tuple(each.written for each in args), written)
        origin = step.scopeName().rpartition("/")[2].removeprefix("__module").removeprefix(".")
        if origin:
            single = not any(True for _ in self._script.get_submodule(origin).children())
            node.meta[STACK] = {origin: (origin, LEAF if single else "")}
        return self._noted(value, node)

    def _constant(self, value: Any) -> _Known:
        if not isinstance(value, Tensor):
            return _Known(value, value)
        name = f"constant_{len(self._root._buffers)}"
        self._root.register_buffer(name, value)
        return self._noted(value, self._graph.get_attr(name))

    def _attribute(self, owner: _Known, name: str) -> _Known:
        value = getattr(owner.value, name)
        path = (*owner.written, name)
        if isinstance(value, torch.jit.ScriptModule):
            return _Known(value, path)
        if not isinstance(value, Tensor):
            return _Known(value, value)
        *holders, _ = path[1:]
        place = self._root
        for step in holders:
            if step not in place._modules:
                place.add_module(step, nn.Module())
            place = place.get_submodule(step)
        if name not in place._buffers:
            place.register_buffer(name, value.detach())
        return self._noted(value, self._graph.get_attr(".".join(path[1:])))

    def _decide(self, step: Any) -> None:
        chosen = list(step.blocks())[0 if self._of(step.input()).value else 1]
        self._carry_out(chosen.nodes())
        for name, inner in zip(step.outputs(), chosen.outputs(), strict=True):
            self._keep(name, self._of(inner))

    def _unpack(self, step: Any) -> None:
        known = self._of(step.input())
        for place, name in enumerate(step.outputs()):
            if isinstance(known.written, fx.Node):
                node = self._graph.call_function(operator.getitem, (known.written, place))
                self._keep(name, self._noted(known.value[place], node))
            else:
                self._keep(name, _Known(known.value[place], known.written[place]))


def _channels(script: nn.Module) -> int:
    """Channels that the first convolution takes; 3 where there is none."""
    first = next((weight for weight in script.parameters() if weight.ndim == 4), None)
    return 3 if first is None else first.shape[1]


def _has_nodes(written: Any) -> bool:
    if isinstance(written, list | tuple):
        return any(map(_has_nodes, written))
    return isinstance(written, fx.Node)


def _as_declared(kind: str, given: _Known) -> _Known:
    """Kinds of numbers and layouts, which TorchScript counts, as Python has them."""
    table = _DTYPES if "ScalarType" in kind else _FORMATS if "MemoryFormat" in kind else None
    if table is None or isinstance(given.value, bool) or not isinstance(given.value, int):
        return given
    return _Known(table[given.value], table[given.value])
