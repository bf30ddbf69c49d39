"""The table of metrics of the Deletion page: quick ones at once, slow ones when asked for, as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from pages.deletion import scores
from pages.deletion.curves import Source
from pages.deletion.scores import QUICK, SLOW, Scored, notes, score_table, scores_csv, stopped, working
from pages.runtime import compute, polling
from pages.runtime.compute import Request
from pages.runtime.jobs import Job
from pages.shared import downloads, links, messages, provenance, style
from pages.shared.scene import Scene

_FAKE = Request("fake-cam")
_WORDS = (
    "↑: higher is better, ↓: lower is better. Bold: the best, controls apart. A metric opens: it says its formula, its "
    "source and its cost. “–”: it cannot be computed here."
)
_OWN_SCORE = (
    " The curves above follow the logit; these metrics go on as they were published, most of them by the probability."
)


def fake_source(seen: Scene) -> Source:
    """Fake-CAM's map of the photo."""
    explanation = compute.explanation_at_once(seen.question, seen.photo.image, _FAKE)
    return Source(_FAKE.method, seen.question, _FAKE, explanation)


def board(seen: Scene, sources: Sequence[Source], fake: Source | None, score: str) -> None:
    """The table, drawn again while it fills.

    Args:
        score: what the curves above follow: the metrics have definitions of their own.
    """
    by_name = {source.name: source for source in [*sources, *([fake] if fake else [])]}
    rows = list(by_name.values())
    quick = scores.scores(seen, rows, "scores", QUICK)
    slow = slow_metrics_asked()
    late = scores.scores(seen, rows, "slow-scores", SLOW) if slow else []

    with st.container():
        unfinished(late)

    def draw() -> None:
        st.html(score_table(_fresh(quick), QUICK))
        if slow:
            st.html(score_table(_fresh(late), SLOW))
        st.html(notes(_fresh([*quick, *late]), [*QUICK, *SLOW]) or "<span></span>")

    polling.watch(working([*quick, *late]), draw, key="scores", every=polling.SELDOM, ended=all)
    st.html(style.quiet(f"{_WORDS}{_OWN_SCORE if score == 'logit' else ''}"))
    _download(seen, rows, lambda: _fresh([*quick, *late]))


def _download(seen: Scene, sources: Sequence[Source], scored: Callable[[], list[Scored]]) -> None:
    explanations = [source.explanation for source in sources]
    facts = provenance.facts(seen, provenance.of_maps(explanations))
    downloads.button(
        "Metrics as CSV",
        lambda: provenance.columns(scores_csv(scored(), [*QUICK, *SLOW]), facts),
        f"metrics{style.mark(seen.classifier.trained)}.csv",
        key="download-metrics",
        help="Every value that is there by now, with network, photo and settings.",
    )


def slow_metrics_asked() -> bool:
    """Whether the slow metrics are asked for."""
    return st.toggle(
        "Slow metrics too",
        **links.kept("slow-metrics"),
        help="Many passes of the network, further explanations, or linear systems for each: seconds to minutes per "
        "method. They fill in one by one and can be cancelled.",
    )


def _fresh(scored: Sequence[Scored]) -> list[Scored]:
    return [scores.fresh(entry) for entry in scored]


def unfinished(late: Sequence[Scored]) -> None:
    """How far the slow metrics are, over all methods, and the way out; what there is stays when they are stopped."""
    jobs = working(late) or stopped(late)
    if not jobs:
        return
    messages.pending(
        _shown(jobs),
        "",
        "Some metrics are missing.",
        ("Try again", partial(_each, jobs, compute.forget)),
        key="slow-metrics",
        leave=("Cancel", partial(_each, jobs, Job.cancel)),
        why=" ".join(scores.reasons(late)),
        cancelled=("Cancelled. What was computed stays.", ("Continue", partial(_each, jobs, compute.forget))),
        among=jobs,
        bar=partial(_bar, late),
    )


def _shown(jobs: Sequence[Job]) -> Job:
    return next((job for job in jobs if job.state in ("running", "failed")), jobs[0])


def _bar(late: Sequence[Scored]) -> None:
    jobs = working(late)
    if jobs:
        job = _shown(jobs)
        messages.progress(job, f"Slow metrics of {job.title}", (len(late) - len(jobs) + job.fraction) / len(late))


def _each(jobs: Sequence[Job], act: Callable[[Job], None]) -> None:
    for job in jobs:
        act(job)
