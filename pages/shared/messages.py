"""Messages: what happened, why, and the next click; how a job stands. Nothing here ever shows a traceback.

messages.pending(job, "Computing", "No map.", messages.again(job), key="map")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import streamlit as st

from pages.runtime import compute, polling
from pages.runtime.jobs import Job
from pages.runtime.limits import limits
from pages.shared import links
from pages.shared.style import duration, notice_line, plain, sentence

_PLACE: Final = re.compile(r"(?<![\w:/.])(?:/[^\s/,;:()]+)+/([^\s/,;:()]+)")

Action = tuple[str, Callable[[], None]]
"""A button's label and what it does before the page is drawn again."""


def failure(what: str, why: str, *actions: Action, key: str) -> None:
    """An error in the page: what happened, why, and buttons that lead on."""
    with st.container(key=f"failure-{key}"):
        st.error(f"**{what}**  \n{plain(sentence(_without_places(why)))}", icon=":material/error:")
        if actions:
            with st.container(horizontal=True):
                for number, action in enumerate(actions):
                    button(action, key=f"{key}-action-{number}")


def _without_places(why: str) -> str:
    """Where a file lies on the machine of the app helps whoever sits before it, and is no other's business."""
    return why if limits().folders else _PLACE.sub(r"\1", why)


def button(action: Action, *, key: str) -> None:
    """A button that acts before the page is drawn again; not for a fragment, which alone would be drawn again."""
    label, act = action
    st.button(label, key=key, on_click=act)


def link_notices() -> None:
    """Notices of what the link asked for in vain, until they are dismissed.

    Draw them last: pickers find out while they are drawn.
    """
    if notices := links.notices():
        with st.container(horizontal=True, vertical_alignment="center", wrap=False, key="link-notices"):
            st.info("  \n".join(map(plain, notices)), icon=":material/link_off:")
            st.button("Dismiss", on_click=links.dismiss, key="dismiss-notices", type="tertiary")


def empty(text: str) -> None:
    """Why there is nothing to see, and what to do."""
    st.info(text, icon=":material/arrow_upward:")


def pending(
    job: Job,
    what: str,
    lost: str,
    *actions: Action,
    key: str,
    leave: Action | None = None,
    why: str = "",
    stays: str = "",
    cancelled: tuple[str, Action] | None = None,
    among: Sequence[Job] = (),
    bar: Callable[[], None] | None = None,
) -> None:
    """How a job stands: its bar, which moves, or how it failed or was cancelled. The page is drawn again when it ends.

    Args:
        what: what it does, while it does it: "Computing".
        lost: what there is not if it fails: "No map."
        actions: what leads on then; `again(job)` in most places.
        key: tells its buttons from those of other jobs on the page.
        leave: the way out while it is under way.
        why: the reason of a failure, where it is not the job's own.
        stays: what is left all the same, said after the reason.
        cancelled: what is left, and how to go on. Where omitted, a cancelled job is one that failed.
        among: all jobs under way that it stands for; the page is drawn again when the last of them has ended.
        bar: draws the bar, where it is not the job's own.
    """
    state = job.state  # read once: the worker goes on while the page is drawn
    if state == "done" and not among:
        st.rerun()
    if state == "failed" or (state == "cancelled" and not cancelled):
        failure(lost, f"{sentence(why or job.error or 'it was cancelled')}{stays}", *actions, key=key)
        return
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, key=f"pending-{key}"):
        if state == "cancelled" and cancelled:
            said, action = cancelled
            st.html(notice_line(said))
            button(action, key=f"again-{key}")
            return
        polling.watch(among or [job], bar or partial(progress, job, what), key=f"bar-{key}", ended=all)
        if leave:
            button(leave, key=f"leave-{key}")


def progress(job: Job, what: str, share: float | None = None) -> None:
    """A job's bar as it is now; `share` is how much of the work is done, where it is more than this job's."""
    st.progress(job.fraction if share is None else share, text=f"{what}{_pace(job)}")


def again(job: Job, label: str = "Try again") -> Action:
    """The job's work anew, or on from where it was stopped."""
    return label, partial(compute.forget, job)


def go_on(job: Job) -> Action:
    """The work of a job that was cancelled: from where it was stopped, if something of it is kept."""
    return again(job, "Continue" if len(job.record) else "Start again")


def cancel(job: Job) -> Action:
    """An end to it."""
    return "Cancel", job.cancel


def at(job: Job) -> str:
    """How far a job has come that was cancelled: " at 34 %"; "" where it had not begun."""
    return f" at {100 * job.fraction:.0f} %" if job.fraction else ""


def _pace(job: Job) -> str:
    """ " · 34 % · 12 s left", or what it waits for and how long; as much of it as is known."""
    share = f" · {100 * job.fraction:.0f} % done" if job.done else ""
    if queue := job.queue():
        turn = f"in about {duration(queue.seconds)}" if queue.seconds >= 1 else "next"
        return f"{share} · its turn comes {turn}: {queue.title} is being computed now"
    if job.state == "waiting":
        return " · begins when your other work is done"
    if not job.done:  # nothing that a bar could show: it stands still until the first unit is done
        return f" · {job.beginning} …"
    left = job.time_left
    return f" · {100 * job.fraction:.0f} %" + ("" if left is None else f" · {duration(max(left, 1))} left")
