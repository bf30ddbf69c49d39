"""Turns at a device: so many computations at a time, the shortest first, and nobody waits for ever. Pure Python.

    turns = Turns()
    turn = Turn("Score-CAM")
    with turns.held(turn):                  # waits for its turn
        for batch in batches:
            ...
            turn.advance(done, total)       # how much there is to do is known from the first call on
            turns.give_way(turn)            # lets whoever has less to do go first; costs nothing where nobody waits

Shortest remaining time first: between two batches the device goes to whoever has the least left to do, by the amount
that the work itself announces and the pace at which it has gone so far. Who has not begun is taken to have nothing to
do: its first batch tells. Where somebody has waited long, every fourth turn is theirs, one batch of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LONG_WAIT = 3.0
"""Seconds without a turn after which work gets a batch in, however much it has to do."""
_BETWEEN = 3
"""Turns of the shortest between two for a long wait: of much that is half done, nobody has anything yet."""


class Turn:
    """The place of one piece of work at a device, and what it still has to do.

    Args:
        title: what others are told that they wait for.
        pace: seconds for each unit of work, if known from earlier; measured from the first batch on.
        lost: called when the device was taken from it, because nothing had been heard of it for too long.
        alone: whether nobody else may have a place meanwhile.
    """

    def __init__(
        self,
        title: str,
        pace: float | None = None,
        lost: Callable[[], None] = lambda: None,
        alone: bool = False,
    ) -> None:
        self.title = title
        self.lost = lost
        self.alone = alone
        self.busy = 0.0
        self._pace = pace
        self._done, self._total = 0, 0
        self._since = 0.0  # when it began to wait, or to hold the device
        self._taken, self._heard = 0.0, 0.0  # when it got the device, and when it was heard of last
        self._holds = False
        self._called = threading.Event()

    def advance(self, done: int, total: int) -> None:
        """Told between batches: `done` of `total` units are finished."""
        if not done:
            self.busy, self._since = 0.0, time.monotonic()  # preparing says nothing about the pace
        self._heard = time.monotonic()
        self._done, self._total = done, total

    @property
    def pace(self) -> float | None:
        """Seconds of the device for each unit so far; None while neither this nor an earlier time tells."""
        return self._held() / self._done if self._done else self._pace

    @property
    def done(self) -> int:
        """Units of work that are finished."""
        return self._done

    @property
    def remaining(self) -> float:
        """Seconds of the device that it still needs; 0 while that cannot be told."""
        return (self._total - self._done) * (self.pace or 0.0)

    def _held(self) -> float:
        return self.busy + (time.monotonic() - self._since if self._holds else 0.0)

    def _begin(self, holds: bool) -> None:
        self._since = self._taken = self._heard = time.monotonic()
        self._holds = holds

    def _end(self) -> None:
        if self._holds:
            self.busy += time.monotonic() - self._since
        self._holds = False


@dataclass(frozen=True)
class Queue:
    """The queue before a piece of work that waits: the title of what has the device, and seconds until its turn."""

    title: str
    seconds: float


@dataclass(frozen=True)
class Holding:
    """A piece of work that has the device: for how many seconds, how long it has been silent, how many others wait."""

    turn: Turn
    seconds: float
    silent: float
    waiting: int


class Turns:
    """Who has a device, and who waits for it.

    Args:
        places: how many may have it at a time.
    """

    def __init__(self, places: int = 1) -> None:
        self._places = places
        self._mutex = threading.Lock()
        self._holders: list[Turn] = []
        self._waiting: list[Turn] = []
        self._short_turns = _BETWEEN  # since the last that was given for a long wait

    @contextmanager
    def held(self, turn: Turn) -> Iterator[Turn]:
        """A place is the caller's inside the block, apart from the moments in which it gives way."""
        with self._mutex:
            self._queue_up(turn)
        turn._called.wait()
        try:
            yield turn
        finally:
            with self._mutex:
                self._leave(turn)  # unless the place was taken from it
                self._fill()

    def give_way(self, turn: Turn) -> None:
        """Between two batches: whoever comes first now goes on, the caller or somebody who waits."""
        if not self._waiting:  # a look without the lock: who comes a moment later is seen after the next batch
            return
        with self._mutex:
            if not self._leave(turn):
                return
            turn._called.clear()
            self._queue_up(turn)
        turn._called.wait()

    @property
    def taken(self) -> int:
        """How many have a place now."""
        return len(self._holders)

    @property
    def holdings(self) -> list[Holding]:
        """Who has the device now."""
        with self._mutex:
            now, waiting = time.monotonic(), len(self._waiting)
            return [Holding(turn, now - turn._taken, now - turn._heard, waiting) for turn in self._holders]

    def take_from(self, turn: Turn) -> None:
        """Give its place to the next, although the work that has it does not end. It is told, and gets no other."""
        with self._mutex:
            if not self._leave(turn):
                return
            self._fill()
        turn.lost()

    @property
    def contended(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def before(self, turn: Turn) -> Queue | None:
        """The queue before a turn; None where it does not wait."""
        with self._mutex:
            if turn not in self._waiting or not self._holders:
                return None
            ahead = [*self._holders, *(other for other in self._waiting if other is not turn)]
            seconds = sum(self._cost(other) for other in ahead if other.remaining <= turn.remaining)
            return Queue(min(self._holders, key=lambda holder: holder.remaining).title, seconds)

    def _cost(self, turn: Turn) -> float:
        """Seconds until whoever comes next has its place."""
        return turn.remaining if turn.alone else turn.remaining / self._places

    def _queue_up(self, turn: Turn) -> None:
        self._waiting.append(turn)
        turn._begin(holds=False)
        self._fill()

    def _leave(self, turn: Turn) -> bool:
        """Whether it had a place."""
        turn._end()
        if turn not in self._holders:
            return False
        self._holders.remove(turn)
        return True

    def _fill(self) -> None:
        while self._waiting and self._has_room(turn := self._next()):
            self._short_turns = 0 if self._is_due(turn) else self._short_turns + 1
            self._waiting.remove(turn)
            self._holders.append(turn)
            turn._begin(holds=True)
            turn._called.set()

    def _has_room(self, turn: Turn) -> bool:
        """Who wants all places and comes next gets them: nobody passes by meanwhile."""
        if not self._holders:
            return True
        return len(self._holders) < self._places and not turn.alone and not self._holders[0].alone

    def _next(self) -> Turn:
        longest = min(self._waiting, key=lambda turn: turn._since)
        return longest if self._is_due(longest) else min(self._waiting, key=lambda turn: turn.remaining)

    def _is_due(self, turn: Turn) -> bool:
        return self._short_turns >= _BETWEEN and time.monotonic() - turn._since > _LONG_WAIT


class Paces:
    """Seconds for each unit of work by its kind, as measured last: what work of that kind will take."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._mutex = threading.Lock()
        self.spent, self.units = 0.0, 0  # seconds of the device, and what was done in them, since the beginning

    def of(self, kind: str) -> float | None:
        """The pace that was measured; None for a kind that nobody has done yet."""
        return self._seconds.get(kind)

    @contextmanager
    def measured(self, kind: str, turn: Turn) -> Iterator[None]:
        """Keeps the pace at which the work of the block went."""
        try:
            yield
        finally:
            with self._mutex:
                self.spent, self.units = self.spent + turn.busy, self.units + turn.done
            if turn.busy and turn.pace is not None:
                self._seconds[kind] = turn.pace
