"""Who is here, who comes back, and what is left of a visit that is over: nothing."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages.runtime import compute, visits
from pages.runtime.jobs import Job, Jobs
from pages.runtime.visits import ABSENCE, SWEEP, Visits

ROOT = Path(__file__).parents[3]
SOON = 10  # seconds: far more than needed, so that only a hanging thread fails


class Class:
    """A class of visitors, whose sockets open and close as they are told, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.here = 1000.0, set[str]()
        self.ended: list[str] = []
        monkeypatch.setattr(visits.time, "monotonic", lambda: self.now)
        self.visits = Visits(
            self.here.__contains__, self.ended.append, lambda browser, folder: self.ended.append(browser)
        )

    def browser_ended(self, browser: str, folder: Path | None) -> None:
        self.ended.append(browser)

    def opens(self, browser: str, tab: str) -> Jobs:
        self.here.add(tab)
        return self.visits.tab(browser, tab, most=10)

    def closes(self, tab: str) -> None:
        self.here.discard(tab)

    def passes(self, seconds: float) -> None:
        """Time goes by, with a look every few seconds."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + SWEEP)
            self.visits.sweep()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Class]:
    own = Class(monkeypatch)
    yield own
    own.here.clear()
    own.passes(2 * ABSENCE)


def endless(job: Job) -> None:
    job.publish("first")
    while True:
        job.check()
        threading.Event().wait(0.001)


def test_a_tab_that_comes_back_within_two_minutes_finds_its_work(room: Class) -> None:
    job = room.opens("anna", "tab").start("explain:a", endless)
    room.closes("tab")
    room.passes(ABSENCE)
    assert room.opens("anna", "tab").start("explain:a", endless) is job
    room.passes(10 * ABSENCE)
    assert job.active, "it looks at it again"


def test_a_tab_that_comes_back_later_begins_anew(room: Class) -> None:
    job = room.opens("anna", "tab").start("explain:a", endless)
    room.closes("tab")
    room.passes(ABSENCE + 3 * SWEEP)
    assert job.wait(SOON) and job.state == "cancelled"
    assert room.opens("anna", "tab").start("explain:a", endless) is not job


def test_a_page_loaded_again_takes_its_work_over_and_then_decides_on_it_alone(room: Class) -> None:
    before = room.opens("anna", "before")
    job, other = before.start("explain:a", endless), before.start("explain:b", endless)
    room.closes("before")
    after = room.opens("anna", "after")
    assert after.start("explain:a", endless) is job
    assert job.items == ("first",)
    room.passes(ABSENCE + 3 * SWEEP)
    assert (job.active, other.state) == (True, "cancelled")
    after.keep_only([], prefix="explain")
    assert job.wait(SOON) and job.state == "cancelled"


def test_two_open_tabs_never_touch_each_others_work(room: Class) -> None:
    first, second = room.opens("anna", "first"), room.opens("anna", "second")
    job, same = first.start("explain:a", endless), second.start("explain:a", endless)
    assert job is not same
    assert second.find("explain") is same
    same.cancel()
    second.keep_only([])
    assert job.active


def test_nobody_takes_over_another_browsers_work(room: Class) -> None:
    job = room.opens("anna", "one").start("explain:a", endless)
    room.closes("one")
    other = room.opens("ben", "two")
    assert other.find("explain") is None
    assert other.start("explain:a", endless) is not job


def test_work_is_found_by_what_it_is_for(room: Class) -> None:
    before = room.opens("anna", "before")
    before.start("training1", lambda job: 1, about="old")
    before.start("training2", endless, about="settings")
    room.closes("before")
    job = room.opens("anna", "after").find("training")
    assert job is not None and (job.key, job.about) == ("training2", "settings")
    assert before.find("training2") is None, "it belongs to one tab"


def test_what_failed_is_begun_anew(room: Class) -> None:
    failed = room.opens("anna", "before").start("explain:a", lambda job: 1 / 0)
    assert failed.wait(SOON)
    room.closes("before")
    again = room.opens("anna", "after").start("explain:a", lambda job: 2)
    assert again.wait(SOON) and again.result == 2


def test_a_visitor_has_so_many_jobs_at_once_in_all_tabs(room: Class) -> None:
    first, second, other = room.opens("anna", "one"), room.opens("anna", "two"), room.opens("ben", "three")
    running = [first.start(f"explain:{number}", endless) for number in range(6)]
    running += [second.start(f"explain:{number}", endless) for number in range(4)]
    refused = second.start("explain:more", endless)
    assert refused.state == "failed" and refused.error is not None and "10 computations of yours" in refused.error
    assert other.start("explain:more", endless).active
    running[0].cancel()
    assert second.start("explain:more", endless).active, "the refusal is not kept"


def test_the_end_of_a_visit_leaves_nothing_on_disk_and_in_memory(room: Class) -> None:
    class Upload:
        pass

    upload = Upload()
    left = weakref.ref(upload)
    jobs = room.opens("anna", "tab")
    folder = room.visits.folder("anna")
    (folder / "photos").mkdir()
    (folder / "photos" / "a.png").write_bytes(b"pixels")
    job = jobs.start("training", lambda job, upload=upload: endless(job))
    del upload
    threads = threading.active_count()
    room.closes("tab")
    room.passes(ABSENCE + 3 * SWEEP)
    assert job.wait(SOON)
    del jobs, job
    room.passes(SWEEP)
    assert room.ended == ["tab", "anna"]
    assert not folder.exists()
    assert room.visits.jobs == [] and room.visits.counts == (0, 0)
    until = time.time() + SOON
    while threading.active_count() >= threads and time.time() < until:
        threading.Event().wait(0.01)
    gc.collect()
    assert left() is None, "nothing holds what it worked on"


def test_the_folder_stays_while_a_job_may_write_into_it(room: Class) -> None:
    gate = threading.Event()
    jobs = room.opens("anna", "tab")
    folder = room.visits.folder("anna")

    def late(job: Job) -> None:
        gate.wait(SOON)
        (folder / "best").write_text("weights")

    job = jobs.start("training", late)
    room.closes("tab")
    room.passes(2 * ABSENCE)
    assert folder.exists()
    gate.set()
    assert job.wait(SOON)
    room.passes(SWEEP)
    assert not folder.exists()


def test_the_folder_stays_as_long_as_one_tab_is_open(room: Class) -> None:
    room.opens("anna", "first")
    folder = room.visits.folder("anna")
    room.opens("anna", "second")
    room.closes("first")
    room.passes(3 * ABSENCE)
    assert folder.exists() and room.ended == ["first"]
    assert room.visits.counts == (1, 1)


def test_one_end_that_goes_wrong_keeps_no_other_from_ending(
    room: Class, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def tab_ended(tab: str) -> None:
        room.ended.append(tab)
        raise RuntimeError("no such session")

    def browser_ended(browser: str, folder: Path | None) -> None:
        room.ended.append(browser)
        raise RuntimeError("no such model")

    room.visits = Visits(room.here.__contains__, tab_ended, browser_ended)
    running = [room.opens(name, f"tab of {name}").start("explain:a", endless) for name in ("anna", "ben")]
    folders = [room.visits.folder(name) for name in ("anna", "ben")]
    room.here.clear()
    room.passes(ABSENCE + 2 * SWEEP)
    assert all(job.wait(SOON) for job in running)
    room.passes(SWEEP)
    assert room.ended == ["tab of anna", "tab of ben", "anna", "ben"]
    assert not any(folder.exists() for folder in folders)
    assert "no such session" in caplog.text and "no such model" in caplog.text


def test_of_tabs_that_are_gone_a_browser_keeps_nothing(room: Class) -> None:
    room.opens("anna", "stays")
    for tab in ("first", "second"):
        job = room.opens("anna", tab).start("explain:a", endless)
        room.closes(tab)
        room.passes(ABSENCE + 2 * SWEEP)
        assert job.wait(SOON)
    room.passes(SWEEP)
    (own,) = room.visits._browsers.values()
    assert (list(own.seen), own.ended) == (["stays"], [])


def test_a_server_that_stops_leaves_no_folder() -> None:
    program = """
from pages.runtime.visits import Visits

visits = Visits(lambda tab: True)
jobs = visits.tab("anna", "tab", most=10)
folder = visits.folder("anna")

def work(job):
    while True:
        (folder / "unfinished").write_text("half a network")
        job.check()

job = jobs.start("training", work)
while not (folder / "unfinished").exists():
    pass
print(folder)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "camscope-" in done.stdout and not Path(done.stdout.strip()).exists()


def test_with_a_visit_go_its_results_and_the_network_that_it_trained_and_no_other(
    monkeypatch: pytest.MonkeyPatch, tiny_model: None
) -> None:
    made: list[Visits] = []
    monkeypatch.setattr(compute, "keep", lambda everybody, *rest: made.append(everybody))
    monkeypatch.setattr(compute.presence, "is_here", lambda tab: False)
    compute.visits.clear()
    try:
        everybody = compute.visits()
        everybody.tab("anna", "tab", most=10)
        own = everybody.folder("anna") / "mine-lfi.safetensors"
        compute.results().put("anna's", 1, "anna")
        network = weakref.ref(compute.classifier(compute.ModelSpec(str(own), weights="random")))
        shared = compute.classifier(compute.ModelSpec("efficientnet_lite0"))
        now = time.monotonic() + ABSENCE + 2 * SWEEP
        monkeypatch.setattr(visits.time, "monotonic", lambda: now)
        everybody.sweep()
        gc.collect()
        assert made == [everybody]
        assert len(compute.results()) == 0 and network() is None
        assert compute.classifier(compute.ModelSpec("efficientnet_lite0")) is shared, "others look at it"
    finally:
        compute.visits.clear()
