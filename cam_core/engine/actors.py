"""Workers as actors of Ray Core, on this machine or on a cluster; `pip install camscope[ray]`."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

import torch

from cam_core.engine.fleet import Fleet, WorkerDied
from cam_core.engine.processes import THREADS
from cam_core.engine.tasks import Done, Event, Failed, Task
from cam_core.engine.worker import Worker
from cam_core.models.allocator import keep_freed_memory
from cam_core.types import DeviceError

LOCAL: Final = "local"

_CONNECTING: Final = threading.Lock()
_AHEAD: Final = 2  # events that a worker is asked for at once


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
    with _CONNECTING:
        if not ray.is_initialized():
            _connect(ray, address, cores)
    resources: dict[str, float] = ray.cluster_resources()
    return resources


def _connect(ray: Any, address: str, cores: int) -> None:
    local = {"num_cpus": max(cores, os.cpu_count() or 1), "include_dashboard": False} if address == LOCAL else {}
    try:
        _for_good(partial(ray.init, address=address, configure_logging=False, log_to_driver=False, **local))
    except ImportError:  # of grpcio, which comes with ray[client] alone
        raise DeviceError(f"{address} is for Ray's client: pip install 'camscope[ray]'") from None
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise DeviceError(f"there is no Ray at {address}: {str(error).splitlines()[0]}") from error


def _for_good(start: Callable[[], object]) -> None:
    """Start something in a thread that lasts as long as the process: Linux ends what Ray has started, and with it this
    process, together with the thread that it was started in."""
    if threading.current_thread() is threading.main_thread():
        start()
        return
    outcome: SimpleQueue[Exception | None] = SimpleQueue()

    def work() -> None:
        try:
            start()
        except Exception as error:
            outcome.put(error)
            return
        outcome.put(None)
        threading.Event().wait()

    threading.Thread(target=work, name="Ray", daemon=True).start()
    if (error := outcome.get()) is not None:
        raise error


class _Served:
    """What runs in the actor's process: each call gives one event, since a client of a cluster gets no streams."""

    def __init__(self, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self._worker = Worker(device)
        self._events: Iterator[Event] = iter(())

    def begin(self, task: Task | None) -> None:
        """Take a task; without one, be there."""
        if task is not None:
            self._events = self._worker.answers(task)

    def next_event(self) -> Event:
        """The next event of the task; `Done` where there is none left."""
        return next(self._events, Done())


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
        """See `Remote`. The next event is asked for before the last one is told, so that the worker never waits."""
        begun = self._actor.begin.remote(task)
        asked = deque(self._actor.next_event.remote() for _ in range(_AHEAD))
        self._get(begun)
        while True:
            event: Event = self._get(asked.popleft())
            asked.append(self._actor.next_event.remote())
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
