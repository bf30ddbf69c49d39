"""Where to compute: a device's name → `torch.device`, checked against what this machine has."""

from __future__ import annotations

import torch

from cam_core.types import DeviceError


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
    if device in existing:
        return torch.device(device)
    if f"{device}:0" in existing:
        return torch.device(f"{device}:0")
    raise DeviceError(f"there is no device {str(name)!r} on this machine; there are: auto, {', '.join(existing)}")
