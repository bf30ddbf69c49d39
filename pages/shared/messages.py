"""What happened, why, and the next click. Nothing here ever shows a traceback."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.runtime.jobs import Job
from pages.shared import links
from pages.shared.style import duration

Action = tuple[str, Callable[[], None]]
"""A button's label and what it does before the page is drawn again."""

POLL = 0.5
"""Seconds between two looks at a running job."""


def failure(what: str, why: str, *actions: Action, key: str) -> None:
    """An error in the page: what happened, why, and buttons that lead on."""
    with st.container(key=f"failure-{key}"):
        st.error(f"**{what}**  \n{_plain(_sentence(why))}", icon=":material/error:")
        if actions:
            with st.container(horizontal=True):
                for number, action in enumerate(actions):
                    button(action, key=f"{key}-action-{number}")


def button(action: Action, *, key: str) -> None:
    """A button that acts and has the whole page drawn again, also where it stands in a fragment."""
    label, act = action
    if st.button(label, key=key, on_click=act):
        st.rerun()


def link_notices() -> None:
    """What the link asked for in vain, until it is dismissed. Draw it last: pickers find out while they are drawn."""
    if found := links.notices():
        with st.container(horizontal=True, vertical_alignment="center", wrap=False, key="link-notices"):
            st.info("  \n".join(map(_plain, found)), icon=":material/link_off:")
            st.button("Dismiss", on_click=links.dismiss, key="dismiss-notices", type="tertiary")


def empty(text: str) -> None:
    """Why there is nothing to see, and what to do."""
    st.info(text, icon=":material/arrow_upward:")


def progress(job: Job, what: str, *, leave: Action | None = None) -> None:
    """A job under way: how far, how long still, and a way out if there is one. Draws the page again at its end."""
    key = job.key

    @st.fragment(run_every=POLL)
    def poll() -> None:
        if not job.active:
            st.rerun()
        with st.container(key=f"poll-{key}"):
            st.progress(job.fraction, text=under_way(job, what))
            if leave:
                button(leave, key=f"leave-{key}")

    poll()


def under_way(job: Job, what: str) -> str:
    """ "Computing · 34 % · 12 s left"."""
    return f"{what}{_pace(job)}"


def _pace(job: Job) -> str:
    """ " · 34 % · 12 s left", as much of it as is known."""
    if job.state == "waiting":
        return " · waiting for its turn"
    if not job.total:
        return " …"
    left = job.time_left
    return f" · {100 * job.fraction:.0f} %" + ("" if left is None else f" · {duration(max(left, 1))} left")


def _sentence(text: str) -> str:
    """The core's messages begin small and end without a stop, as exceptions do."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ")")) else ".")


def _plain(text: str) -> str:
    r"""Text from elsewhere, which may hold names such as `layer*` or `[0]`, as it is: nothing of it is Markdown."""
    for mark in "\\`*_[]<>$~":
        text = text.replace(mark, f"\\{mark}")
    return text
