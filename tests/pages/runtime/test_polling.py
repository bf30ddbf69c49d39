"""What moves on a page: one fragment for all of it, drawn in its places, and the whole page when a job has ended."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.runtime import polling
from pages.runtime.jobs import Job
from pages.runtime.visits import Visits
from tests.pages.runtime.clock import Clock


@pytest.fixture
def intervals(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Seconds between the runs of each fragment that was made."""
    made: list[float | None] = []
    fragment = st.fragment

    def noted(draw: Any, *, run_every: float | None = None) -> Any:
        made.append(run_every)
        return fragment(draw, run_every=run_every)

    monkeypatch.setattr(st, "fragment", noted)
    return made


def run(script: Any, *jobs: Job) -> AppTest:
    at = AppTest.from_function(script, kwargs={"jobs": jobs}).run()
    assert not at.exception
    return at


def texts(at: AppTest) -> list[str]:
    return [element.value for element in at.text]


def running(key: str) -> Job:
    job = Job(key, lambda job: None)
    job._state = "running"
    return job


def three_bars(jobs: tuple[object, ...]) -> None:
    import streamlit as st

    from pages.runtime import polling

    with polling.of_page():
        for job in jobs:
            st.text(f"over {job.key}")
            polling.watch([job], lambda job=job: st.text(f"{job.key} {job.done}"), key=job.key)
        st.text("the end")


def test_all_that_moves_shares_one_fragment_and_stands_in_its_place(intervals: list[float | None]) -> None:
    at = run(three_bars, *map(running, "abc"))
    assert texts(at) == ["over a", "a 0", "over b", "b 0", "over c", "c 0", "the end"]
    assert intervals == [polling.OFTEN]


def test_a_run_whose_places_are_gone_leaves_everything_to_another() -> None:
    def script(jobs: tuple[object, ...]) -> None:
        import streamlit as st
        from streamlit.errors import StreamlitInvalidLayoutContextError

        from pages.runtime import polling

        st.session_state["runs"] = number = st.session_state.get("runs", 0) + 1
        with polling.in_its_places():
            if number == 1:
                raise StreamlitInvalidLayoutContextError("gone")
            st.text(f"run {number}")

    assert texts(run(script)) == ["run 2"]


def test_where_nothing_moves_nothing_polls(intervals: list[float | None]) -> None:
    assert texts(run(three_bars)) == ["the end"] and intervals == []


def test_where_no_job_is_under_way_it_is_drawn_once(intervals: list[float | None]) -> None:
    def script(jobs: tuple[object, ...]) -> None:
        import streamlit as st

        from pages.runtime import polling

        with polling.of_page():
            polling.watch(jobs, lambda: st.text("stands"), key="x")

    assert texts(run(script)) == ["stands"] and intervals == []


def test_the_more_pages_are_open_the_more_seldom_each_is_looked_at(
    intervals: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for tabs, seconds in ((6, 0.5), (30, 2.5)):
        monkeypatch.setattr(Visits, "counts", (tabs, tabs))
        run(three_bars, running("a"))
        assert intervals.pop() == seconds


@pytest.mark.parametrize(
    ("left", "expected", "seconds"),
    [(None, 0.0, 0.5), (2.0, 0.0, 0.5), (4.0, 0.0, 1.0), (600.0, 0.0, 1.5), (None, 4.0, 1.0), (2.0, 4.0, 0.5)],
)
def test_the_longer_it_takes_the_more_seldom_it_is_looked_at(
    intervals: list[float | None],
    monkeypatch: pytest.MonkeyPatch,
    left: float | None,
    expected: float,
    seconds: float,
) -> None:
    monkeypatch.setattr(Job, "time_left", left)
    job = running("a")
    job.expected = lambda: expected
    run(three_bars, job)
    assert intervals == [seconds]


def test_the_page_is_drawn_again_when_the_first_job_has_ended_or_the_last(intervals: list[float | None]) -> None:
    def script(jobs: tuple[object, ...]) -> None:
        import streamlit as st

        from pages.runtime import polling

        if "drawn" in st.session_state:
            st.text("drawn again")
            st.stop()
        st.session_state["drawn"] = True
        with polling.of_page():
            ended = all if jobs[0].title == "all" else any
            polling.watch(jobs, lambda: st.text("drawing"), key="x", ended=ended)

    done = Job("done", lambda job: None)
    done.run()
    assert texts(run(script, running("a"), done)) == ["drawn again"]
    patient = running("b")
    patient.title = "all"
    assert texts(run(script, patient, done)) == ["drawing"]
    other = Job("other", lambda job: None, "all")
    other.run()
    assert texts(run(script, other, done)) == ["drawn again"]


class PageAgain(Exception):
    pass


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> polling._Page:
    def page_again() -> None:
        raise PageAgain

    monkeypatch.setattr(st, "rerun", page_again)
    monkeypatch.setattr(polling._Page, "_every", lambda page: polling.OFTEN)
    return polling._Page()


def nearly_done(
    looked_at: polling._Page, monkeypatch: pytest.MonkeyPatch, seconds: float, takes: int = 3
) -> list[float]:
    """A job with so many seconds to go, done when somebody has waited so many times; how long they would have each."""
    job, waits, clock = running("a"), list[float](), Clock()
    monkeypatch.setattr(Job, "time_left", seconds)
    monkeypatch.setattr(polling, "time", clock)

    def wait(job: Job, timeout: float | None = None) -> bool:
        waits.append(timeout or 0.0)
        clock.now += polling._BREATH
        if len(waits) == takes:
            job._state = "done"
        return not job.active

    monkeypatch.setattr(Job, "wait", wait)
    looked_at.add(polling._Watch(lambda: None, nullcontext(), polling.OFTEN, [job], any))
    return waits


def test_a_job_that_ends_before_the_next_look_is_waited_for(
    looked_at: polling._Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = nearly_done(looked_at, monkeypatch, 0.2)
    looked_at._look()  # the first is part of the page, which waits for nobody
    assert waits == []
    with pytest.raises(PageAgain):
        looked_at._look()
    assert waits == [pytest.approx(polling._BREATH, abs=0.01)] * 3, "whoever wants the whole page meanwhile is seen"


def test_no_look_waits_longer_than_until_the_next(looked_at: polling._Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_BREATH", polling.OFTEN / 4)
    waits = nearly_done(looked_at, monkeypatch, 0.0, takes=100)
    looked_at._look()
    looked_at._look()
    assert waits == [pytest.approx(polling.OFTEN / 4, abs=0.01)] * 4


def test_a_job_that_may_end_a_little_later_is_waited_for(
    looked_at: polling._Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = nearly_done(looked_at, monkeypatch, 1.2 * polling.OFTEN, takes=1)
    looked_at._look()
    with pytest.raises(PageAgain):
        looked_at._look()
    assert len(waits) == 1


def test_a_job_that_takes_longer_is_not_waited_for(looked_at: polling._Page, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = nearly_done(looked_at, monkeypatch, 2.0)
    looked_at._look()
    looked_at._look()
    assert waits == []


def test_what_begins_early_comes_before_what_follows_also_where_the_page_stops(intervals: list[float | None]) -> None:
    def script(jobs: tuple[object, ...]) -> None:
        import streamlit as st

        from pages.runtime import polling

        order: list[str] = st.session_state.setdefault("order", [])
        with polling.of_page():
            polling.watch(jobs, lambda: order.append("moves"), key="x", every=polling.SELDOM)
            polling.watch(jobs, lambda: None, key="cheap")
            polling.begin()
            order.append("takes long")
            st.stop()

    at = run(script, running("a"))
    assert at.session_state["order"] == ["moves", "takes long"] and intervals == [polling.SELDOM]
