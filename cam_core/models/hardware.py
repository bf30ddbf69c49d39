"""The device that computes, and how much of its memory is taken: for people, not for decisions."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

_PROC = Path("/proc")


@dataclass(frozen=True)
class Hardware:
    """One device.

    Attributes:
        name: "NVIDIA H200", or "CPU, 2 threads".
        used: bytes taken: on a GPU by everybody, on the CPU by this process; None where that cannot be told.
        total: bytes there are; None where that cannot be told.
    """

    name: str
    used: int | None
    total: int | None

    @property
    def memory(self) -> str:
        """ "1.2 of 7.8 GB", or as much of it as is known; empty where nothing is."""
        if self.total is None:
            return "" if self.used is None else f"{self.used / 1e9:.1f} GB used"
        return (
            f"{self.total / 1e9:.1f} GB" if self.used is None else f"{self.used / 1e9:.1f} of {self.total / 1e9:.1f} GB"
        )


def hardware(device: torch.device) -> Hardware:
    """The device as it is now."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Hardware(torch.cuda.get_device_name(device), total - free, total)
    if device.type == "mps":
        return Hardware("Apple GPU", torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory())
    threads = torch.get_num_threads()
    return Hardware(f"CPU, {threads} {'thread' if threads == 1 else 'threads'}", resident(), _installed())


def resident() -> int | None:
    """Bytes of this process in memory; None where the system has no /proc."""
    try:
        pages = int((_PROC / "self" / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _installed() -> int | None:
    """Bytes of memory of the machine, where the system tells."""
    if platform.system() == "Windows":
        return None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
