"""Work that is stopped and begun again: what its batches gave the first time is not computed again.

record = Record()
with record.used():
    explain(clf, image, method="score-cam", progress=stop)      # `Cancelled`, somewhere on its way
with record.used():
    explain(clf, image, method="score-cam")                     # goes on there, and ends with the same numbers
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor

Batch = Callable[[int, int], Tensor]
"""`batch(start, stop)` → one row for each of start … stop."""

_MOST: Final = 8 << 20  # bytes: scores of a million masks, or the gradients of thousands of passes
_PATIENCE: Final = 10.0  # seconds

_current: ContextVar[Record | None] = ContextVar("current", default=None)


@dataclass
class _Call:
    """What one call of `in_batches` gave so far, of `count` rows."""

    count: int
    parts: list[Tensor] = field(default_factory=list)


class Record:
    """What the batches of one piece of work gave, in the order in which they came.

    It serves the same work alone: same function, arguments and seed. What the work does between batches it does again,
    and so asks for the same batches in the same order.

    Args:
        most: bytes that are kept; what comes after them is computed again.

    Attributes:
        replayed: rows that were known in the run that is under way, or was last.
        seconds, head, tail: what earlier runs have cost: time, and passes of either half.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = self._room = most
        self._calls: list[_Call] = []
        self._place = 0
        self._mutex = threading.Lock()
        self.replayed = 0
        self.seconds, self.head, self.tail = 0.0, 0, 0

    def __len__(self) -> int:
        """Rows that need not be computed again."""
        return sum(len(part) for call in list(self._calls) for part in list(call.parts))

    @contextmanager
    def used(self, check: Callable[[], None] = lambda: None) -> Iterator[Record]:
        """The work of the block, in this thread, goes on from the record and is recorded; once it ends well, all goes.

        Yields the record; an empty one where another thread does not leave it for seconds.

        Args:
            check: called while another thread has it: who was stopped a moment ago ends its batch. May raise.
        """
        if not self._taken(check):
            with Record(self._most).used() as other:
                yield other
            return
        self._place, self.replayed = 0, 0
        token = _current.set(self)
        try:
            yield self
            self._forget()
        finally:
            _current.reset(token)
            self._mutex.release()

    def _taken(self, check: Callable[[], None]) -> bool:
        until = time.monotonic() + _PATIENCE
        while not self._mutex.acquire(timeout=0.1):
            check()
            if time.monotonic() > until:
                return False
        return True

    def spent(self, seconds: float, head: int = 0, tail: int = 0) -> None:
        """A run that was stopped has cost so much."""
        self.seconds, self.head, self.tail = self.seconds + seconds, self.head + head, self.tail + tail

    def call(self, function: Batch, count: int) -> tuple[list[Tensor], Batch]:
        """The next of the work's calls of `in_batches`: what is known of its rows, and what computes the others.

        The latter's first row is the first that is not known.
        """
        if self._place < len(self._calls) and self._calls[self._place].count != count:
            del self._calls[self._place :]  # not the same work
        if self._place == len(self._calls):
            self._calls.append(_Call(count))
        call = self._calls[self._place]
        self._place += 1
        known = list(call.parts)
        first = sum(map(len, known))
        self.replayed += first

        def others(start: int, stop: int) -> Tensor:
            token = _current.set(None)  # batches within a batch are part of it
            try:
                part = function(first + start, first + stop)
            finally:
                _current.reset(token)
            self._keep(call, part)
            return part

        return known, others

    def _keep(self, call: _Call, part: Tensor) -> None:
        """Until there is no room: nothing that comes later is kept then, however small."""
        self._room -= part.nbytes
        if self._room >= 0:
            call.parts.append(part.detach())

    def _forget(self) -> None:
        self._calls.clear()
        self._room = self._most
        self.seconds, self.head, self.tail = 0.0, 0, 0


def current() -> Record | None:
    """The record that is used in this thread."""
    return _current.get()
