"""A pretended GPU, for machines that have none: it computes on the CPU and refuses what the real one refuses.

    with pretend("mps") as ledger:
        clf = load_model("resnet18", weights="random", device="mps")
        explain(clf, photo, method="grad-cam")
    assert ledger.ops

A mode of torch turns the device's name into `INNER` wherever Python names it, another one computes. Autograd is torch's
own. CONTRIBUTING.md says what is refused, and what is not modelled.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from tests.pretend.refusals import (
    DOUBLE,
    is_cpu,
    name_of,
    refuse_double,
    refuse_foreign,
    refuse_generator,
    refuse_on_mps,
    written,
)
from tests.pretend.tensors import INNER, PretendTensor, host_of

_CONVOLUTIONS = {"convolution": 2, "convolution_backward": 3}  # and how many of their arguments are rounded
_PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2)}  # which of their arguments are


@dataclass
class Ledger:
    """What happened on the device.

    Attributes:
        ops: operators that ran there.
        rounded: those of them that computed in TF32.
        ooms: batches that did not fit.
        waits: how often somebody waited for it.
    """

    ops: int = 0
    rounded: int = 0
    ooms: int = 0
    waits: int = 0


@dataclass
class Pretended:
    """One device, and how an operator runs on it.

    Attributes:
        old: Apple's GPU as the oldest supported torch knows it.
        oom: how likely a batch of more than one row does not fit into memory, at any convolution.
    """

    device: torch.device
    old: bool = False
    oom: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        ours = [value for value in tensors if isinstance(value, PretendTensor)]
        place = self._place(kwargs, bool(ours))
        if not ours and place != "device":
            return func(*args, **kwargs)
        self._refuse(func, args, kwargs, tensors, place)
        self.ledger.ops += 1
        host_args, host_kwargs = tree_map(host_of, args), tree_map(host_of, kwargs)
        if host_kwargs.get("device") is not None:
            host_kwargs["device"] = torch.device("cpu")
        out = func(*self._rounded(func, host_args), **host_kwargs)
        if place == "cpu":  # a copy, never an alias: the CPU's memory is not the device's
            return tree_map(lambda value: value.clone() if isinstance(value, Tensor) else value, out)
        known = {id(value.host): value for value in written(func, args, kwargs) if isinstance(value, PretendTensor)}
        return tree_map(lambda value: self._disguised(value, known), out)

    def _place(self, kwargs: dict[str, Any], ours: bool) -> str:
        """Where the result will be: "device", "cpu", or elsewhere."""
        if kwargs.get("device") is None:
            return "device" if ours else "elsewhere"
        kind = torch.device(kwargs["device"]).type
        return "device" if kind in (INNER.type, self.device.type) else kind

    def _refuse(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor], place: str
    ) -> None:
        refuse_generator(kwargs, self.device)
        foreign = [value for value in tensors if is_cpu(value)]
        if len(foreign) < len(tensors):
            refuse_foreign(func, args, foreign, self.device)
        if self.device.type == "mps":
            refuse_on_mps(func, kwargs, tensors, place, self.old)
        if self.oom and name_of(func) in _CONVOLUTIONS and len(args[0]) > 1 and self.chance.random() < self.oom:
            self.ledger.ooms += 1
            raise self._out_of_memory()

    def _out_of_memory(self) -> Exception:
        if self.device.type == "mps":
            return RuntimeError("MPS backend out of memory (MPS allocated: 9.07 GB, max allowed: 9.07 GB).")
        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def _rounded(self, func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments in TF32 where a GPU since Ampere computes in it, as the process's switches have it."""
        places = self._rounded_places(name_of(func), args)
        if not places or args[places[0]].dtype != torch.float32:
            return args
        self.ledger.rounded += 1
        return tuple(_tf32(value) if place in places else value for place, value in enumerate(args))

    def _rounded_places(self, name: str, args: tuple[Any, ...]) -> tuple[int, ...]:
        if self.device.type != "cuda":
            return ()
        if name in _CONVOLUTIONS and torch.backends.cudnn.conv.fp32_precision == "tf32":
            groups, channels = (args[8], args[0].shape[1]) if name == "convolution" else (args[9], args[1].shape[1])
            depthwise = groups == channels > 1  # by a kernel of torch's own, which does not round
            return () if depthwise else tuple(range(_CONVOLUTIONS[name]))
        return _PRODUCTS.get(name, ()) if torch.backends.cuda.matmul.fp32_precision == "tf32" else ()

    def _disguised(self, value: Any, known: dict[int, PretendTensor]) -> Any:
        """The device's tensor for a result; what was written in place comes back as the object that it is."""
        if not isinstance(value, Tensor) or isinstance(value, PretendTensor):
            return value
        if id(value) in known:
            return known[id(value)]
        if self.device.type == "mps" and value.dtype in DOUBLE:
            refuse_double()
        return PretendTensor(value, self.device)


def _tf32(value: Tensor) -> Tensor:
    """Rounded to ten bits of mantissa, to nearest."""
    bits = value.detach().clone(memory_format=torch.preserve_format).view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


class _Named(TorchFunctionMode):
    """Turns the device's name into that of the inner device wherever Python names it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if "device" in options:
            options["device"] = self._inner(options["device"])
        name = getattr(func, "__name__", "")
        if name == "to":
            args = tuple(self._inner(value) if isinstance(value, str | torch.device) else value for value in args)
        elif name == self._kind:  # .cuda()
            return args[0].to(INNER)
        elif name in ("tensor", "as_tensor") and options.get("device") == INNER:
            del options["device"]
            return func(*args, **options).to(INNER)  # as torch does: made on the CPU, then moved
        return func(*args, **options)

    def _inner(self, device: Any) -> Any:
        if device is None or isinstance(device, int):
            return device
        return INNER if torch.device(device).type == self._kind else device


class _Computes(TorchDispatchMode):
    """Hands operators to the pretended device."""

    def __init__(self, device: Pretended) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return self._device.run(func, args, kwargs or {})


@contextmanager
def pretend(kind: str, **modes: Any) -> Iterator[Ledger]:
    """Inside the block `kind`, "cuda" or "mps", is a device of this machine, in this thread and in those begun there.

    Args:
        modes: `old` and `oom` of `Pretended`.
    """
    device = Pretended(torch.device(kind, 0), **modes)
    run = threading.Thread.run

    def run_with_modes(thread: threading.Thread) -> None:
        with _Named(kind), _Computes(device):
            run(thread)

    with ExitStack() as stack:
        for target, name, value in _facts(kind, device.ledger):
            stack.enter_context(patch.object(target, name, _like(getattr(target, name, None), value), create=True))
        stack.enter_context(patch.object(threading.Thread, "run", run_with_modes))
        PretendTensor.machines[kind] = device
        stack.enter_context(_Named(kind))
        stack.enter_context(_Computes(device))
        yield device.ledger


def _like(known: Any, value: Any) -> Any:
    """A function under the name of the one that it stands in for: the compiler's tables look at that."""
    return value if known is None else wraps(known)(value)


def _facts(kind: str, ledger: Ledger) -> list[tuple[Any, str, Any]]:
    """What torch says of the machine: (where, name, value)."""

    def wait(device: Any = None) -> None:
        ledger.waits += 1

    graphs = [
        (torch.optim.Optimizer, name, lambda optimiser: None)
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check")
    ]
    return graphs + (_cuda(wait) if kind == "cuda" else _mps(wait))


def _mps(wait: Any) -> list[tuple[Any, str, Any]]:
    return [
        (torch.cuda, "is_available", lambda: False),
        (torch.backends.mps, "is_available", lambda: True),
        (torch.backends.mps, "is_macos_or_newer", lambda *version: True),
        (torch.mps, "driver_allocated_memory", lambda: 1 << 30),
        (torch.mps, "current_allocated_memory", lambda: 1 << 30),
        (torch.mps, "recommended_max_memory", lambda: 16 << 30),
        (torch.mps, "empty_cache", lambda: None),
        (torch.mps, "synchronize", wait),
    ]


def _cuda(wait: Any) -> list[tuple[Any, str, Any]]:
    return [
        (torch.cuda, "is_available", lambda: True),
        (torch.cuda, "device_count", lambda: 1),
        (torch.cuda, "current_device", lambda: 0),
        (torch.cuda, "mem_get_info", lambda device=None: (6 << 30, 8 << 30)),
        (torch.cuda, "get_device_name", lambda device=None: "Pretended GPU"),
        (torch.cuda, "get_device_capability", lambda device=None: (8, 6)),
        (torch.cuda, "is_bf16_supported", lambda including_emulation=True: True),
        (torch.cuda, "empty_cache", lambda: None),
        (torch.cuda, "synchronize", wait),
        (torch.cuda, "is_current_stream_capturing", lambda: False),
        (torch.cuda, "get_rng_state", lambda device=None: torch.zeros(16, dtype=torch.uint8)),
        (torch.cuda, "set_rng_state", lambda state, device=None: None),
        (torch.cuda, "manual_seed_all", lambda seed: None),
        (torch.cuda, "manual_seed", lambda seed: None),
        (torch.cuda, "_lazy_init", lambda: None),
    ]
