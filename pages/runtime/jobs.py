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
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Literal

from cam_core import CamError, Cancelled
from cam_core.models.batching import is_out_of_memory
from cam_core.models.resuming import Record
from pages.runtime.turns import Queue

State = Literal["waiting", "running", "done", "failed", "cancelled"]

_log = logging.getLogger(__name__)
_STOPPING = threading.Event()  # the process is about to end


class Job:
    """One piece of work, and how it is doing. Read from any thread; written by its worker, and by `cancel`.

    Attributes:
        queue: what it waits for at the device now, or None; set by whoever takes it there.
        expected: seconds that it still needs as far as earlier work of its kind tells, else 0; set likewise.
        beginning: what it does before the first unit of its work is done, in a word.
        about: what it was begun with, for a page that finds it running.
        record: what earlier runs of the same work have computed, and this one computes: where it is stopped, the next
            one goes on there.
    """

    def __init__(self, key: str, work: Callable[[Job], Any], title: str = "", about: Any = None) -> None:
        self.key = key
        self.title = title or key
        self.about = about
        self.result: Any = None
        self.error: str | None = None
        self.done, self.total = 0, 0
        self.queue: Callable[[], Queue | None] = lambda: None
        self.expected: Callable[[], float] = lambda: 0.0
        self.beginning = "preparing"
        self.record = Record()
        self._work = work
        self._state: State = "waiting"
        self._items: list[Any] = []
        self._started = 0.0
        self._cancel = threading.Event()
        self._finished = threading.Event()
        self._ending = threading.Lock()

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
        computed = self.done - self.record.replayed
        if self.state != "running" or computed <= 0:
            return None
        return (time.monotonic() - self._started) * (self.total - self.done) / computed

    def progress(self, done: int, total: int) -> None:
        """Called by the work between batches. Raises `Cancelled` once the job was cancelled."""
        # What came before the first batch (waiting, preparing a network, what was known) says nothing about the pace.
        if done <= self.record.replayed:
            self._started = time.monotonic()
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raises `Cancelled` once the job was cancelled, or was given up."""
        if self._cancel.is_set() or self._finished.is_set() or _STOPPING.is_set():
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
            result = self._work(self)
        except Cancelled:
            self._end("cancelled")
        except CamError as error:
            self._end("failed", error=str(error))
        except BaseException as error:  # whatever it is, nobody shall wait for this job any more
            self._end("failed", error=_sentence(error))
            _log.error("%s failed", self.title, exc_info=error)
        else:
            self._end("done", result)

    def give_up(self, reason: str) -> None:
        """It has failed, whatever its worker does: one that never comes back, or was never begun."""
        self._end("failed", error=reason)

    def _end(self, state: State, result: Any = None, error: str | None = None) -> None:
        """The first end counts."""
        with self._ending:
            if not self._finished.is_set():
                self.result, self.error, self._state = result, error, state
                self._finished.set()


def _sentence(error: BaseException) -> str:
    if is_out_of_memory(error):
        return (
            "The machine has run out of memory. Try again when less is being computed, or choose a smaller model, a "
            "later layer or fewer images."
        )
    return "Something went wrong that was not foreseen. The server's log has the details."


class Jobs:
    """The jobs of one tab by key, each in a thread of its own.

    Args:
        owner: whose they are: the browser that the tab belongs to.
        most: how many of the owner's jobs may be under way at once.
        tabs: the jobs of all the owner's tabs, these among them.
        here: whether anybody looks at the tab. Where nobody does, another tab of the owner takes over what it needs.
    Attributes:
        belongings: what else of the tab is to be found when its page is loaded again.
    """

    def __init__(
        self,
        owner: str = "",
        most: int = 1000,
        tabs: Callable[[], Iterable[Jobs]] = tuple,
        here: Callable[[], bool] = lambda: True,
    ) -> None:
        self.owner = owner
        self.belongings: dict[str, Any] = {}
        self._jobs: dict[str, Job] = {}
        self._most, self._tabs, self._here = most, tabs, here

    def start(self, key: str, work: Callable[[Job], Any], *, title: str = "", about: Any = None) -> Job:
        """The job of that key: the one that exists, whatever its state, or else a new one that begins at once.

        One that cannot begin has failed with the reason, and is not kept: another start tries again.
        """
        job = self._jobs.get(key) or self._taken_over(key)
        if job is None:
            job = Job(key, work, title, about)
            if self.busy() >= self._most:
                job.give_up(f"{self._most} computations of yours are under way. Wait for one of them, or cancel it.")
            elif _begun(job):
                self._jobs[key] = job
        return job

    def find(self, prefix: str) -> Job | None:
        """The job begun last whose key begins so, whatever its state, here or in a tab of the owner that is gone."""
        for jobs in (self, *self._gone()):
            for key in reversed(list(jobs._jobs)):
                if key.startswith(prefix):
                    self._jobs[key] = jobs._jobs[key] if jobs is self else jobs._jobs.pop(key)
                    return self._jobs[key]
        return None

    def brought(self, name: str) -> Any:
        """What a tab of the owner that is gone has left under that name; None if there is nothing."""
        left = (jobs.belongings.pop(name, None) for jobs in reversed(self._gone()))
        return next((thing for thing in left if thing is not None), None)

    def busy(self) -> int:
        """How many jobs of the owner are under way."""
        return sum(len(jobs.active) for jobs in self._tabs() or [self])

    def working(self, prefix: str) -> int:
        """How many of the owner's jobs whose keys begin so are worked on: cancelled ones too, to their last batch."""
        own = [job for jobs in self._tabs() or [self] for job in list(jobs._jobs.values())]
        return sum(job.key.startswith(prefix) and not job.wait(0) for job in own)

    @property
    def active(self) -> list[Job]:
        """Those that run or wait."""
        return [job for job in list(self._jobs.values()) if job.active]

    def _gone(self) -> list[Jobs]:
        return [jobs for jobs in self._tabs() if jobs is not self and not jobs._here()]

    def _taken_over(self, key: str) -> Job | None:
        """The job of that key out of a tab that is gone. What failed there is begun anew."""
        for other in self._gone():
            job = other._jobs.pop(key, None)
            if job is not None and job.state != "failed":
                self._jobs[key] = job
                return job
        return None

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
        for key in [key for key in list(self._jobs) if key.startswith(prefix) and key not in keys]:
            self.forget(key)

    @staticmethod
    def wait(jobs: Sequence[Job], timeout: float) -> None:
        """Wait until all are through, at most `timeout` seconds altogether."""
        until = time.monotonic() + timeout
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()))

    def close(self) -> list[Job]:
        """The visitor has left: stop everything. Those that still have a batch to finish."""
        left = list(self._jobs.values())
        self.keep_only([])
        self.belongings.clear()
        return [job for job in left if not job.wait(0)]


def _begun(job: Job) -> bool:
    """Whether there was a thread to be had for it."""
    thread = threading.Thread(target=_run, args=(job,), daemon=True, name=f"camscope-{job.title}")
    _THREADS.add(thread)
    try:
        thread.start()
    except RuntimeError:
        _log.exception("no thread for %s", job.title)
        job.give_up("The machine computes as much as it can. Try again in a moment.")
        return False
    return True


def _run(job: Job) -> None:
    _yield_to_the_screen()
    job.run()


def _yield_to_the_screen() -> None:
    """What draws pages goes before the calling thread, and before those that it starts, on the processors.

    A page needs little, but at once. Where it took turns with threads that compute without a pause, another method
    beside a long job came after 1.1 s in place of 0.6, and the job itself took longer too: of two threads that share
    an operation one waits whenever the other has to.
    """
    if sys.platform == "linux":  # elsewhere a process has one priority, for all its threads
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)


_NICENESS = 5  # a third of a processor's time beside somebody else who wants all of it
_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_LAST_BATCH = 5.0  # seconds that all workers together have to finish their batches when the server stops


@atexit.register
def stop_everything() -> None:
    """The server stops. A thread that Python kills inside torch takes the process down with an abort."""
    _STOPPING.set()
    until = time.monotonic() + _LAST_BATCH
    for thread in list(_THREADS):
        if thread.is_alive():
            thread.join(max(0.0, until - time.monotonic()))
