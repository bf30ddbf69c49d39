"""Forward hooks that somebody has put on a network: what a private copy of it keeps of them.

A hook either changes what the network computes or only observes it; which, its looks do not tell. So it is called, once
or twice, on noise and on a private copy of the network, and never itself: a copy of the hook is, with a copy of
everything that it holds, so that its owner's lists and counters stay as they are. It observes if it returns nothing,
or what it was given or an equal copy of that, writes into none of the tensors that it is given, and if the network
decides the same to the bit without it.

What that cannot see: a hook that changes only some images, and not noise; and what a hook does to the world outside
(it prints, it writes a file) or through a global variable that only a method or a helper function of it names. Hooks
that cannot be copied are called themselves. Hooks on all modules of the process (`torch.nn.modules.module`) are not the
network's.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils._pytree import tree_leaves

from cam_core.models.noise import InputSize, noise_with_gradients

_FORWARD = {
    "_forward_hooks": ("_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    "_forward_pre_hooks": ("_forward_pre_hooks_with_kwargs",),
}
# Backward hooks act on derivatives, those of the state dict on files: neither is part of the function.
_ALL = frozenset(
    [
        *_FORWARD,
        *(flags for companions in _FORWARD.values() for flags in companions),
        *("_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks", "_state_dict_pre_hooks"),
        *("_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
    ]
)
# torch's pre-hooks that make a weight out of others before each call.
_REPARAMETRISING = (WeightNorm, SpectralNorm, BasePruningMethod)
_IMMUTABLE = (int, float, complex, bool, str, bytes, type(None))
_CONTAINERS = (list, dict, tuple, set, OrderedDict)


def carries_hooks(module: nn.Module) -> bool:
    """Whether any part has a forward hook or a forward pre-hook."""
    return any(True for _ in _forward_hooks(module))


def hooked_copy(module: nn.Module, without: frozenset[int] = frozenset()) -> nn.Module:
    """A deep copy in evaluation mode with copies of the forward hooks, but for those whose number is in `without`.

    Weight norm, spectral norm and pruning become the weights that they make; hooks of other kinds are left out. The
    original is not touched, not even for a moment: somebody may be running it.
    """
    twins = _seeds(module)
    duplicate = copy.deepcopy(module, twins).eval()
    for parameter in duplicate.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    parts = dict(duplicate.named_modules())
    # A graph drops parts that it never calls.
    attached = [entry for entry in _forward_hooks(module) if entry[0] in parts]
    for name, _, _, hook in reversed(attached):  # pruning may act on what a norm, put on before it, starts from
        if isinstance(hook, _REPARAMETRISING):
            with torch.no_grad():
                hook.remove(parts[name])
    left = [entry for entry in attached if not isinstance(entry[3], _REPARAMETRISING) and entry[2] not in without]
    for (name, kind, number, _), hook in zip(left, _isolated([entry[3] for entry in left], twins), strict=True):
        _attach(parts[name], module.get_submodule(name), kind, number, hook)
    for name, _, number, _ in attached:
        if number in without:
            _hold_tensors(parts[name])
    return duplicate


def without_observers(module: nn.Module, input_size: InputSize) -> nn.Module:
    """A `hooked_copy` with those forward hooks alone that change what the network computes."""
    scratch = hooked_copy(module)
    if not carries_hooks(scratch):
        return scratch
    try:
        # Also for a caller in inference mode, whose tensors do not tell when they are written to.
        # With gradients, because some observers register for them.
        with torch.inference_mode(False), torch.enable_grad():
            bare = hooked_copy(module, without=_observers(scratch, noise_with_gradients(scratch, input_size, seed=1)))
            agree = _same_values(
                *(network(noise_with_gradients(scratch, input_size, seed=2)) for network in (scratch, bare))
            )
    except Exception:  # whoever runs the copy hears why it cannot be run
        return hooked_copy(module)
    return bare if agree else hooked_copy(module)


def _forward_hooks(module: nn.Module) -> Iterator[tuple[str, str, int, Any]]:
    """(name of the part, kind, number, hook); numbers are unique in a process."""
    for name, part in module.named_modules():
        for kind in _FORWARD:
            for number, hook in list(vars(part).get(kind, {}).items()):
                yield name, kind, number, hook


def _seeds(module: nn.Module) -> dict[int, Any]:
    """The memo for `deepcopy`: no hooks, and clones of computed tensors, such as weights, which it would refuse."""
    twins: dict[int, Any] = {}
    for part in module.modules():
        for name, value in list(vars(part).items()):
            if name in _ALL:
                twins[id(value)] = OrderedDict()
            elif isinstance(value, Tensor) and not value.is_leaf:
                twins[id(value)] = value.detach().clone()
    return twins


def _attach(twin: nn.Module, part: nn.Module, kind: str, number: int, hook: Any) -> None:
    vars(twin)[kind][number] = hook
    for flags in _FORWARD[kind]:
        if number in vars(part)[flags]:
            vars(twin)[flags][number] = True


def _hold_tensors(part: nn.Module) -> None:
    """Make buffers of plain tensors: a weight that a hook made, and makes no more, has to follow to another dtype."""
    for name, value in list(vars(part).items()):
        if isinstance(value, Tensor):
            del vars(part)[name]
            part.register_buffer(name, value, persistent=False)


def _observers(scratch: nn.Module, image: Tensor) -> frozenset[int]:
    """The numbers of the hooks that leave alone what they are given, in one pass of `scratch`, which is used up."""
    witnesses = {}
    for name, kind, number, hook in list(_forward_hooks(scratch)):
        witness = _Witness(hook, 0 if kind == "_forward_pre_hooks" else -1)
        vars(scratch.get_submodule(name))[kind][number] = witnesses[number] = witness
    scratch(image)
    return frozenset(number for number, witness in witnesses.items() if not witness.changes)


class _Witness:
    """Calls a hook and notes whether it changes something.

    Args:
        position: among what the hook is given after the module, that which its result replaces.
    """

    def __init__(self, hook: Callable[..., Any], position: int) -> None:
        self._hook = hook
        self._position = position
        self.changes = False

    def __call__(self, module: nn.Module, *given: Any) -> Any:
        tensors = [value for value in tree_leaves(given) if isinstance(value, Tensor)]
        before = [(value._version, value.detach().clone()) for value in tensors]
        result = self._hook(module, *given)
        written = any(
            value._version != version or not _same_values(value, old)
            for value, (version, old) in zip(tensors, before, strict=True)
        )
        self.changes |= written or not (result is None or _hands_on(result, given[self._position]))
        return result


def _hands_on(result: Any, given: Any) -> bool:
    """Whether a hook's result is what it replaces, or an equal copy from which gradients flow back."""
    pairs = list(zip_longest(tree_leaves(result), tree_leaves(given)))
    return all(a is b or _is_copy(a, b) for a, b in pairs)


def _is_copy(a: Any, b: Any) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return False
    return (a.dtype, a.requires_grad) == (b.dtype, b.requires_grad) and _same_tensor(a, b)


def _same_values(first: Any, second: Any) -> bool:
    """To the bit, NaN being equal to NaN."""
    pairs = list(zip(tree_leaves(first), tree_leaves(second), strict=True))
    return all(_same_tensor(a, b) for a, b in pairs if isinstance(a, Tensor))


def _same_tensor(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _isolated(hooks: list[Any], twins: dict[int, Any]) -> list[Any]:
    """Copies of `hooks` that share nothing that changes with them; the hooks themselves where that is impossible.

    `deepcopy` would share a function's variables, and give up at the first lock or computed tensor.

    Args:
        twins: id → copy, of what is copied already: a hook's owner that knows the network then knows its copy.
    """
    if not hooks:
        return []
    file = io.BytesIO()
    try:
        isolator = _Isolator(file, hooks, twins)
        isolator.dump(hooks)
        file.seek(0)
        copies: list[Any] = _Restorer(file, isolator.twins).load()
    except Exception:  # a foreign object may raise anything when it is copied
        return hooks
    return copies


class _Isolator(pickle.Pickler):
    """Writes objects down; tensors as clones, and as themselves what cannot be copied or never changes."""

    def __init__(self, file: io.BytesIO, hooks: list[Any], twins: dict[int, Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.twins = dict(twins)
        self._own = {id(_innermost(hook)) for hook in hooks}
        self._alive: list[Any] = []  # an id is an object's own only as long as the object lives

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) in _IMMUTABLE:
            return None
        if id(obj) not in self.twins:
            if isinstance(obj, Tensor):
                self.twins[id(obj)] = obj.detach().clone()
            elif self._is_shared(obj):
                self.twins[id(obj)] = obj
            else:
                return None
            self._alive.append(obj)
        return id(obj)

    def _is_shared(self, obj: Any) -> bool:
        if isinstance(obj, FunctionType):
            return not self._is_own(obj)
        if isinstance(obj, BuiltinFunctionType):
            return isinstance(obj.__self__, type | ModuleType | None)
        return isinstance(obj, type | ModuleType | CodeType) or (type(obj) not in _CONTAINERS and not _can_reduce(obj))

    def _is_own(self, function: FunctionType) -> bool:
        return id(function) in self._own or function.__closure__ is not None

    def _never_changes(self, value: Any) -> bool:
        return isinstance(value, type | ModuleType) or (isinstance(value, FunctionType) and not self._is_own(value))

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, FunctionType):
            return NotImplemented
        cells = [_content(cell) for cell in obj.__closure__ or ()]
        # A decorator's function holds the decorated one, which is as much a part of the hook.
        self._own.update(id(value) for content in cells for value in content if isinstance(value, FunctionType))
        state = {
            "cells": cells,
            "globals": {name: value for name, value in _named_globals(obj).items() if not self._never_changes(value)},
            "attributes": {"__defaults__": obj.__defaults__, "__kwdefaults__": obj.__kwdefaults__, **vars(obj)},
        }
        # The wrapping keeps the globals, which are too many to copy, from being written down.
        self.twins[id(obj.__globals__)] = obj.__globals__
        return _blank_function, (obj.__code__, obj.__globals__, obj.__name__), state, None, None, _fill_function


class _Restorer(pickle.Unpickler):
    """Reads what `_Isolator` wrote, in the same process."""

    def __init__(self, file: io.BytesIO, twins: dict[int, Any]) -> None:
        super().__init__(file)
        self._twins = twins

    def persistent_load(self, pid: int) -> Any:
        return self._twins[pid]


def _innermost(hook: Any) -> Any:
    return _innermost(hook.func) if isinstance(hook, partial) else hook


def _can_reduce(obj: Any) -> bool:
    try:
        obj.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    except Exception:  # a lock, a stream, an open file, …
        return False
    return True


def _content(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # a variable without a value yet
        return ()


def _named_globals(function: FunctionType) -> dict[str, Any]:
    variables = function.__globals__
    return {name: variables[name] for name in _names(function.__code__) if name in variables}


def _names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _blank_function(code: CodeType, variables: dict[str, Any], name: str) -> FunctionType:
    closure = tuple(CellType() for _ in code.co_freevars)
    return FunctionType(code, dict(variables), name, None, closure)


def _fill_function(function: FunctionType, state: dict[str, Any]) -> None:
    for cell, content in zip(function.__closure__ or (), state["cells"], strict=True):
        if content:
            (cell.cell_contents,) = content
    function.__globals__.update(state["globals"])
    for name, value in state["attributes"].items():
        setattr(function, name, value)
