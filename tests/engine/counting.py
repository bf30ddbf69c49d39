"""Tasks of numbers, and a fleet whose workers are threads that die when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from cam_core.engine.fingerprints import Fingerprint
from cam_core.engine.fleet import Fleet, WorkerDied
from cam_core.engine.tasks import Done, Event, Holder, Introduced, Item, Network, Task
from cam_core.models.origin import Origin
from cam_core.types import Progress

NETWORK = Network(Origin("none"), "crop")
ALIKE = Fingerprint("weights", (("torch", "1"),), 1, "AVX2", "cpu")


@dataclass(frozen=True)
class Squares(Task):
    """An item for each number: its square."""

    numbers: tuple[int, ...]

    def run(self, worker: Holder, tell: Progress | None) -> Iterator[Event]:
        yield from (Item(number**2) for number in self.numbers)
        yield Done()

    def halves(self) -> Sequence[Task]:
        middle = len(self.numbers) // 2
        parts = (self.numbers[:middle], self.numbers[middle:])
        return [replace(self, numbers=part) for part in parts] if middle else ()


def squares(*numbers: int) -> Squares:
    return Squares(NETWORK, numbers)


class Pretended:
    """A worker that does what `die` lets it."""

    def __init__(self, number: int, fingerprint: Fingerprint, die: Callable[[int, int], Exception | None]) -> None:
        self._number, self._fingerprint, self._die = number, fingerprint, die
        self._ended = threading.Event()

    def start(self) -> None:
        """It is there."""

    def perform(self, task: Task) -> Iterator[Event]:
        assert isinstance(task, Squares)
        yield Introduced(self._fingerprint)
        for number, event in zip((*task.numbers, 0), task.run(None, None), strict=True):
            death = self._die(self._number, number)
            if isinstance(death, TimeoutError):
                self._ended.wait()
                raise WorkerDied("ended")
            if death is not None:
                raise death
            yield event

    def end(self) -> None:
        self._ended.set()


class Threads(Fleet):
    """Args:
    die: (seat, number) → what happens over that number: nothing, an error, or `TimeoutError` for work without end.
    fingerprints: of the seats.
    """

    def __init__(
        self,
        workers: int,
        die: Callable[[int, int], Exception | None] = lambda seat, number: None,
        fingerprints: Sequence[Fingerprint] = (),
        tolerance: float = 0.0,
    ) -> None:
        super().__init__(workers, tolerance)
        self.hired: list[int] = []
        self._die, self._fingerprints = die, fingerprints

    def hire(self, number: int) -> Pretended:
        self.hired.append(number)
        return Pretended(number, self._fingerprints[number] if self._fingerprints else ALIKE, self._die)
