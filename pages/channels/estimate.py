"""The estimate of the channels' Shapley values: what is asked for, the job behind it, and how it stands."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial

import streamlit as st
from PIL import Image

from cam_core.analysis.channels import ChannelReport, channel_report
from cam_core.charts import channel_chart, convergence_chart
from cam_core.models.tails import is_pooled_linear
from cam_core.shapley import CONVERGED_GAP, CONVERGED_NOISE, ESTIMATORS, ChannelEstimate, stream_channel_shap
from cam_core.types import Cancelled
from pages.runtime import compute, devices, polling
from pages.runtime.compute import PATIENCE, Question, Task
from pages.runtime.jobs import Job
from pages.shared import charts, links, messages, pickers, style
from pages.shared.scene import Scene

_MOST_PASSES = 100_000
_GROWING = 20  # bars that are drawn while the estimate grows

RULE = (
    f"Converged: the uncertainty (the relative standard error, ‖stderr‖ ∕ ‖φ‖) is below {CONVERGED_NOISE:.0%}, and "
    f"what is left unexplained (the efficiency gap) is at most {CONVERGED_GAP:.0%} of all bars together, Σ |φ|."
)

WORDS = """
- **Head and tail**: the network in front of the layer, and behind it. A **tail pass** runs the tail once.
- **Score**: what is explained of the network’s answer. Of a class the logit, its answer before it becomes a
  probability.
- **Score of nothing**, v(∅): the score with every channel of the layer set to 0.
- **SHAP value**, φ (phi): a channel’s share of the way from the score of nothing to the score; the length of its bar.
- **Explained**, Σ φ: all SHAP values together. They should come to the whole way.
- **Unexplained**, the efficiency gap: by how much they do not.
- **Uncertainty**, the relative standard error: the errors of all bars together, ‖stderr‖, as a share of ‖φ‖.
- **Silent channels**, or dead: 0 everywhere in this photo.
- **Weight** α and **contribution** α · mean A: a method’s coefficient of a channel, and the same times the channel’s
  mean activation.
"""


@dataclass(frozen=True)
class Settings:
    """Which estimator, and how many tail passes it may use."""

    estimator: str
    budget: int


@dataclass(frozen=True)
class Trail:
    """An estimate and those that led to it, each better than the one before; `seconds` is the time they took."""

    estimates: tuple[ChannelEstimate, ...]
    seconds: float

    @property
    def last(self) -> ChannelEstimate:
        """The best."""
        return self.estimates[-1]


def settings() -> Settings:
    """The widgets."""
    estimator = links.choice(
        "estimator",
        "Estimator",
        {key: entry.title for key, entry in ESTIMATORS.items()},
        default="owen",
        width=300,
        help="Permutations have no bias, and need many passes. Owen’s gradients say something of every channel with "
        "each pass, and have a small bias, which the gap shows. Where exact values cost no more, they are computed.",
    )
    budget = pickers.budget(
        "budget",
        "How often the tail is run, the part of the network behind the layer. At least one repetition is made, "
        "whatever it costs: of permutations that is two passes per channel.",
        most=_MOST_PASSES,
    )
    return Settings(estimator, budget)


def begin(question: Question, image: Image.Image, settings: Settings) -> Trail | Job:
    """The estimate, or the job that computes it, which publishes a `Trail` whenever the estimate has become better."""
    key = compute.digest("channels", question, settings)
    task = Task(key, partial(_estimate, question, image, settings), "SHAP values", slow=True)
    outcome: Trail | Job = compute.outcomes("channels", [task])[0]
    return outcome


def settled(outcome: Trail | Job) -> Trail | Job:
    """The outcome after a moment's patience."""
    if isinstance(outcome, Job):
        outcome.wait(PATIENCE)
        if outcome.state == "done":
            return outcome.result  # type: ignore[no-any-return]
    return outcome


def _estimate(question: Question, image: Image.Image, settings: Settings, job: Job) -> Trail:
    clf = compute.classifier(question.model)
    with devices.computing(str(clf.device), job) as progress:
        clf.split(question.layer, question.precision)  # the cut is made once, and is not the estimator's cost
        earlier, started = job.record.seconds, time.perf_counter()
        stream = stream_channel_shap(
            clf,
            image,
            layer=question.layer,
            target=question.target,
            estimator=settings.estimator,
            budget=settings.budget,
            seed=question.seed,
            precision=question.precision,
            progress=progress,
        )
        trail = Trail((), earlier)
        try:
            for estimate in stream:
                trail = Trail((*trail.estimates, estimate), earlier + time.perf_counter() - started)
                job.publish(trail)
        except Cancelled:
            job.record.spent(time.perf_counter() - started)
            raise
    return trail


def unfinished(job: Job) -> None:
    """An estimate that is being computed, with what there is of it, or has ended before its time."""
    stays = " What was estimated by then stays." if job.items else ""
    messages.pending(
        job,
        "Estimating",
        "No estimate.",
        messages.again(job),
        key="channels",
        leave=messages.cancel(job),
        stays=stays,
        cancelled=(f"Cancelled.{stays}", messages.go_on(job)),
    )
    if job.active:
        polling.watch([job], partial(growing, job), key="growing", every=polling.SELDOM)


def growing(job: Job) -> None:
    """Bars and convergence of an estimate as they are now."""
    if not job.items:
        st.html(style.quiet("The first estimate comes after a few passes."))
        return
    trail: Trail = job.items[-1]
    report = channel_report(trail.last, trail=trail.estimates)
    channels = list(report.order[:_GROWING])
    st.html(style.quiet(f"After {report.passes} of {job.total} passes:"))
    bars = channel_chart(channels, report.phi[channels], report.stderr[channels], {}, unit=report.measure.unit)
    charts.show(bars, key="growing-bars", alt=f"SHAP values of {len(channels)} channels so far")
    draw_convergence(report, key="growing-convergence")


def status(seen: Scene, report: ChannelReport) -> None:
    """Whether to trust it: the badge with its rule, and what to do where there is too little."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="channel-status"):
        if report.exact:
            st.badge("Exact", icon=":material/check_circle:", color="green")
        elif report.converged:
            st.badge("Converged", icon=":material/check_circle:", color="green", help=RULE)
        else:
            st.badge("Not converged", icon=":material/pending:", color="orange", help=RULE)
            more = max(4 * report.passes, 2 * report.budget)
            messages.button((f"Estimate with {more} passes", partial(_spend, more)), key="more-passes")
        with st.popover("What the words mean", type="tertiary", icon=":material/help:"):
            st.markdown(WORDS)
    if report.exact:
        st.html(style.quiet(_exactly(seen)))
    elif report.ceiling is None:
        st.html(style.notice_line("Too few repetitions fit into the budget: the standard errors are unknown."))


def score(report: ChannelReport) -> str:
    """What is explained, as the sentences of the page call it."""
    return "the class’s score, the logit" if isinstance(report.target, int) else f"the {report.measure.quantity}"


def facts(report: ChannelReport, seconds: float) -> None:
    """The numbers of the estimate as a whole."""
    st.html(_strip(_facts(report, seconds)))


def _spend(budget: int) -> None:
    st.session_state["budget"] = min(budget, _MOST_PASSES)


def _exactly(seen: Scene) -> str:
    linear = is_pooled_linear(seen.classifier.split(seen.question.layer, seen.question.precision).halves)
    why = (
        f"behind {seen.question.layer} there is only pooling and a linear layer, so φ = weight × mean activation."
        if linear
        else "every coalition of its few live channels was tried."
    )
    return (
        f"These values are exact and their error bars are zero: {why} Choose an earlier layer for the harder question."
    )


def _facts(report: ChannelReport, seconds: float) -> list[tuple[str, str]]:
    """Name and value."""
    return [
        (f"score ({report.measure.quantity})", _plain(report.v_all)),
        ("score of nothing, v(∅)", _plain(report.v_empty)),
        ("explained, Σ φ", f"{_plain(report.phi_sum)} of {_plain(report.span)}"),
        ("unexplained (efficiency gap)", _unexplained(report)),
        ("uncertainty (relative standard error)", _share(report.noise)),
        ("silent (dead) channels", f"{report.dead} of {report.channels}"),
        ("cost", f"{report.passes} tail passes{_enough(report)}, {style.duration(seconds)}"),
    ]


def _unexplained(report: ChannelReport) -> str:
    """The last step of the waterfall, and what its sign means."""
    left = _plain(-report.gap)
    meant = ": explained too much" if left.startswith("−") else ": still to explain" if float(left) else ""
    return f"{left} ({_share(report.relative_gap)}){meant}"


def _enough(report: ChannelReport) -> str:
    """Why the budget was not spent."""
    return f" of a budget of {report.budget:,}: more are not needed" if report.passes < report.budget else ""


def _plain(value: float) -> str:
    return style.decimals(value, 2)


def _share(value: float) -> str:
    return style.percent(value) if math.isfinite(value) else "unknown"


def _strip(facts: list[tuple[str, str]]) -> str:
    """A strip of numbers under their names."""
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return f'<dl class="cam-facts">{cells}</dl>'


def convergence_section(report: ChannelReport) -> None:
    """How the estimate came about."""
    st.header("Convergence")
    if report.exact:
        st.html(style.quiet("Nothing to converge: the values are exact."))
        return
    draw_convergence(report)
    st.html(style.quiet(f"The dashed line is where an estimate may count as converged. {RULE}"))


def draw_convergence(report: ChannelReport, key: str = "convergence") -> None:
    """Cosine to the best estimate so far, and the standard error, against passes."""
    st.html(style.quiet("Left: how much the estimate resembled the last one, 1 at most. Right: how unsure it was."))
    charts.show(
        convergence_chart(report.convergence, limit=CONVERGED_NOISE),
        key=key,
        alt=f"Convergence of the estimate over {report.passes} tail passes",
    )
