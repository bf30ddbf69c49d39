"""Turns at a device: the shortest first, between two batches, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise

import pytest
import torch

from cam_core.models.openmp import can_share
from pages.runtime import compute, devices, turns
from pages.runtime.jobs import Job, Jobs
from pages.runtime.turns import Paces, Turn, Turns
from tests.pages.runtime.clock import SOON, Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(turns, "time", own)
    return own


class Worker(threading.Thread):
    """Work of so many batches of one unit; each takes `seconds` of the clock and is written down."""

    def __init__(self, at: Turns, name: str, batches: int, seconds: float, clock: Clock, log: list[str]) -> None:
        super().__init__(daemon=True)
        self.turn = Turn(name, pace=seconds)
        self.following: Worker | None = None
        self._at, self._batches, self._seconds, self._clock, self._log = at, batches, seconds, clock, log

    def run(self) -> None:
        with self._at.held(self.turn):
            for done in range(self._batches):
                self.turn.advance(done, self._batches)
                self._at.give_way(self.turn)
                self._clock.now += self._seconds
                self._log.append(self.turn.title)
            if self.following is not None:  # it comes while this one still has the device
                queue_up(self._at, [self.following])


def queue_up(at: Turns, workers: Sequence[Worker]) -> None:
    """Start them one after the other; each waits when the next one comes."""
    for worker in workers:
        before = len(at._waiting)
        worker.start()
        while len(at._waiting) == before:
            pass


def run_behind(at: Turns, workers: Sequence[Worker]) -> None:
    """Let them all come while somebody has the device, then let it go."""
    with at.held(Turn("first")):
        queue_up(at, workers)
    for worker in workers:
        worker.join(SOON)
        assert not worker.is_alive()


def test_the_shortest_goes_first_and_is_not_interrupted_by_longer_work(clock: Clock) -> None:
    at, log = Turns(), []
    run_behind(at, [Worker(at, name, n, 0.01, clock, log) for name, n in (("long", 6), ("short", 2), ("middle", 4))])
    # Each tells at its first turn how much there is to do, and gives way where others have less.
    assert log == [*["short"] * 2, *["middle"] * 4, *["long"] * 6]


def test_short_work_gets_in_between_two_batches_of_long_work(clock: Clock) -> None:
    at, log = Turns(), []
    long = Turn("long", pace=1.0)
    short = Worker(at, "short", 2, 0.01, clock, log)
    with at.held(long):
        clock.now += 1
        long.advance(1, 100)
        queue_up(at, [short])
        log.append("long")
        at.give_way(long)
        log.append("long")
    short.join(SOON)
    assert log == ["long", "short", "short", "long"]


def test_long_work_gets_a_batch_in_while_short_work_keeps_coming(clock: Clock) -> None:
    at, log = Turns(), []
    long = Worker(at, "long", 6, 1.0, clock, log)
    shorts = [Worker(at, "short", 1, 2.0, clock, log) for _ in range(8)]
    for short, following in pairwise(shorts):
        short.following = following
    run_behind(at, [long, shorts[0]])
    for short in shorts:
        short.join(SOON)
    # Whenever it has waited for more than three seconds, that is behind two short ones, it gets one batch in.
    assert log == ["short", "short", "long"] * 4 + ["long"] * 2


def test_equals_are_served_in_the_order_of_coming(clock: Clock) -> None:
    at, log = Turns(), []
    run_behind(at, [Worker(at, str(number), 1, 0.01, clock, log) for number in range(5)])
    assert log == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("places", [1, 2, 3])
def test_as_many_at_a_time_as_there_are_places(places: int) -> None:
    at, mutex, together = Turns(places), threading.Lock(), threading.Barrier(places)
    inside, most = [0], [0]

    def change(by: int) -> None:
        with mutex:
            inside[0] += by
            most[0] = max(most[0], inside[0])

    def visit(first: bool) -> None:
        turn = Turn("one of many")
        with at.held(turn):
            for done in range(20):
                change(+1)
                if first and not done:
                    together.wait(SOON)
                change(-1)
                turn.advance(done, 20)
                at.give_way(turn)

    threads = [threading.Thread(target=visit, args=(number < places,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()
    assert most == [places]
    assert not at.contended and at.taken == 0


class Guest(threading.Thread):
    """Work that has a place until it is told to give way, and then until it is told to leave."""

    def __init__(self, at: Turns, turn: Turn) -> None:
        super().__init__(daemon=True)
        self.turn, self._at, self._told = turn, at, threading.Semaphore(0)
        self.start()

    def run(self) -> None:
        with self._at.held(self.turn):
            self._told.acquire(timeout=SOON)
            self._at.give_way(self.turn)
            self._told.acquire(timeout=SOON)

    def go_on(self) -> None:
        """Give way, or leave."""
        self._told.release()


def have(at: Turns) -> list[str]:
    """Who has a place."""
    return sorted(holding.turn.title for holding in at.holdings)


def await_that(at: Turns, *titles: str) -> None:
    """Wait until these have a place, and nobody else."""
    until = time.monotonic() + SOON
    while have(at) != sorted(titles):
        assert time.monotonic() < until, have(at)


def test_who_wants_all_places_gets_them_and_nobody_passes_by_meanwhile() -> None:
    at = Turns(places=2)
    guests = [Guest(at, Turn(name, pace=1.0)) for name in ("first", "second")]
    await_that(at, "first", "second")
    for guest in guests:
        guest.turn.advance(1, 100)
    alone = Guest(at, Turn("alone", alone=True))
    while not at.contended:
        pass
    guests[0].go_on()
    await_that(at, "second")  # the place stays free for who comes next
    guests[1].go_on()
    await_that(at, "alone")
    alone.turn.advance(1, 1000)
    alone.go_on()
    await_that(at, "first", "second")
    for guest in guests:
        guest.go_on()
    await_that(at, "alone")
    alone.go_on()
    await_that(at)


def test_with_two_places_there_is_half_as_long_to_wait(clock: Clock) -> None:
    at, log = Turns(places=2), []
    long, short = Turn("SS-CAM", pace=1.0), Turn("Score-CAM", pace=1.0)
    waiting = Worker(at, "Owen", 30, 1.0, clock, log)
    with at.held(long), at.held(short):
        long.advance(0, 90)
        short.advance(0, 10)
        waiting.turn.advance(0, 30)
        queue_up(at, [waiting])
        assert at.before(waiting.turn) == turns.Queue("Score-CAM", 5.0)
        short.alone = True
        assert at.before(waiting.turn) == turns.Queue("Score-CAM", 10.0)
    waiting.join(SOON)


@pytest.mark.skipif(not can_share(), reason="threads have no numbers of processors of their own here")
def test_jobs_at_a_cpu_share_its_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    at, before = Turns(places=2), torch.get_num_threads()
    monkeypatch.setattr(devices, "turns", lambda device: at)
    monkeypatch.setattr(devices, "_PROCESSORS", 4)
    taken: list[int] = []

    def work(job: Job) -> None:
        with devices.computing("cpu", job) as progress:
            taken.append(torch.get_num_threads())
            with at.held(Turn("beside")):
                progress(1, 3)
                taken.append(torch.get_num_threads())
            progress(2, 3)
            taken.append(torch.get_num_threads())

    job = Job("key", work)
    thread = threading.Thread(target=job.run, daemon=True)
    thread.start()
    thread.join(SOON)
    assert (job.state, taken) == ("done", [4, 2, 4])
    assert torch.get_num_threads() == before, "of the job's thread alone"


@pytest.mark.skipif(not can_share(), reason="threads have no numbers of processors of their own here")
def test_a_page_that_computes_shares_too_and_has_all_processors_again(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Turns(places=2)
    monkeypatch.setattr(devices, "turns", lambda device: at)
    monkeypatch.setattr(devices, "_PROCESSORS", 4)

    def drawn() -> list[int]:
        with at.held(Turn("beside")):
            beside = compute.at_once("key", "cpu", torch.get_num_threads)
        return [beside, torch.get_num_threads(), compute.at_once("another key", "cpu", torch.get_num_threads)]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(drawn).result(SOON) == [2, 4, 4]


@pytest.mark.parametrize(
    ("device", "processors", "places"), [("cpu", 1, 1), ("cpu", 2, 2), ("cpu", 16, 2), ("cuda:0", 16, 1), ("mps", 8, 1)]
)
def test_a_cpu_of_several_processors_has_two_places(
    monkeypatch: pytest.MonkeyPatch, device: str, processors: int, places: int
) -> None:
    monkeypatch.setattr(devices, "_PROCESSORS", processors)
    monkeypatch.setattr(devices, "can_share", lambda: True)
    monkeypatch.setattr(devices, "known", dict)
    at = devices.turns(device)
    with ExitStack() as inside:
        for number in range(places):
            assert at.taken == number
            inside.enter_context(at.held(Turn("work")))
        queue_up(at, [other := Worker(at, "one too many", 1, 0.0, Clock(), [])])
        assert at.taken == places
    other.join(SOON)


def test_the_device_is_free_again_after_an_error() -> None:
    at = Turns()
    with pytest.raises(ZeroDivisionError), at.held(Turn("broken")):
        raise ZeroDivisionError
    with at.held(Turn("next")):
        pass


def test_what_waits_knows_behind_what_and_for_how_long(clock: Clock) -> None:
    at, log = Turns(), []
    holder = Turn("SS-CAM", pace=0.5)
    waiting = Worker(at, "Score-CAM", 100, 0.5, clock, log)
    shorter = Worker(at, "LIFT-CAM", 10, 0.5, clock, log)
    with at.held(holder):
        holder.advance(40, 80)
        clock.now += 20  # 40 units in 20 s, after the first call
        holder.advance(41, 81)
        queue_up(at, [waiting, shorter])
        waiting.turn._done, waiting.turn._total = 0, 100
        shorter.turn._done, shorter.turn._total = 0, 10
        seen = at.before(waiting.turn)
        assert seen is not None and seen.title == "SS-CAM"
        assert seen.seconds == pytest.approx(holder.remaining + 5.0)
        next_one = at.before(shorter.turn)
        assert next_one is not None and next_one.seconds == 0, "it comes after the next batch"
        assert at.before(holder) is None
    waiting.join(SOON)
    shorter.join(SOON)


def test_pace_is_that_of_the_device_and_leaves_out_what_came_before_the_first_batch(clock: Clock) -> None:
    at, turn, paces = Turns(), Turn("work"), Paces()
    with paces.measured("kind", turn), at.held(turn):
        clock.now += 100  # preparing
        turn.advance(0, 10)
        assert turn.remaining == 0, "no unit was done yet, and no earlier time tells"
        clock.now += 2
        turn.advance(4, 10)
        assert turn.remaining == pytest.approx(3.0)
    assert paces.of("kind") == pytest.approx(0.5)
    assert paces.of("another kind") is None


def test_a_job_cancelled_while_it_waits_never_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    at = Turns()
    monkeypatch.setattr(devices, "turns", lambda device: at)
    began: list[str] = []

    def work(job: Job) -> None:
        with devices.computing("cpu", job):
            began.append(job.title)

    job = Job("key", work, "Score-CAM")
    thread = threading.Thread(target=job.run, daemon=True)
    with at.held(Turn("SS-CAM")):
        thread.start()
        while not at.contended:
            pass
        queue = job.queue()
        assert queue is not None and queue.title == "SS-CAM"
        job.cancel()
    thread.join(SOON)
    assert (job.state, began) == ("cancelled", [])


def test_the_device_goes_on_without_work_that_hangs(clock: Clock) -> None:
    at, log = Turns(), []
    gate, lost = threading.Event(), threading.Event()
    hangs = Turn("hangs", lost=lost.set)
    entered = threading.Event()

    def hang() -> None:
        with at.held(hangs):
            hangs.advance(0, 10)
            entered.set()
            gate.wait(SOON)
            at.give_way(hangs)  # too late: it has no turn to give, and gets no other
            log.append("hung work")

    thread = threading.Thread(target=hang, daemon=True)
    thread.start()
    assert entered.wait(SOON)
    other = Worker(at, "other", 3, 0.01, clock, log)
    queue_up(at, [other])
    clock.now += 400
    (holding,) = at.holdings
    assert (holding.turn, holding.silent, holding.waiting) == (hangs, 400, 1)
    at.take_from(hangs)
    other.join(SOON)
    assert lost.is_set() and log == ["other"] * 3
    with at.held(Turn("next")):  # has the device while the hung work comes back
        gate.set()
        thread.join(SOON)
        assert log[-1] == "hung work"
        assert have(at) == ["next"]
    assert at.taken == 0 and not at.contended


def test_silence_is_counted_from_the_last_batch_and_the_hold_from_its_beginning(clock: Clock) -> None:
    at, turn = Turns(), Turn("work")
    with at.held(turn):
        clock.now += 20
        turn.advance(0, 4)
        clock.now += 15
        turn.advance(1, 4)
        clock.now += 5
        (holding,) = at.holdings
        assert (holding.seconds, holding.silent) == (40, 5)


def test_a_device_is_only_taken_from_who_has_it(clock: Clock) -> None:
    at, former = Turns(), Turn("former", lost=pytest.fail)
    with at.held(former):
        pass
    with at.held(Turn("now")):
        at.take_from(former)
        assert have(at) == ["now"]
