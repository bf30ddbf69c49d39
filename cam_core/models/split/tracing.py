"""Tracing a classifier with `torch.fx` so that it can be cut, and making its graph safe to cut.

Knows nothing of layers to explain: it yields a graph, the node behind every module's output, and in-place operations
rewritten wherever they would write into a value that somebody else still reads.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from cam_core.models.noise import InputSize
from cam_core.models.split.decisions import Decisions
from cam_core.models.split.hooks import carries_hooks, without_observers

# Modules whose Python control flow depends on shapes or on options that tracing cannot follow.
_LEAF_NAMES = frozenset(
    "Conv2dSame BatchNormAct2d DropPath GroupNormAct GroupNorm1Act LayerNormAct LayerNormAct2d FrozenBatchNormAct2d "
    "MaxPool2dSame AvgPool2dSame ScaledStdConv2d ScaledStdConv2dSame StdConv2d StdConv2dSame CondConv2d "
    "BlurPool2d MixedConv2d SelectAdaptivePool2d FixedPadding".split()
)

_OUT_OF_PLACE: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    operator.imatmul: operator.matmul,
}

HOOKS_ARE_LOST: Final = "hooks that change a module's output are lost when it is folded, fused or inlined"

# Modules whose output never shares memory with their input: an in-place operation may write into it.
_FRESH_MODULES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.modules.batchnorm._BatchNorm)


# Each tracing replaces `nn.Module.__call__` for the whole process, and puts back what it found there.
_ONE_AT_A_TIME: Final = threading.Lock()


class LayerTracer(fx.Tracer):
    """`torch.fx.Tracer` that also remembers the node holding each module's output (of its last call).

    While it traces, every module that any thread runs is handed to it: those of other threads are run as they are, and
    those that decide by a shape.

    Args:
        input_size: of the images that the graph will be run on; where omitted, no decision by a shape is followed.
    """

    # For a thread that comes a moment too late, when the tracer has been cleared.
    _thread: int | None = None
    _autowrap_function_ids: set[int] = set()  # noqa: RUF012  (each tracer has its own; this one stays empty)

    def __init__(self, input_size: InputSize | None = None) -> None:
        super().__init__(autowrap_functions=_timm_functions())
        self.outputs: dict[nn.Module, Any] = {}
        self._input_size = input_size
        self._decisions: Decisions | None = None
        self._thread = threading.get_ident()

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        with _ONE_AT_A_TIME:
            return super().trace(root, concrete_args)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """The image alone is a symbol: what else a network can be given is what it is by default.

        A mask that is None would be traced as one that is there.
        """
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        image = next((place for place, value in enumerate(args) if isinstance(value, fx.Proxy)), len(args))
        return function, [*args[: image + 1], *map(self._default, args[image + 1 :])]

    def _default(self, value: fx.Proxy) -> Any:
        if not value.node.args:  # `*args`, or one that has to be given
            return value
        self.graph.erase_node(value.node)
        return value.node.args[0]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m).__name__ in _LEAF_NAMES or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not self._follows():
            return forward(*args, **kwargs)
        output = super().call_module(m, forward, args, kwargs)
        self.outputs[m] = output.node if isinstance(output, fx.Proxy) else None
        return output

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return super().getattr(attr, attr_val, parameter_proxy_cache) if self._follows() else attr_val

    def to_bool(self, obj: fx.Proxy) -> bool:
        truth = self._decided(obj.node)
        return super().to_bool(obj) if truth is None else truth

    def _follows(self) -> bool:
        return threading.get_ident() == self._thread

    def _decided(self, node: fx.Node) -> bool | None:
        if self._input_size is None:
            return None
        if self._decisions is None:
            self._decisions = Decisions(self.root, self.graph, self._input_size)
        thread, self._thread = self._thread, None
        try:
            return self._decisions.about(node)
        finally:
            self._thread = thread


def _timm_functions() -> tuple[Callable[..., Any], ...]:
    try:
        from timm.layers import get_notrace_functions
    except ImportError:  # timm too old or absent: its networks then take the untraced path
        return ()
    return tuple(get_notrace_functions())


@dataclass(frozen=True)
class Traced:
    """A private copy of the network in evaluation mode, its graph, and the node of every module's output.

    `size` is that of the images where the graph is good for no others.
    """

    module: nn.Module
    graph: fx.Graph
    outputs: dict[nn.Module, Any]
    size: InputSize | None = None


def private_copy(module: nn.Module, input_size: InputSize) -> nn.Module:
    """A deep copy in evaluation mode, without gradients: the original is never touched.

    Of its hooks only those remain that change what the network computes; see `cam_core.models.split.hooks`.

    Args:
        input_size: of the noise with which they are found.
    """
    return without_observers(module, input_size)


def trace(module: nn.Module, input_size: InputSize) -> Traced:
    """Trace a private copy of `module`, which takes images of `input_size`.

    Raises:
        Exception: whatever `torch.fx` raises where it cannot follow the forward pass; the caller falls back.
    """
    duplicate = private_copy(module, input_size)
    if carries_hooks(duplicate):
        raise fx.proxy.TraceError(HOOKS_ARE_LOST)
    tracer = LayerTracer(input_size)
    try:
        graph = tracer.trace(duplicate)
        if any(isinstance(value, fx.Proxy) for part in duplicate.modules() for value in part._buffers.values()):
            raise fx.proxy.TraceError("the network makes a buffer of what it is given")
        return Traced(duplicate, graph, tracer.outputs)
    finally:
        # `torch.fx` leaves its tracer in a reference cycle, and with it all the weights.
        vars(tracer).clear()


def is_inplace(node: fx.Node, module: nn.Module) -> bool:
    """Whether the node writes into its first argument."""
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(str(node.target)), "inplace", False))
    if node.op == "call_function":
        name = getattr(node.target, "__name__", "")
        return node.target in _OUT_OF_PLACE or bool(node.kwargs.get("inplace")) or _has_inplace_name(name)
    return node.op == "call_method" and _has_inplace_name(str(node.target))


def _has_inplace_name(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")


def make_safe(traced: Traced, crossing: fx.Node) -> None:
    """Rewrite in place of `traced.graph` what must not happen once the graph is cut at `crossing`.

    In-place operations are replaced wherever they might write into a value that crosses the cut, enters the network, is
    read again, or shares its memory with another value; elsewhere they stay, because they are faster. `view` becomes
    `reshape`, since channels-last activations cannot always be viewed.
    """
    for node in list(traced.graph.nodes):
        if node.op == "call_method" and node.target == "view":
            node.target = "reshape"
        if is_inplace(node, traced.module) and not _may_stay_inplace(node, traced.module, crossing):
            _replace_inplace(node, traced)
    traced.graph.lint()


def _may_stay_inplace(node: fx.Node, module: nn.Module, crossing: fx.Node) -> bool:
    written = node.args[0] if node.args else None
    if not isinstance(written, fx.Node) or written is crossing or len(written.users) > 1:
        return False
    if written.op == "call_module":
        return isinstance(module.get_submodule(str(written.target)), _FRESH_MODULES)
    return written.op == "call_function" and written.target in (operator.add, operator.mul, torch.add, torch.mul)


def _replace_inplace(node: fx.Node, traced: Traced) -> None:
    written = node.args[0]
    if node.op == "call_module":
        # The flag belongs to the module: a ReLU shared by several calls loses it everywhere.
        traced.module.get_submodule(str(node.target)).__dict__["inplace"] = False
    elif node.target in _OUT_OF_PLACE:
        node.target = _OUT_OF_PLACE[node.target]
    elif node.kwargs.get("inplace"):
        node.kwargs = {**node.kwargs, "inplace": False}
    elif node.op == "call_method":
        node.target = str(node.target)[:-1]
    else:
        node.target = _functional_twin(node.target)
    if isinstance(written, fx.Node):
        # Whoever read the overwritten value afterwards meant the new one.
        earlier = _nodes_until(traced.graph, node)
        written.replace_all_uses_with(node, delete_user_cb=lambda user: user not in earlier)


def _nodes_until(graph: fx.Graph, last: fx.Node) -> set[fx.Node]:
    nodes: set[fx.Node] = set()
    for node in graph.nodes:
        nodes.add(node)
        if node is last:
            break
    return nodes


def _functional_twin(function: Any) -> Any:
    name = function.__name__[:-1]
    for namespace in (torch.nn.functional, torch):
        if hasattr(namespace, name):
            return getattr(namespace, name)
    raise ValueError(f"no out-of-place twin of {function.__name__}")


class TensorValues(fx.Interpreter):
    """Runs the graph once and notes which nodes hold a tensor, and of which shape: only tensors may cross a cut."""

    def __init__(self, traced: Traced) -> None:
        super().__init__(traced.module, graph=traced.graph)
        self.tensors: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.tensors[n] = value.shape
        return value


def called_modules(graph: fx.GraphModule) -> set[str]:
    """The names of all modules that a graph calls."""
    return {str(node.target) for node in graph.graph.nodes if node.op == "call_module"}


def module_outputs(graph: fx.GraphModule, inputs: Sequence[Tensor], names: Sequence[str]) -> list[Tensor]:
    """The outputs of the modules `names` when `graph` is run on `inputs`: of a module called twice the last one."""
    runner = _ModuleOutputs(graph)
    runner.run(*inputs)
    return [runner.outputs[name] for name in names]


class _ModuleOutputs(fx.Interpreter):
    """Runs the graph once and keeps what its modules return."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.outputs: dict[str, Tensor] = {}

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = super().call_module(target, args, kwargs)
        self.outputs[str(target)] = output
        return output
