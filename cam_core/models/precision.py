"""Precisions by name: which device has which, and CUDA's switches that decide what float32 means.

From Ampere on, NVIDIA's GPUs compute float32 convolutions in TF32 unless they are told not to: ten bits of mantissa
instead of 23, three digits instead of seven. Here float32 means float32, and "tf32" is a precision of its own.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from cam_core.types import DeviceError

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}
COARSE = ("tf32", "bfloat16")
"""Precisions of fewer digits than float32."""

_AMPERE = (8, 0)


def dtype_of(precision: str) -> torch.dtype:
    """The torch dtype of a precision by name.

    Raises:
        DeviceError: there is no such precision.
    """
    if precision not in DTYPES:
        raise DeviceError(f"unknown precision {precision!r}; there are: {', '.join(DTYPES)}")
    return DTYPES[precision]


def check_precision(precision: str, device: torch.device) -> None:
    """Raises DeviceError: there is no such precision, or the device does not have it."""
    dtype_of(precision)
    if precision == "float64" and device.type == "mps":
        raise DeviceError("Apple's GPU has no float64: choose the precision float32, or the CPU")
    if precision == "tf32" and not _has_tf32(device):
        raise DeviceError(f"TF32 is for NVIDIA's GPUs from Ampere on, not for {device}: choose the precision float32")
    if precision == "bfloat16" and not has_bfloat16(device):
        raise DeviceError("this GPU has no bfloat16, which comes with Ampere: choose the precision float32")


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is to be had: on every CPU, on Apple's GPU, and on NVIDIA's where torch need not emulate it."""
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def _has_tf32(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= _AMPERE


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Inside the block float32 on a GPU means float32, or TF32 where the precision says so; afterwards as before.

    For single passes, forward or backward, that wait for nobody: the switches are the whole process's, so passes of one
    kind go on together, and those of the other kind wait until those that began before them are done.

    Raises:
        RuntimeError: inside a block of the other kind in the same thread, which would wait for itself.
    """
    if device.type == "cuda":
        with _switches.turned("tf32" if precision == "tf32" else "ieee"):
            yield
    else:
        yield


class _Switches:
    """The process's switches, turned by the first who computes and turned back by the last.

    Who comes waits while somebody of the other kind waits, so that neither kind keeps the other out for ever.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside, self._kind = 0, ""
        self._waiting: Counter[str] = Counter()
        self._before: list[Any] = []
        self._mine = _Depth()

    @contextmanager
    def turned(self, kind: str) -> Iterator[None]:
        with self._changed:
            self._enter(kind)
        try:
            yield
        finally:
            with self._changed:
                self._leave()

    def _enter(self, kind: str) -> None:
        if not self._mine.depth:
            self._wait(kind)
        elif kind != self._kind:
            raise RuntimeError(f"a pass in {kind} begins inside one in {self._kind}, and would wait for it for ever")
        if not self._inside:
            self._before, self._kind = _read(), kind
            _write([_value(name, kind) for _, name in _places()])
        self._inside += 1
        self._mine.depth += 1

    def _wait(self, kind: str) -> None:
        self._waiting[kind] += 1
        try:
            self._changed.wait_for(lambda: self._may_enter(kind))
        finally:
            self._waiting[kind] -= 1
            self._changed.notify_all()

    def _may_enter(self, kind: str) -> bool:
        others_wait = self._waiting.total() > self._waiting[kind]
        if self._inside:
            return kind == self._kind and not others_wait
        return kind != self._kind or not others_wait

    def _leave(self) -> None:
        self._mine.depth -= 1
        self._inside -= 1
        if not self._inside:
            _write(self._before)
            self._changed.notify_all()


class _Depth(threading.local):
    """How many blocks this thread is in."""

    depth = 0


_switches = _Switches()


def _places() -> list[tuple[Any, str]]:
    """Where the switches are. Newer torch raises where old ones are read after a new one was written, so new ones."""
    if hasattr(torch.backends.cudnn, "conv"):
        operations = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul)
        return [(operation, "fp32_precision") for operation in operations]
    return [(torch.backends.cudnn, "allow_tf32"), (torch.backends.cuda.matmul, "allow_tf32")]


def _value(name: str, kind: str) -> Any:
    return kind if name == "fp32_precision" else kind == "tf32"


def _read() -> list[Any]:
    return [getattr(owner, name) for owner, name in _places()]


def _write(values: list[Any]) -> None:
    for (owner, name), value in zip(_places(), values, strict=True):
        setattr(owner, name, value)
