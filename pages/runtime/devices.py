"""The devices that are computed on, and who has them.

    with computing(device, job) as progress:    # waits for a place
        explain(..., progress=progress)         # gives way between batches, stops when the job is cancelled

One at a time has a GPU; two have a CPU, and share its processors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from cam_core.models.batching import batches_within
from cam_core.models.openmp import can_share, dismiss_helpers, processors, take_processors
from cam_core.types import Progress
from pages.runtime.jobs import Job
from pages.runtime.turns import Paces, Turn, Turns

_PROCESSORS = processors()
_SHORT_BATCH = 0.1  # seconds that a batch lasts at most while others wait for the device, or share it
_SILENT = (
    "The network has not answered for minutes, so the device was given to the others. Try again, or choose another "
    "method or a smaller model."
)


@st.cache_resource(show_spinner=False)
def known() -> dict[str, Turns]:
    """The devices that something was computed on, and whose turn it is there."""
    return {}


def turns(device: str) -> Turns:
    """Whose turn it is at a device."""
    return known().setdefault(device, Turns(_places(device)))


def _places(device: str) -> int:
    """How many may compute at a time: two where processors can be shared.

    What one of them does on a single processor, Python or pictures, keeps the other from nothing. Nor does a page that
    is drawn: who computes on several processors waits on all of them for the one that is taken.
    """
    return 2 if device == "cpu" and _PROCESSORS > 1 and can_share() else 1


@st.cache_resource(show_spinner=False)
def paces() -> Paces:
    """How long units of work took when they were done last."""
    return Paces()


@contextmanager
def computing(device: str, job: Job, *, alone: bool = False) -> Iterator[Progress]:
    """Hold the device; yields the `progress` for the core, which reports, gives way, and stops when cancelled.

    Whoever has a CPU together with another computes on a part of its processors, which rounds in another way.

    Args:
        alone: together with nobody, for what shall come out the same to the last bit.
    """
    at_device, kind = turns(device), f"{device} {job.title}"
    turn = Turn(job.title, paces().of(kind), lambda: job.give_up(_SILENT), alone)
    job.queue = lambda: at_device.before(turn)
    job.expected = lambda: turn.remaining

    def progress(done: int, total: int) -> None:
        job.progress(done, total)
        replayed = job.record.replayed
        turn.advance(done - replayed, total - replayed)
        if at_device.contended:
            dismiss_helpers()
            at_device.give_way(turn)
        _share(at_device)
        job.check()

    with paces().measured(kind, turn), at_device.held(turn), batches_within(lambda: _polite(at_device)):
        job.check()
        _share(at_device)
        yield progress


@contextmanager
def held(device: str, title: str, *, alone: bool = False) -> Iterator[None]:
    """Hold the device in a thread that is no job's, and goes on to something else afterwards."""
    at_device = turns(device)
    with at_device.held(Turn(title, alone=alone)):
        _share(at_device)
        try:
            yield
        finally:
            take_processors(_PROCESSORS)


def _share(at_device: Turns) -> None:
    # Nobody has a place where it was taken from who computes on.
    take_processors(max(1, _PROCESSORS // max(1, at_device.taken)))


def _polite(at_device: Turns) -> float | None:
    return _SHORT_BATCH if at_device.contended or at_device.taken > 1 else None
