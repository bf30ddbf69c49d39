"""The table of metrics of the Deletion page: quick ones at once, slow ones when asked for, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from pages.deletion import scores
from pages.deletion.curves import Source
from pages.deletion.scores import QUICK, SLOW, Judged, score_table, stopped, working
from pages.runtime import compute
from pages.runtime.compute import Request
from pages.runtime.jobs import Job
from pages.shared import messages, style
from pages.shared.scene import Scene

_FAKE = Request("fake-cam")
_WORDS = (
    "Bold: the best, controls apart. Rest the pointer on a metric for its formula, and on a value for what to know "
    "before trusting it. “–”: it cannot be computed here."
)


def fake_source(seen: Scene) -> Source:
    """Fake-CAM's map of the photo."""
    explanation = compute.explanation_at_once(seen.question, seen.photo.image, _FAKE)
    return Source(_FAKE.method, seen.question, _FAKE, explanation)


def board(seen: Scene, sources: Sequence[Source], fake: Source | None) -> None:
    """The table, which draws itself again while it fills."""
    rows = {source.name: source for source in [*sources, *([fake] if fake else [])]}
    judged = list(rows.values())
    quick = scores.scores(seen, judged, "scores", QUICK)
    slow = wanted()
    late = scores.scores(seen, judged, "slow-scores", SLOW) if slow else []
    moving = bool(working([*quick, *late]))

    @st.fragment(run_every=messages.POLL if moving else None)
    def draw() -> None:
        if moving and not working([*quick, *late]):
            st.rerun()
        with st.container(key="poll-scores"):
            with st.container():
                jobs = working(late)
                if jobs:
                    progress(jobs, len(late))
                elif stopped(late):
                    again(stopped(late), scores.reasons(late))
            st.html(score_table(_fresh(quick), QUICK))
            if slow:
                st.html(score_table(_fresh(late), SLOW))
            st.html(style.quiet(_WORDS))

    draw()


def wanted() -> bool:
    """Whether the slow metrics are asked for."""
    return st.toggle(
        "Slow metrics too",
        key="slow-metrics",
        help="Many passes of the network, further explanations, or linear systems for each: seconds to minutes a "
        "method. They fill in one by one and can be cancelled.",
    )


def _fresh(judged: Sequence[Judged]) -> list[Judged]:
    return [scores.fresh(one) for one in judged]


def progress(jobs: Sequence[Job], total: int) -> None:
    """How far the slow metrics are, over all methods, and the way out."""

    def cancel() -> None:
        for job in jobs:
            job.cancel()

    first = next((job for job in jobs if job.state == "running"), jobs[0])
    done = total - len(jobs)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, key="score-progress"):
        st.progress((done + first.fraction) / total, text=messages.under_way(first, first.title))
        messages.button(("Cancel", cancel), key="cancel-scores")


def again(jobs: Sequence[Job], why: Sequence[str]) -> None:
    """Cancelled, or failed: what there is stays."""

    def forget() -> None:
        for job in jobs:
            compute.forget(job)

    if why:
        messages.failure("Some metrics are missing.", " ".join(why), ("Try again", forget), key="scores")
        return
    with st.container(horizontal=True, vertical_alignment="center", key="score-progress"):
        st.html(style.quiet("Cancelled. What was computed stays."))
        messages.button(("Compute the rest", partial(forget)), key="again-scores")
