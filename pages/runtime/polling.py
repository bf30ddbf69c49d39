"""One look at the jobs of a page at a time: what moves while they run is drawn again in its place, and nothing else.

    with polling.of_page():                            # around a run of the page
        ...
        polling.watch([job], draw, key="map")          # `draw` has a place here, and fills it twice a second

All that moves on a page shares one fragment, whatever it is in: each look costs a visitor's browser a request, and the
server a run. The more pages are open, the more seldom each is looked at. When a job has ended, the whole page is drawn
again. A `part` of a page is drawn again without the rest when something in it is chosen, and looks after its own jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, ParamSpec

import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

from pages.runtime import compute
from pages.runtime.jobs import Job, Jobs

OFTEN: Final = 0.5
"""Seconds between two looks where a bar moves."""
SELDOM: Final = 1.0
"""The same where charts grow: it costs more to draw them."""

_RAREST: Final = 1.5
"""The same where a job takes long: each look costs the browser, too, some of the processor that the job computes on."""
_LOOKS: Final = 4
"""So often at least a job is looked at until it ends."""

_LATE: Final = 1.3
"""A job often ends that much earlier than its pace so far tells: it began beside a browser that drew the page."""
_BREATH: Final = 0.1
"""Seconds that a click which draws the whole page waits at most for a look that waits for a job.

One in a `part` waits for the look itself, until the next one would come: Streamlit ends no fragment for another."""

_ALTOGETHER: Final = 12
"""Looks per second at all pages that are open: what they take of Python's lock, whoever computes waits for."""

_KEY: Final = "_watches"

P = ParamSpec("P")


@dataclass(frozen=True)
class _Watch:
    """Something that moves: what draws it, where, how often, and the jobs that move it."""

    draw: Callable[[], None]
    place: Any
    every: float
    jobs: Sequence[Job]
    ended: Callable[[Iterable[bool]], bool]

    @property
    def over(self) -> bool:
        return self.ended(not job.active for job in self.jobs)


class _Page:
    """Everything that moves in one run of a page."""

    def __init__(self) -> None:
        self._watches: list[_Watch] = []
        self._begun = False
        self._interval = OFTEN  # the browser keeps to it until the page is drawn again
        self._seen = False  # whether this is not the first look, which is part of the run of the page

    def add(self, watch: _Watch) -> None:
        self._watches.append(watch)

    def begin(self) -> None:
        if self._watches and not self._begun:
            self._begun = True
            self._interval = self._every()
            st.fragment(self._look, run_every=self._interval)()

    def _every(self) -> float:
        _, tabs = compute.visits().counts
        left = min((job.time_left or job.expected() for job in self._active), default=0.0)
        return max(tabs / _ALTOGETHER, min(left / _LOOKS, _RAREST), *(watch.every for watch in self._watches))

    def _look(self) -> None:
        self._page_again_if_over()
        for watch in self._watches:
            with in_its_places(), watch.place:
                watch.draw()
        if self._seen:
            self._await_who_ends()
            self._page_again_if_over()
        self._seen = True

    @property
    def _active(self) -> list[Job]:
        return [job for watch in self._watches for job in watch.jobs if job.active]

    @property
    def _over(self) -> bool:
        return any(watch.over for watch in self._watches)

    def _page_again_if_over(self) -> None:
        if self._over:
            st.rerun()

    def _await_who_ends(self) -> None:
        """What is there before the next look would come is on the screen at once."""
        next_look = time.monotonic() + self._interval
        while (left := next_look - time.monotonic()) > 0 and not self._over:
            ending = [job for job in self._active if job.time_left is not None and job.time_left < _LATE * left]
            if not ending:
                return
            Jobs.wait(ending[:1], min(left, _BREATH))
            st.session_state.get(_KEY)  # where Streamlit ends this run if the whole page is to be drawn meanwhile


@contextmanager
def of_page() -> Iterator[None]:
    """Around a run of a page, or of a `part`: what is watched inside the block begins to move at its end."""
    around = st.session_state.get(_KEY)
    page = st.session_state[_KEY] = _Page()
    try:
        yield
        page.begin()
    finally:
        st.session_state[_KEY] = around


@contextmanager
def in_its_places() -> Iterator[None]:
    """Around what a fragment draws into containers from outside it.

    A click begins another run of the page while this one still draws, and its containers are gone: the other draws all.
    """
    try:
        yield
    except StreamlitInvalidLayoutContextError:
        st.rerun()


def part(draw: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that is drawn again alone when something in it is chosen.

    The sidebar, with all classes of the network, is dearer to send and to draw than most pages.
    """

    @st.fragment
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        with of_page(), in_its_places():
            draw(*args, **kwargs)

    return drawn


def watch(
    jobs: Sequence[Job],
    draw: Callable[[], None],
    *,
    place: Any = None,
    key: str = "",
    every: float = OFTEN,
    ended: Callable[[Iterable[bool]], bool] = any,
) -> None:
    """Give `draw` a place that it fills: again and again as long as jobs are under way, once where there are none.

    In a fragment only if it is a `part`: it is drawn again without the page, whose block is over then.

    Args:
        draw: draws all that is there; no two at a time.
        place: an empty container; where omitted, one is made here, called by the `key`.
        every: seconds between two drawings at least; more if something else is dearer to draw, or many are here.
        ended: `all` where the page is drawn again only when every job has ended.
    """
    place = st.container(key=f"poll-{key}") if place is None else place
    if jobs:
        page: _Page = st.session_state[_KEY]
        page.add(_Watch(draw, place, every, jobs, ended))
    else:
        with place:
            draw()


def begin() -> None:
    """Draw what is watched so far, for the first time: where the page stops, or something follows that takes longer."""
    page: _Page = st.session_state[_KEY]
    page.begin()
