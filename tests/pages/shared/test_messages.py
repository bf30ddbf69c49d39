"""How a job's state is drawn: one look at each state, and a page that is drawn again when a job has ended."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.runtime import limits
from pages.shared import messages, style
from tests.pages.app_runs import html


def looks(state: str, cancelled: bool) -> AppTest:
    def script(state: str, cancelled: bool) -> None:
        import streamlit as st

        from cam_core.types import CamError
        from pages.runtime import polling
        from pages.runtime.jobs import Job
        from pages.runtime.turns import Queue
        from pages.shared import messages

        def work(job: Job) -> str:
            if state == "failed":
                raise CamError("no room")
            return "a map"

        if "drawn" in st.session_state:
            st.write("drawn again")
            st.stop()
        st.session_state["drawn"] = True
        job = Job("key", work)
        if state == "running":
            job._state, job.done, job.total = "running", 1, 4
        elif state == "beginning":
            job._state, job.done, job.total = "running", 0, 4
        elif state == "queued":
            job._state, job.done, job.total, job.queue = "running", 1, 4, lambda: Queue("SS-CAM", 75.0)
        elif state == "cancelled":
            job.cancel()
        elif state != "waiting":
            job.run()
        stays = ("Cancelled. The rest stays.", ("Go on", lambda: None)) if cancelled else None
        action = ("Try again", lambda: None)
        with polling.of_page():
            messages.pending(job, "Drawing", "No map.", action, key="x", leave=messages.cancel(job), cancelled=stays)

    at = AppTest.from_function(script, kwargs={"state": state, "cancelled": cancelled}).run()
    assert not at.exception
    return at


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("waiting", "Drawing · begins when your other work is done"),
        ("beginning", "Drawing · preparing …"),
        ("running", "Drawing · 25 %"),
        ("queued", "Drawing · 25 % done · its turn comes in about 1 min 15 s: SS-CAM is being computed now"),
    ],
)
def test_under_way_there_is_a_bar_and_a_way_out(state: str, text: str, cancelled: bool) -> None:
    at = looks(state, cancelled)
    (bar,) = at.get("progress")
    assert bar.proto.text.startswith(text) and bar.proto.value == (0 if state in ("waiting", "beginning") else 25)
    assert [button.label for button in at.button] == ["Cancel"] and not at.error


def test_failed_it_says_why_and_leads_on() -> None:
    at = looks("failed", True)
    assert at.error[0].value == "**No map.**  \nNo room."
    assert [button.label for button in at.button] == ["Try again"] and not at.get("progress")


def test_cancelled_it_says_what_stays_where_something_does() -> None:
    at = looks("cancelled", True)
    assert "Cancelled. The rest stays." in html(at) and not at.error
    assert [button.label for button in at.button] == ["Go on"]
    at = looks("cancelled", False)
    assert at.error[0].value == "**No map.**  \nIt was cancelled."
    assert [button.label for button in at.button] == ["Try again"]


def test_done_the_page_is_drawn_again() -> None:
    at = looks("done", False)
    assert [text.value for text in at.markdown] == ["drawn again"] and not at.button


def test_a_message_of_the_core_becomes_a_sentence_that_calls_methods_by_their_titles() -> None:
    assert style.sentence("lrp-cam has no rule for 'pow'") == "LRP-CAM has no rule for 'pow'."
    assert style.sentence("no room!") == "No room!"


def test_where_others_reach_the_app_an_error_says_nothing_of_where_files_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "a.pth is not here: take https://example.org/models/a.pth and put it into /home/me/.cache/hub (3/4 of it)"
    monkeypatch.setattr(messages, "limits", lambda: limits.ALONE)
    assert messages._without_places(why) == why
    monkeypatch.setattr(messages, "limits", lambda: limits.ROOM)
    assert messages._without_places(why) == why.replace("/home/me/.cache/hub", "hub")
