"""Background jobs: start, watch, cancel. Pure Python: nothing here touches Streamlit, so it runs in any thread.

    jobs = Jobs()
    job = jobs.start("my-key", work, title="Score-CAM", slow=True)   # returns at once; work(job) runs in a thread
    jobs.wait([job], timeout=1.0)                                    # give quick work the chance to be done
    job.state, job.fraction, job.time_left, job.result, job.error

`work` receives its job and calls `job.progress(done, total)` between batches (it has the shape of the core's
`Progress`), which raises `Cancelled` once somebody cancelled. Intermediate results go out with `job.publish(item)` and
stay readable in `job.items` whatever happens afterwards: what was computed by then is not lost.

`FairLock` orders those who want the one device: first come, first served, and `give_way` lets everybody who waits have
a turn, so that a short job gets in between two batches of a long one.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Literal

from cam_core import CamError, Cancelled

State = Literal["waiting", "running", "done", "failed", "cancelled"]

_log = logging.getLogger(__name__)
_STOPPING = threading.Event()  # the process is about to end


class FairLock:
    """A lock that serves those who wait in the order in which they came."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._queue: deque[threading.Event] = deque()

    def acquire(self) -> None:
        """Wait for the turn of the calling thread."""
        turn = threading.Event()
        with self._mutex:
            self._queue.append(turn)
            if self._queue[0] is turn:
                turn.set()
        turn.wait()

    def release(self) -> None:
        """Hand the lock to whoever waits longest."""
        with self._mutex:
            self._queue.popleft()
            if self._queue:
                self._queue[0].set()

    def give_way(self) -> None:
        """Let everybody who waits now have a turn before going on; costs nothing where nobody waits."""
        with self._mutex:
            contended = len(self._queue) > 1
        if contended:
            self.release()
            self.acquire()

    @contextmanager
    def held(self) -> Iterator[FairLock]:
        """`with lock.held(): …`."""
        self.acquire()
        try:
            yield self
        finally:
            self.release()


class Job:
    """One piece of work, and how it is doing. Read from any thread; written by its worker, and by `cancel`."""

    def __init__(self, key: str, work: Callable[[Job], Any], title: str = "") -> None:
        self.key = key
        self.title = title or key
        self.result: Any = None
        self.error: str | None = None
        self.done, self.total = 0, 0
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
        """What the work has published so far."""
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


class _Lane:
    """One worker thread that does jobs in the order of their coming; the thread ends with the process, not before."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        _LANES.add(self)

    def put(self, job: Job) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True, name="camscope-jobs")
            self._thread.start()
        self._queue.put(job)

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)

    def join(self, timeout: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout)

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            job.run()


class Jobs:
    """One visitor's jobs by key, in lanes, so that quick work never queues behind slow work."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lanes: dict[str, _Lane] = {}

    def start(
        self, key: str, work: Callable[[Job], Any], *, title: str = "", slow: bool = False, lane: str = ""
    ) -> Job:
        """The job of that key: the one that exists, whatever its state, or else a new one that begins at once.

        Args:
            lane: the queue that it waits in; where omitted, there is one for quick and one for slow jobs.
        """
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = Job(key, work, title)
            self._lanes.setdefault(lane or ("slow" if slow else "quick"), _Lane()).put(job)
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
        for lane in self._lanes.values():
            lane.close()


_LANES: weakref.WeakSet[_Lane] = weakref.WeakSet()
_LAST_BATCH = 5.0  # seconds that a worker has to finish its batch when the server stops


@atexit.register
def _stop_everything() -> None:
    """The server stops. A thread that Python kills inside torch takes the process down with an abort."""
    _STOPPING.set()
    for lane in list(_LANES):
        lane.close()
        lane.join(_LAST_BATCH)
