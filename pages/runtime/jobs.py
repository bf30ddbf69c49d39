"""Background jobs: start, watch, cancel. Pure Python: nothing here touches Streamlit, so it runs in any thread.

    jobs = Jobs()
    job = jobs.start("my-key", work, title="Score-CAM")   # returns at once; work(job) runs in a thread of its own
    jobs.wait([job], timeout=1.0)                                    # give quick work the chance to be done
    job.state, job.fraction, job.time_left, job.result, job.error

`work` receives its job and calls `job.progress(done, total)` between batches (it has the shape of the core's
`Progress`), which raises `Cancelled` once somebody cancelled. Intermediate results go out with `job.publish(item)` and
stay readable in `job.items` whatever happens afterwards: what was computed by then is not lost.

All jobs begin at once; which of them computes is decided at the device: see `pages.runtime.turns`.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal

from cam_core import CamError, Cancelled
from pages.runtime.turns import Queue

State = Literal["waiting", "running", "done", "failed", "cancelled"]

_log = logging.getLogger(__name__)
_STOPPING = threading.Event()  # the process is about to end


class Job:
    """One piece of work, and how it is doing. Read from any thread; written by its worker, and by `cancel`.

    Attributes:
        queue: what it waits for at the device now, or None; set by whoever takes it there.
    """

    def __init__(self, key: str, work: Callable[[Job], Any], title: str = "") -> None:
        self.key = key
        self.title = title or key
        self.result: Any = None
        self.error: str | None = None
        self.done, self.total = 0, 0
        self.queue: Callable[[], Queue | None] = lambda: None
        self._work = work
        self._state: State = "waiting"
        self._items: list[Any] = []
        self._started = 0.0
        self._cancel = threading.Event()
        self._finished = threading.Event()

    @property
    def state(self) -> State:
        """A cancelled job reads as cancelled at once, though its worker only stops at the next batch."""
        return "cancelled" if self._cancel.is_set() and self._state != "done" else self._state

    @property
    def active(self) -> bool:
        """Whether there is something to wait for."""
        return self.state in ("waiting", "running")

    @property
    def fruitless(self) -> bool:
        """Whether it ended without a result: not the opposite of `active`, for a job may be done by now."""
        return self.state in ("failed", "cancelled")

    @property
    def items(self) -> tuple[Any, ...]:
        """Intermediate results that the work has published so far."""
        return tuple(self._items)

    @property
    def fraction(self) -> float:
        """Share of the work that is done, 0 to 1; 0 while its size is unknown."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def time_left(self) -> float | None:
        """Seconds still to go at the pace so far; None where that cannot be told yet."""
        if self.state != "running" or not self.done:
            return None
        return (time.monotonic() - self._started) * (self.total - self.done) / self.done

    def progress(self, done: int, total: int) -> None:
        """Called by the work between batches. Raises `Cancelled` once the job was cancelled."""
        if not done:  # what came before the first batch (waiting, preparing a network) says nothing about the pace
            self._started = time.monotonic()
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raises `Cancelled` once the job was cancelled."""
        if self._cancel.is_set() or _STOPPING.is_set():
            raise Cancelled(f"{self.title} was cancelled")

    def publish(self, item: Any) -> None:
        """Make an intermediate result visible; it stays, also after a cancel or an error."""
        self._items.append(item)

    def cancel(self) -> None:
        """Stop at the next batch. Finished work stays finished."""
        self._cancel.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the worker is through with it; False if it still is not after `timeout` seconds."""
        return self._finished.wait(timeout)

    def run(self) -> None:
        """Do the work in the calling thread and keep the outcome: it never raises."""
        self._state, self._started = "running", time.monotonic()
        try:
            self.check()
            self.result = self._work(self)
            self._state = "done"
        except Cancelled:
            self._state = "cancelled"
        except CamError as error:
            self.error, self._state = str(error), "failed"
        except Exception:
            _log.exception("%s failed", self.title)
            self.error = "Something went wrong that was not foreseen. The server's log has the details."
            self._state = "failed"
        finally:
            self._finished.set()


class Jobs:
    """One visitor's jobs by key, each in a thread of its own."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def start(self, key: str, work: Callable[[Job], Any], *, title: str = "") -> Job:
        """The job of that key: the one that exists, whatever its state, or else a new one that begins at once."""
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = Job(key, work, title)
            thread = threading.Thread(target=job.run, daemon=True, name=f"camscope-{job.title}")
            _THREADS.add(thread)
            thread.start()
        return job

    def get(self, key: str) -> Job | None:
        """The job of that key, if there is one."""
        return self._jobs.get(key)

    def forget(self, key: str) -> None:
        """Cancel the job and drop it, so that `start` begins anew: after a failure, or to run it again."""
        job = self._jobs.pop(key, None)
        if job is not None:
            job.cancel()

    def keep_only(self, keys: Sequence[str], prefix: str = "") -> None:
        """Forget every job whose key begins with `prefix` and is not among `keys`: nobody waits for it any more."""
        for key in [key for key in self._jobs if key.startswith(prefix) and key not in keys]:
            self.forget(key)

    @staticmethod
    def wait(jobs: Sequence[Job], timeout: float) -> None:
        """Wait until all are through, at most `timeout` seconds altogether."""
        until = time.monotonic() + timeout
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()))

    def close(self) -> None:
        """The visitor has left: stop everything."""
        self.keep_only([])


_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_LAST_BATCH = 5.0  # seconds that all workers together have to finish their batches when the server stops


@atexit.register
def _stop_everything() -> None:
    """The server stops. A thread that Python kills inside torch takes the process down with an abort."""
    _STOPPING.set()
    until = time.monotonic() + _LAST_BATCH
    for thread in list(_THREADS):
        thread.join(max(0.0, until - time.monotonic()))
