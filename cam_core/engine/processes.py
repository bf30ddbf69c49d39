"""Workers as processes of this machine: one per GPU, or per group of a CPU's cores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import torch

from cam_core.engine.fleet import Fleet, WorkerDied
from cam_core.engine.tasks import Done, Event, Failed, Task

THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""By these variables the libraries beneath torch are told how many threads to start."""


class Processes(Fleet):
    """Each is started by a module of its own, so that a main script is not run once more.

    Args:
        workers: how many; 0 for one per GPU, or one per core of a CPU.
        threads: per worker; 0 for its share of the cores.
        device: of the network: "cpu", "mps", or "cuda", whose GPUs the workers share out.
        tolerance: see `Fleet`; workers of one machine differ where its GPUs do.
    """

    def __init__(self, workers: int = 0, threads: int = 0, device: str = "cpu", tolerance: float = 0.0) -> None:
        cores = _cores()
        self._gpus = torch.cuda.device_count() if device.startswith("cuda") else 0
        workers = workers or self._gpus or (cores if device == "cpu" else 1)
        super().__init__(workers, tolerance)
        self._device = device.partition(":")[0]
        self._threads = threads or max(1, cores // workers)

    def hire(self, number: int) -> _Process:
        """See `Fleet`."""
        return _Process(self._device, self._threads, number % self._gpus if self._gpus else None)


class _Process:
    def __init__(self, device: str, threads: int, gpu: int | None) -> None:
        variables = os.environ | dict.fromkeys(THREADS, str(threads))
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        if gpu is not None:
            variables["CUDA_VISIBLE_DEVICES"] = _visible(gpu)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cam_core.engine.process", device, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables,
        )

    def start(self) -> None:
        """See `Remote`. It reads its first task when it is ready."""

    def perform(self, task: Task) -> Iterator[Event]:
        """See `Remote`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            pickle.dump(task, self._process.stdin)
            self._process.stdin.flush()
            while True:
                event: Event = pickle.load(self._process.stdout)
                yield event
                if isinstance(event, Done | Failed):
                    return
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            self.end()
            raise WorkerDied(f"a worker ended with exit code {self._process.wait()}") from None

    def end(self) -> None:
        """See `Remote`."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):  # what was not sent any more
                stream.close()


def _cores() -> int:
    """That this process may use: a job of a cluster often has a part of its machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _visible(gpu: int) -> str:
    """The GPU as those who started us number it, who may have shown us some alone."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    return str(gpu) if not shown else shown.split(",")[gpu]
