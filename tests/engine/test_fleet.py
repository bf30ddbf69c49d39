"""What becomes of tasks whose workers die, on workers that are threads; and who is let in."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cam_core.engine.base import Engine
from cam_core.engine.fleet import Remote, WorkerDied
from cam_core.engine.tasks import Done, Event, Failed, Item, Task, Warned
from cam_core.types import DeviceError
from tests.engine.counting import ALIKE, Squares, Threads, squares


def outcome(engine: Engine) -> tuple[set[int], list[int]]:
    """Squares that were given in tasks that ended well; numbers that were given up."""
    items: dict[Task, set[int]] = {}
    good: set[int] = set()
    lost: list[int] = []
    for task, event in engine.events():
        if isinstance(event, Item):
            items.setdefault(task, set()).add(event.value)
        elif isinstance(event, Done):
            good |= items.pop(task, set())
        elif isinstance(event, Failed):
            assert isinstance(task, Squares) and event.given_up
            lost += task.numbers
    return good, lost


@pytest.mark.parametrize("workers", [1, 3])
def test_every_task_is_done_once(workers: int) -> None:
    there, met = threading.Barrier(workers), set[int]()

    def meet(seat: int, number: int) -> None:
        """Nobody does everything before the last one has come."""
        if seat not in met:
            met.add(seat)
            there.wait(60)

    with Threads(workers, meet) as engine:
        for start in range(0, 20, 4):
            engine.submit(squares(*range(start, start + 4)))
        done = Counter(event.value for _, event in engine.events() if isinstance(event, Item))
        assert done == Counter(number**2 for number in range(20))
        assert sorted(engine.hired) == list(range(workers))
        engine.submit(squares(30))
        assert outcome(engine) == ({900}, []), "an engine can be used again"


def test_a_worker_has_its_next_task_before_the_end_of_its_last_one_is_told() -> None:
    begun = threading.Event()

    def die(seat: int, number: int) -> None:
        if number == 2:
            begun.set()

    with Threads(1, die) as engine:
        engine.submit(squares(1))
        engine.submit(squares(2))
        events = engine.events()
        assert any(isinstance(event, Done) for _, event in events), "of the first task, and nobody asks for more"
        assert begun.wait(60)
        assert sum(isinstance(event, Done) for _, event in events) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_a_piece_that_kills_three_workers_is_given_up_and_nothing_else(workers: int) -> None:
    over: Counter[int] = Counter()

    def die(seat: int, number: int) -> Exception | None:
        over[number] += number == 5
        return WorkerDied("gone") if number == 5 else None

    with Threads(workers, die) as engine:
        engine.submit(squares(*range(1, 9)))
        engine.submit(squares(10, 11))
        assert outcome(engine) == ({n**2 for n in (1, 2, 3, 4, 6, 7, 8, 10, 11)}, [5])
    assert over[5] == 2 + 2 + 2 + 3, "twice in eight, in four, in two, and three times alone"
    assert len(engine.hired) <= workers + over[5]


def test_a_worker_that_dies_once_costs_nothing_but_time() -> None:
    deaths = iter([WorkerDied("gone")])
    with Threads(2, lambda seat, number: next(deaths, None) if number == 2 else None) as engine:
        engine.submit(squares(1, 2, 3))
        events = list(engine.events())
    assert [event.text for _, event in events if isinstance(event, Warned)] == ["gone: its work is tried again"]
    assert {event.value for _, event in events if isinstance(event, Item)} == {1, 4, 9}
    assert sum(isinstance(event, Done) for _, event in events) == 1, "not taken apart"


def test_where_memory_ran_out_the_task_goes_elsewhere() -> None:
    seats: list[int] = []

    def die(seat: int, number: int) -> Exception | None:
        if number == 2:
            seats.append(seat)
        return WorkerDied("full", short_of_memory=True) if number == 2 and seat == seats[0] else None

    with Threads(2, die) as engine:
        engine.submit(squares(1, 2, 3))
        assert outcome(engine) == ({1, 4, 9}, [])
    assert len(seats) == 2 and len(set(seats)) == 2


def test_where_memory_runs_out_everywhere_the_task_is_taken_apart() -> None:
    with Threads(2, lambda seat, number: WorkerDied("full", short_of_memory=True) if number == 2 else None) as engine:
        engine.submit(squares(1, 2, 3))
        assert outcome(engine) == ({1, 9}, [2])


def test_workers_that_never_come_to_life_are_not_asked_for_for_ever() -> None:
    class Stillborn(Threads):
        def hire(self, number: int) -> Remote:
            self.hired.append(number)
            raise WorkerDied("exit code 1")

    with Stillborn(1) as engine:
        engine.submit(squares(1))
        with pytest.raises(DeviceError, match="no worker can be had: exit code 1"):
            list(engine.events())
    assert engine.hired == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"threads": 2}, r"threads: (1 and 2|2 and 1)"),
        ({"processor": "AVX512"}, r"processor: (AVX2 and AVX512|AVX512 and AVX2)"),
        ({"device": "NVIDIA H100"}, r"device: (cpu and NVIDIA H100|NVIDIA H100 and cpu)"),
        ({"weights": "others"}, r"weights: (weights and others|others and weights)"),
        ({"versions": (("torch", "2"),)}, "versions"),
    ],
)
def test_a_mixed_fleet_is_refused_unless_a_tolerance_is_stated(change: dict[str, object], named: str) -> None:
    other = replace(ALIKE, **change)

    def engine(tolerance: float) -> Threads:
        both = threading.Barrier(2, timeout=60)  # neither does all of the work

        def wait(seat: int, number: int) -> None:
            if number:
                both.wait()

        made = Threads(2, wait, fingerprints=(ALIKE, other), tolerance=tolerance)
        made.submit(squares(1))
        made.submit(squares(2))
        return made

    for tolerance in (0.0, 1e-7):
        with engine(tolerance) as strict, pytest.raises(DeviceError, match=named):
            list(strict.events())
    decisive = "weights" in change or "versions" in change
    with engine(1e-5) as tolerant:
        if decisive:
            with pytest.raises(DeviceError, match=named):
                list(tolerant.events())
        else:
            assert outcome(tolerant) == ({1, 4}, [])


def first_item(events: Iterator[tuple[Task | None, Event]]) -> Item:
    return next(event for _, event in events if isinstance(event, Item))


def test_cancelled_work_is_forgotten_and_the_engine_lives_on() -> None:
    with Threads(2, lambda seat, number: TimeoutError() if number == 2 else None) as engine:
        engine.submit(squares(1, 2))
        engine.submit(squares(2))
        engine.submit(squares(3))
        assert first_item(engine.events()).value in (1, 9)
        engine.cancel()
        engine.submit(squares(4))
        assert outcome(engine) == ({16}, [])


def test_an_engine_without_workers_is_refused() -> None:
    with pytest.raises(DeviceError, match="0 workers do nothing"):
        Threads(0)
