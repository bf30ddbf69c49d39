"""Visits: a browser with its tabs, their jobs and a folder. Pure Python, any thread: nothing here touches Streamlit.

    visits = Visits(is_here=…, ended=…)
    jobs = visits.tab("browser", "tab", most=32)     # at every run of a page: the jobs of that tab
    visits.folder("browser")                         # where the browser's networks and photos lie
    visits.sweep()                                   # every few seconds: ends what nobody has come back to

A laptop that slept and a Wi-Fi that dropped come back as the same tab, a page that is loaded again as another one: it
takes over by their keys the jobs of those tabs of its browser that are gone. Jobs of two open tabs are apart: neither
ever cancels what the other shows. Two minutes after its socket was closed a tab's jobs end, and with the last tab all
that the browser has left, on disk and in memory.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pages.runtime.jobs import Job, Jobs, stop_everything

ABSENCE: Final = 120.0
"""Seconds for which a tab whose socket is closed keeps its jobs."""

SWEEP: Final = 5.0
"""Seconds between two looks at who is there."""

_LAST_BATCH: Final = 600.0  # seconds for which a folder waits for jobs that may still write into it

_log = logging.getLogger(__name__)


@dataclass
class _Browser:
    """One visitor: the tabs by their names, when each was seen last, and what they have in common."""

    tabs: dict[str, Jobs] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    folder: Path | None = None
    ended: list[Job] = field(default_factory=list)  # of tabs that are gone, those that still have a batch to finish


class Visits:
    """All browsers that are here, or were a moment ago. Safe to use from several threads.

    Args:
        is_here: whether a tab's socket is open.
        tab_ended: told of every tab that is not waited for any more.
        browser_ended: told of a browser whose last tab has ended, and of its folder, which is about to go.
    """

    def __init__(
        self,
        is_here: Callable[[str], bool],
        tab_ended: Callable[[str], None] = lambda tab: None,
        browser_ended: Callable[[str, Path | None], None] = lambda browser, folder: None,
    ) -> None:
        self._is_here, self._tab_ended, self._browser_ended = is_here, tab_ended, browser_ended
        self._browsers: dict[str, _Browser] = {}
        self._leaving: list[tuple[_Browser, float]] = []
        self._mutex = threading.Lock()
        _ALL.add(self)

    def tab(self, browser: str, tab: str, most: int) -> Jobs:
        """The jobs of a tab; all tabs of its browser together have at most so many at once."""
        with self._mutex:
            own = self._browsers.setdefault(browser, _Browser())
            own.seen[tab] = time.monotonic()
            if tab not in own.tabs:
                own.tabs[tab] = Jobs(browser, most, lambda: self._tabs(own), lambda: self._is_here(tab))
            return own.tabs[tab]

    def folder(self, browser: str) -> Path:
        """A folder for what the visitor trains and uploads; only for a browser with a tab."""
        with self._mutex:
            own = self._browsers[browser]
            if own.folder is None:
                own.folder = Path(tempfile.mkdtemp(prefix="camscope-"))
            return own.folder

    @property
    def jobs(self) -> list[Job]:
        """All jobs that run or wait."""
        with self._mutex:
            return [job for own in self._browsers.values() for jobs in own.tabs.values() for job in jobs.active]

    @property
    def counts(self) -> tuple[int, int]:
        """How many browsers are here, and how many tabs of theirs."""
        with self._mutex:
            here = [sum(map(bool, map(self._is_here, own.tabs))) for own in self._browsers.values()]
        return sum(map(bool, here)), sum(here)

    def sweep(self) -> None:
        """End the tabs that have been away for too long, and the browsers that have no other."""
        over = self._taken_out()
        for own, _, jobs in over:
            own.ended += jobs.close()
        for _, tab, _ in over:
            _tell(self._tab_ended, tab)
        for browser, own in self._without_tabs():
            _tell(self._browser_ended, browser, own.folder)
        now = time.monotonic()
        self._leaving = [(own, since) for own, since in self._leaving if not _removed(own, now - since)]

    def close(self) -> None:
        """Everybody has left: what is on the disk goes. No job may be running."""
        with self._mutex:
            everybody = [*self._browsers.values(), *(own for own, _ in self._leaving)]
        for own in everybody:
            _removed(own, _LAST_BATCH)

    def _tabs(self, own: _Browser) -> list[Jobs]:
        with self._mutex:
            return list(own.tabs.values())

    def _taken_out(self) -> list[tuple[_Browser, str, Jobs]]:
        now = time.monotonic()
        over = []
        with self._mutex:
            for own in self._browsers.values():
                own.ended = [job for job in own.ended if not job.wait(0)]
                own.seen.update({tab: now for tab in own.tabs if self._is_here(tab)})
                # When it was seen last, it stayed for up to another sweep.
                away = [tab for tab in own.tabs if now - own.seen[tab] > ABSENCE + SWEEP]
                over += [(own, tab, own.tabs.pop(tab)) for tab in away]
                own.seen = {tab: own.seen[tab] for tab in own.tabs}
        return over

    def _without_tabs(self) -> list[tuple[str, _Browser]]:
        with self._mutex:
            empty = [(browser, own) for browser, own in self._browsers.items() if not own.tabs]
            for browser, own in empty:
                del self._browsers[browser]
                self._leaving.append((own, time.monotonic()))
        return empty


def _tell(listener: Callable[..., None], *ended: Any) -> None:
    """What goes wrong at the end of one visit shall not keep the others from ending."""
    try:
        listener(*ended)
    except Exception:
        _log.exception("the end of a visit went wrong")


def _removed(own: _Browser, seconds: float) -> bool:
    """Take the folder away as soon as no job can write into it; whether that is done."""
    if seconds < _LAST_BATCH and not all(job.wait(0) for job in own.ended):
        return False
    if own.folder is not None:
        shutil.rmtree(own.folder, ignore_errors=True)
    return True


_ALL: weakref.WeakSet[Visits] = weakref.WeakSet()


@atexit.register
def _leave_nothing() -> None:
    """The server stops: folders go when nobody writes into them any more."""
    stop_everything()
    for visits in list(_ALL):
        visits.close()
