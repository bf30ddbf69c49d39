"""What is done and written while the server runs: visits end, hung work loses the device, the log says how it goes."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Iterator

import pytest

from pages.runtime import devices, keeper, turns, visits
from pages.runtime.jobs import Job, Jobs
from pages.runtime.keeper import LONG, SILENT, Keeper
from pages.runtime.store import Store
from pages.runtime.turns import Paces, Turn, Turns
from pages.runtime.visits import Visits
from tests.pages.runtime.clock import SOON, Clock


class House:
    """A server with one device, and a class in it."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.here = clock, {"tab"}
        self.device, self.paces, self.store = Turns(), Paces(), Store()
        self.visits = Visits(self.here.__contains__)
        self.keeper = Keeper(self.visits, {"cpu": self.device}, self.paces, self.store)

    def passes(self, seconds: float) -> None:
        """Time goes by, with a look every five seconds."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(until, self.clock.now + 5)
            self.keeper.look()


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[House]:
    clock = Clock()
    for module in (keeper, turns, visits):
        monkeypatch.setattr(module, "time", clock)
    caplog.set_level(logging.INFO, "pages")
    own = House(clock)
    yield own
    own.here.clear()
    own.passes(300)


def test_the_log_names_what_has_the_device_for_long_and_again_every_minute(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    turn = Turn("SS-CAM")
    with house.device.held(turn):
        house.passes(LONG)
        assert caplog.messages == []
        house.passes(5)
        assert caplog.messages == ["SS-CAM has had cpu for 35 s; 0 wait"]
        turn.advance(1, 100)
        house.passes(55)
        assert len(caplog.messages) == 1
        house.passes(5)
        assert caplog.messages[1:] == ["SS-CAM has had cpu for 95 s; 0 wait"]
    house.passes(120)
    assert len(caplog.messages) == 2, "nobody has it any more"


def test_what_hangs_loses_the_device_and_its_job_fails_with_a_sentence(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "turns", lambda device: house.device)
    monkeypatch.setattr(devices, "paces", lambda: house.paces)
    gate, holds = threading.Event(), threading.Event()

    def hang(job: Job) -> None:
        with devices.computing("cpu", job):
            holds.set()
            gate.wait(SOON)

    def quick(job: Job) -> str:
        with devices.computing("cpu", job) as progress:
            progress(0, 1)
            return "there"

    jobs = Jobs()
    hung = jobs.start("hung", hang, title="Odd network")
    assert holds.wait(SOON)
    others = [jobs.start(f"quick{number}", quick, title="CAM") for number in range(2)]
    while len(house.device._waiting) < 2:
        pass
    house.passes(SILENT)
    assert hung.active and others[0].active
    house.passes(5)
    assert all(job.wait(SOON) and job.result == "there" for job in others)
    assert (hung.state, hung.active) == ("failed", False)
    assert hung.error is not None and "has not answered" in hung.error
    assert "Odd network on cpu was silent for 305 s: the device goes to the others" in caplog.messages
    gate.set()
    threads = [thread for thread in threading.enumerate() if thread.name == "camscope-Odd network"]
    for thread in threads:
        thread.join(SOON)
    assert house.device.taken == 0 and hung.state == "failed"


def test_memory_is_given_back_once_nobody_computes_any_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    given = list[float]()
    house.passes(20)
    monkeypatch.setattr(keeper, "give_back_freed_memory", lambda: given.append(house.clock.now))
    turn = Turn("Score-CAM")
    with house.paces.measured("kind", turn), house.device.held(turn):
        turn.advance(0, 10)
        turn.advance(10, 10)
    with house.device.held(Turn("CAM")):
        house.passes(20)
    assert given == []
    house.passes(20)
    assert given == [house.clock.now - 15], "once"
    house.store.put("key", 1, "somebody")
    house.passes(20)
    house.store.disown("somebody")
    house.passes(20)
    assert given[1:] == [house.clock.now - 35, house.clock.now - 15], "what was kept for somebody who has left"


def test_what_holds_itself_in_a_circle_has_gone_before_memory_is_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()  # else a collection may come between by itself
    try:
        gone = weakref.ref(Session())
        there = list[bool]()
        monkeypatch.setattr(keeper, "give_back_freed_memory", lambda: there.append(gone() is not None))
        assert gone() is not None
        house.passes(5)
    finally:
        gc.enable()
    assert there == [False]


def test_a_line_per_minute_while_anybody_is_there(house: House, caplog: pytest.LogCaptureFixture) -> None:
    jobs = house.visits.tab("a secret browser", "tab", most=10)
    house.here.add("tab2")
    house.visits.tab("a secret browser", "tab2", most=10)
    house.store.put("key", 1)
    turn = Turn("Score-CAM")
    with house.paces.measured("kind", turn), house.device.held(turn):
        turn.advance(0, 10)
        house.clock.now += 5
        turn.advance(10, 10)
    gate = threading.Event()
    running = jobs.start("a", lambda job: gate.wait(SOON))
    waiting = jobs.start("b", lambda job: gate.wait(SOON))
    waiting.queue = lambda: turns.Queue("Score-CAM", 1.0)
    house.passes(60)
    (line,) = caplog.messages
    assert line.startswith("visitors: 1 in 2 tabs · jobs: 1 running, 1 waiting · 0.5000 seconds per step · memory: ")
    assert line.endswith(" · results kept: 1") and "secret" not in line
    gate.set()
    assert running.wait(SOON) and waiting.wait(SOON)
    house.passes(60)
    assert "jobs: 0 running, 0 waiting · nothing computed ·" in caplog.messages[1]
    house.here.clear()
    house.passes(600)
    assert len(caplog.messages) == 2, "nobody is there"


def test_visits_end_by_themselves(house: House) -> None:
    house.visits.tab("anna", "tab", most=10)
    folder = house.visits.folder("anna")
    house.here.clear()
    house.passes(135)
    assert not folder.exists()


def test_the_thread_goes_on_after_a_look_that_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = threading.Semaphore(0)

    def look(self: Keeper) -> None:
        looks.release()
        raise ZeroDivisionError

    monkeypatch.setattr(Keeper, "look", look)
    monkeypatch.setattr(keeper, "SWEEP", 0.01)
    keeper.keep(Visits(lambda tab: False), {}, Paces(), Store())
    assert all(looks.acquire(timeout=SOON) for _ in range(3))
    assert "a look at the server failed" in caplog.text
