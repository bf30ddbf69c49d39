"""Which engine: by name, or as the environment of this process says."""

from __future__ import annotations

import os
from typing import Final

from cam_core.engine.actors import LOCAL, Actors
from cam_core.engine.base import Engine
from cam_core.engine.inline import Inline
from cam_core.engine.processes import Processes
from cam_core.types import DeviceError

ENGINES: Final = ("inline", "processes", "ray")


def chosen() -> str:
    """The engine that this process's environment names: one of `ENGINES`, unless somebody wrote another word there."""
    return os.environ.get("CAMSCOPE_ENGINE") or ENGINES[0]


def open_engine(
    name: str | None = None,
    *,
    address: str | None = None,
    workers: int = 0,
    threads: int = 0,
    device: str = "cpu",
    tolerance: float = 0.0,
) -> Engine:
    """The engine of a name; to be closed.

    Args:
        name: one of `ENGINES`; where omitted, what the variable CAMSCOPE_ENGINE says, or "inline".
        address: of Ray; where omitted, what CAMSCOPE_RAY_ADDRESS says. Without either there is none to go to.
        workers, threads, device, tolerance: see `Processes` and `Actors`.
    Raises:
        DeviceError: no such engine, or it cannot be had.
    """
    name = name or chosen()
    address = address or os.environ.get("CAMSCOPE_RAY_ADDRESS", "")
    if name == "inline":
        return Inline()
    if name == "processes":
        return Processes(workers, threads, device, tolerance)
    if name == "ray":
        return Actors(address, workers, threads, device, tolerance)
    raise DeviceError(f"there is no engine {name!r}; there are {', '.join(ENGINES)}, the last at an address as {LOCAL}")
