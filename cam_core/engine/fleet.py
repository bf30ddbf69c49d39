"""Engines whose workers live elsewhere and may die: who does what, who takes a dead worker's place, who is let in."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Final, Protocol, TypeAlias

from cam_core.engine.base import Engine
from cam_core.engine.fingerprints import Fingerprint, check_alike
from cam_core.engine.requeue import Requeue
from cam_core.engine.tasks import Advanced, Done, Event, Failed, Introduced, Item, Network, Task, Waiting, Warned
from cam_core.types import DeviceError

_PATIENCE: Final = 0.5  # seconds without news, after which whoever waits may look around
_NO_ROOM: Final = 600  # seconds without any worker, after which none is waited for
_STILLBORN: Final = 3  # workers in a row that end before they do anything: so will the others


class WorkerDied(Exception):
    """The worker is gone, and with it what it was doing."""

    def __init__(self, reason: str, *, short_of_memory: bool = False) -> None:
        super().__init__(reason)
        self.short_of_memory = short_of_memory


class Remote(Protocol):
    """A worker that lives elsewhere."""

    def start(self) -> None:
        """Wait until there is room for it; raises `WorkerDied`."""

    def perform(self, task: Task) -> Iterator[Event]:
        """The events of a task; raises `WorkerDied`."""

    def end(self) -> None:
        """End it, at once, whatever it is doing; of several calls the first counts."""


class _State(Enum):
    """Of a seat: without a worker, waiting for one, or with one that has nothing to do, or a task."""

    COLD = auto()
    HIRING = auto()
    IDLE = auto()
    BUSY = auto()


class _Ready:
    """There is a worker in the seat."""


Told: TypeAlias = Event | WorkerDied | Exception | _Ready


class Fleet(Engine):
    """As many workers as there are seats, each driven by a thread of this process that mostly waits.

    Args:
        workers: at most so many at once; those that there is no room for yet join in when there is.
        tolerance: how far values of workers on different hardware may be apart, as a share of their range: see
            `cam_core.engine.fingerprints`.
    """

    def __init__(self, workers: int, tolerance: float = 0.0) -> None:
        if workers < 1:
            raise DeviceError(f"{workers} workers do nothing: at least one is needed")
        self._most = workers
        self._tolerance = tolerance
        self._seats: list[_Seat] = []
        self._waiting: deque[Task] = deque()
        self._elsewhere: dict[Task, _Seat] = {}
        self._told: SimpleQueue[tuple[_Seat, Told]] = SimpleQueue()
        self._requeue = Requeue()
        self._known: dict[Network, Fingerprint] = {}
        self._stillborn = 0

    @abstractmethod
    def hire(self, number: int) -> Remote:
        """A new worker for seat `number`."""

    def submit(self, task: Task) -> None:
        """See `Engine`."""
        self._waiting.append(task)

    def events(self) -> Iterator[tuple[Task | None, Event]]:
        """See `Engine`."""
        self._stillborn = 0
        heard = time.monotonic()
        busy = self._assign()
        while busy or self._waiting:
            try:
                seat, told = self._told.get(timeout=_PATIENCE)
            except Empty:
                if not busy and time.monotonic() - heard > _NO_ROOM:
                    raise DeviceError(f"no worker can be had: there was no room for one in {_NO_ROOM} s") from None
                yield None, Waiting()
                busy = self._assign()
                continue
            heard = time.monotonic()
            happened = list(self._heard(seat, told))
            if not isinstance(told, Item | Advanced):  # many, and they change nobody's place
                busy = self._assign()  # before anybody is told, who may take long: no worker waits for another's files
            yield from happened

    def _assign(self) -> bool:
        """Tasks for workers that have none, then workers for tasks, as long as there may be more.

        Returns:
            whether any worker has something to do.
        """
        for seat in self._seats:
            if seat.state is _State.IDLE and (task := self._next(seat)) is not None:
                seat.take(task)
        wanted = len(self._waiting) - sum(seat.state is _State.HIRING for seat in self._seats)
        for seat in self._to_be_filled(wanted):
            seat.fill()
        return any(seat.state is _State.BUSY for seat in self._seats)

    def _next(self, seat: _Seat) -> Task | None:
        """The first task that waits for this seat, or for any but the one where memory ran out over it."""
        for place, task in enumerate(self._waiting):
            if not self._elsewhere or self._elsewhere.get(task) is not seat or self._most == 1:
                del self._waiting[place]
                return task
        return None

    def _to_be_filled(self, wanted: int) -> list[_Seat]:
        """So many seats without a worker, as far as there may be; last those that a task is to be kept away from."""
        if wanted < 1:
            return []
        shunned = set(self._elsewhere.values())
        cold = [seat for seat in self._seats if seat.state is _State.COLD]
        seats = [seat for seat in cold if seat not in shunned][:wanted]
        while len(seats) < wanted and len(self._seats) < self._most:
            seats.append(_Seat(self, len(self._seats)))
            self._seats.append(seats[-1])
        return [*seats, *(seat for seat in cold if seat in shunned)][:wanted]

    def _heard(self, seat: _Seat, told: Told) -> Iterator[tuple[Task | None, Event]]:
        if isinstance(told, _Ready):
            seat.state = _State.IDLE
        elif isinstance(told, WorkerDied):
            yield from self._after_death(seat, told)
        elif isinstance(told, Exception):
            raise told
        else:
            yield from self._answered(seat, told)

    def _answered(self, seat: _Seat, event: Event) -> Iterator[tuple[Task | None, Event]]:
        task = seat.task
        if isinstance(event, Introduced):
            self._stillborn = 0
            check_alike(self._known.setdefault(task.network, event.fingerprint), event.fingerprint, self._tolerance)
        elif isinstance(event, Done | Failed):
            seat.state = _State.IDLE
            if isinstance(event, Failed) and event.short_of_memory:
                yield from self._tried_again(seat, task, event.reason, short_of_memory=True)
                return
            self._forget(task)
        yield task, event

    def _after_death(self, seat: _Seat, death: WorkerDied) -> Iterator[tuple[Task | None, Event]]:
        before, seat.state = seat.state, _State.COLD
        if before is _State.BUSY and seat.began:
            yield from self._tried_again(seat, seat.task, str(death), death.short_of_memory)
            return
        self._stillborn += 1
        if self._stillborn >= _STILLBORN:
            raise DeviceError(f"no worker can be had: {death}")
        if before is _State.BUSY:
            self._waiting.appendleft(seat.task)

    def _tried_again(
        self, seat: _Seat, task: Task, reason: str, short_of_memory: bool
    ) -> Iterator[tuple[Task | None, Event]]:
        again = self._requeue.again(task, short_of_memory=short_of_memory)
        if short_of_memory:
            self._elsewhere[task] = seat
        self._waiting.extendleft(reversed(again))
        yield None, Warned(f"{reason}: {'its work is tried again' if again else 'its work is given up'}")
        if not again:
            self._forget(task)
            yield task, Failed(reason, given_up=True)

    def _forget(self, task: Task) -> None:
        self._requeue.forget(task)
        self._elsewhere.pop(task, None)

    def cancel(self) -> None:
        """See `Engine`."""
        self._waiting.clear()
        while any(seat.state in (_State.BUSY, _State.HIRING) for seat in self._seats):
            for seat in self._seats:
                if seat.state in (_State.BUSY, _State.HIRING):
                    seat.end()
            try:
                seat, told = self._told.get(timeout=_PATIENCE)
            except Empty:
                continue
            if isinstance(told, Exception | _Ready | Done | Failed):
                seat.state = _State.COLD  # also where the worker was done just before it was ended

    def close(self) -> None:
        """See `Engine`."""
        self.cancel()
        for seat in self._seats:
            seat.leave()
        self._seats.clear()

    def tell(self, seat: _Seat, told: Told) -> None:
        """Called by a seat's own thread."""
        self._told.put((seat, told))


class _Seat:
    """A place for one worker, and the thread that speaks with it: a worker that died is replaced when one is needed.

    Attributes:
        task: what its worker is doing, or did last.
        began: whether its worker has said anything since it came.
    """

    task: Task

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.state = _State.COLD
        self.began = False
        self._fleet, self._number = fleet, number
        self._remote: Remote | None = None
        self._orders: SimpleQueue[Task | _Ready | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"worker {number}", daemon=True)
        self._thread.start()

    def fill(self) -> None:
        """Have a worker come."""
        self.state = _State.HIRING
        self._orders.put(_Ready())

    def take(self, task: Task) -> None:
        """Have it done."""
        self.state, self.task = _State.BUSY, task
        self._orders.put(task)

    def end(self) -> None:
        """End the worker, which its thread will notice."""
        remote = self._remote
        if remote is not None:
            remote.end()

    def leave(self) -> None:
        """The worker is no longer needed."""
        self._orders.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            try:
                self._follow(order)
            except Exception as error:  # that the worker died, or something that nobody has thought of
                self.end()
                self._remote = None
                self._fleet.tell(self, error)
        self.end()

    def _follow(self, order: Task | _Ready) -> None:
        if isinstance(order, _Ready):
            self.end()
            self.began = False
            self._remote = self._fleet.hire(self._number)
            self._remote.start()
            self._fleet.tell(self, order)
            return
        assert self._remote is not None, "a task comes after a worker"
        for event in self._remote.perform(order):
            self.began = True
            self._fleet.tell(self, event)
