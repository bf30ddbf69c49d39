"""Where to compute: a device's name → `torch.device`, checked against what this machine has; and what a device lacks.

Apple's GPU lacks most: it has no float64, has got some operators only lately, and cannot be trusted with channels-last.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from cam_core.types import DeviceError

_CPU = torch.device("cpu")


def available_devices() -> list[str]:
    """The devices of this machine, fastest first; "cpu" is always there and last."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """The device meant by "auto" (the fastest there is), "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        DeviceError: no such device here; the message lists those that exist.
    """
    existing = available_devices()
    device = str(name).strip().lower()
    if device == "auto":
        return torch.device(existing[0])
    for known in (device, f"{device}:0", device.removesuffix(":0")):
        if known in existing:
            return torch.device(known)
    raise DeviceError(f"there is no device {str(name)!r} on this machine; there are: auto, {', '.join(existing)}")


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given: before a clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def layout(device: torch.device) -> torch.memory_format:
    """The order in memory that convolutions are fastest in; on Apple's GPU the only one that they are right in."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def double(values: Tensor) -> Tensor:
    """The same values in float64, on the CPU where their device has no float64."""
    return in_dtype(values, torch.float64)


def in_dtype(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The same values in another dtype, on the CPU where their device has no such dtype.

    In two steps: converting on the way from Apple's GPU to the CPU raises, or silently gives zeros, by torch's version.
    """
    return values.to(home_of(dtype, values.device)).to(dtype)


def home_of(dtype: torch.dtype, device: torch.device) -> torch.device:
    """The device, or the CPU where the device has no such dtype."""
    return _CPU if dtype == torch.float64 and device.type == "mps" else device


_moved: ContextVar[list[str] | None] = ContextVar("moved", default=None)


def device_for(operation: str, device: torch.device) -> torch.device:
    """The device on which to do what Apple's GPU cannot, or could not before torch's latest releases: never on that."""
    if device.type != "mps":
        return device
    moved = _moved.get()
    if moved is not None and operation not in moved:
        moved.append(operation)
    return _CPU


@contextmanager
def moved_to_cpu() -> Iterator[list[str]]:
    """The operations for which, inside the block and in this thread, the CPU stood in for the device; each once."""
    moved: list[str] = []
    token = _moved.set(moved)
    try:
        yield moved
    finally:
        _moved.reset(token)
