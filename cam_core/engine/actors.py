"""Workers as actors of Ray Core, on this machine or on a cluster; `pip install camscope[ray]`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, Final

import torch

from cam_core.engine.fleet import Fleet, WorkerDied
from cam_core.engine.processes import THREADS
from cam_core.engine.tasks import Done, Event, Failed, Task
from cam_core.engine.worker import Worker
from cam_core.types import DeviceError

LOCAL: Final = "local"


class Actors(Fleet):
    """Ray restarts nothing and tries nothing again: what becomes of a task whose worker died is decided here.

    The first engine connects the process, which stays connected until it ends: some of Ray's threads outlive its
    shutdown, and a second start and shutdown can abort the process.

    Args:
        address: of the cluster: "local" starts Ray on this machine, "auto" finds the one that runs here, and
            "ray://HOST:10001" or "HOST:6379" names one. Never guessed.
        workers: how many; 0 for one per GPU, or one per `threads` cores, of what the cluster has now.
        threads: per worker; 0 for one.
        device: of the network: "cpu" or "cuda", each worker then having a GPU to itself.
        tolerance: see `Fleet`.
    Raises:
        DeviceError: Ray is not installed, or there is no cluster at this address.
    """

    def __init__(
        self, address: str, workers: int = 0, threads: int = 0, device: str = "cpu", tolerance: float = 0.0
    ) -> None:
        self._threads, self._gpus = threads or 1, int(device.startswith("cuda"))
        self._device = device.partition(":")[0]
        cluster = _connected(address, workers * self._threads)
        room = cluster.get("GPU", 0) if self._gpus else cluster.get("CPU", 0) // self._threads
        super().__init__(workers or max(1, int(room)), tolerance)

    def hire(self, number: int) -> _Actor:
        """See `Fleet`."""
        return _Actor(self._device, self._threads, self._gpus)


def _ray() -> Any:
    """The module, silent to those who made it, and with what it would otherwise guess stated.

    Who may send a cluster work runs programs there: a cluster that asks for no token has to be called so, by
    RAY_AUTH_MODE=disabled. What Ray has read of the environment when it was imported, it does not read again.
    """
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError:
        raise DeviceError("Ray is not installed: pip install 'camscope[ray]'") from None
    return ray


def _connected(address: str, cores: int) -> dict[str, float]:
    """What the cluster has, once this process is connected to it."""
    if not address:
        raise DeviceError("an engine on Ray needs an address: local, auto, or that of a cluster, as ray://HOST:10001")
    ray = _ray()
    if not ray.is_initialized():
        local = {"num_cpus": max(cores, os.cpu_count() or 1), "include_dashboard": False} if address == LOCAL else {}
        try:
            ray.init(address=address, configure_logging=False, log_to_driver=False, **local)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise DeviceError(f"there is no Ray at {address}: {str(error).splitlines()[0]}") from error
    resources: dict[str, float] = ray.cluster_resources()
    return resources


class _Served:
    """What runs in the actor's process: each call gives one event, since a client of a cluster gets no streams."""

    def __init__(self, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._worker = Worker(device)
        self._events: Iterator[Event] = iter(())

    def begin(self, task: Task | None) -> None:
        """Take a task; without one, be there."""
        if task is not None:
            self._events = self._worker.answers(task)

    def next_event(self) -> Event:
        """The next event of the task."""
        return next(self._events)


class _Actor:
    def __init__(self, device: str, threads: int, gpus: int) -> None:
        self._ray = _ray()
        served = self._ray.remote(_Served).options(
            max_restarts=0,
            max_task_retries=0,
            num_cpus=threads,
            num_gpus=gpus,
            runtime_env={"env_vars": dict.fromkeys(THREADS, str(threads))},
        )
        self._actor = served.remote(device, threads)

    def start(self) -> None:
        """See `Remote`."""
        self._get(self._actor.begin.remote(None))

    def perform(self, task: Task) -> Iterator[Event]:
        """See `Remote`."""
        self._get(self._actor.begin.remote(task))
        while True:
            event: Event = self._get(self._actor.next_event.remote())
            yield event
            if isinstance(event, Done | Failed):
                return

    def _get(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.OutOfMemoryError:
            raise WorkerDied("a worker's machine ran out of memory", short_of_memory=True) from None
        except errors.RayTaskError:
            raise
        except errors.RayError as error:
            raise WorkerDied(f"a worker ended ({type(error).__name__})") from None

    def end(self) -> None:
        """See `Remote`."""
        self._ray.kill(self._actor)
