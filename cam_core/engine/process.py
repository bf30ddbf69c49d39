"""The process of one worker: `python -m cam_core.engine.process DEVICE THREADS`; tasks come in, events go out.

Its standard output belongs to the events: whatever else prints there goes to standard error.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO

import torch

from cam_core.engine.tasks import Advanced, Event, Task
from cam_core.engine.worker import Worker
from cam_core.models.allocator import keep_freed_memory


def serve(worker: Worker, tasks: BinaryIO, events: BinaryIO) -> None:
    """Do the tasks one after the other. Where nobody sends any more, nobody waits: the process ends in the midst."""
    waiting: SimpleQueue[Task] = SimpleQueue()
    threading.Thread(target=_listen, args=(tasks, waiting), daemon=True).start()

    def tell(event: Event) -> None:
        pickle.dump(event, events)
        events.flush()

    while True:
        progress = _Progress(tell)
        for event in worker.answers(waiting.get(), progress):
            tell(event)


def _listen(tasks: BinaryIO, waiting: SimpleQueue[Task]) -> None:
    try:
        while True:
            waiting.put(pickle.load(tasks))
    except (EOFError, OSError):
        os._exit(0)


class _Progress:
    """What is told of progress, as far as it is news."""

    def __init__(self, tell: Any) -> None:
        self._tell, self._last = tell, (-1, -1)

    def __call__(self, done: int, total: int) -> None:
        if (done, total) != self._last:
            self._last = done, total
            self._tell(Advanced(done, total))


def _main() -> None:
    device, threads = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us, who ends us then
    torch.set_num_threads(int(threads))
    keep_freed_memory()
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(Worker(device), sys.stdin.buffer, events)


if __name__ == "__main__":
    _main()
