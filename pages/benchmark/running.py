"""A benchmark under way: its job, what it has given so far, how it is cancelled, and resumed where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core import Classifier
from cam_core.evaluation.report.opening import Results, open_results, results_of
from cam_core.evaluation.results import Row
from cam_core.options import Options
from cam_core.types import CamError, Cancelled, MetricError, Progress
from pages.benchmark.evaluating import elsewhere, evaluated
from pages.benchmark.form import Benchmark
from pages.benchmark.networks import Network
from pages.runtime import compute, devices
from pages.runtime.jobs import Job
from pages.runtime.limits import limits
from pages.shared import messages

_CURRENT: Final = "_benchmark"
_GROUP: Final = "benchmark"
KEPT: Final = 200_000
"""Values of a benchmark up to which those that are there so far are kept in memory, and shown."""

_FINE: Final = 1000  # steps of progress per map, which are of one size whatever the benchmark: pace is kept by them


@dataclass(frozen=True)
class Done:
    """A step of one of the networks: so many of its maps are evaluated; rows are kept where there are not too many."""

    network: str
    maps: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Failed:
    """A network that could not be evaluated at all."""

    network: str
    reason: str


@dataclass(frozen=True)
class Run:
    """A benchmark that was begun."""

    job: Job
    benchmark: Benchmark
    folder: Path

    @property
    def rows(self) -> dict[str, list[Row]]:
        """What there is by now, by the network's title."""
        rows: dict[str, list[Row]] = {}
        for item in self.job.items:
            if isinstance(item, Done) and item.rows:
                rows.setdefault(item.network, []).extend(item.rows)
        return rows

    @property
    def failed(self) -> list[Failed]:
        """Networks that could not be evaluated."""
        return [item for item in self.job.items if isinstance(item, Failed)]

    @property
    def done(self) -> int:
        """How many maps are evaluated."""
        furthest = {item.network: item.maps for item in self.job.items if isinstance(item, Done)}
        return sum(furthest.values())

    @property
    def last(self) -> Done | None:
        """The step that was done last."""
        return next((item for item in reversed(self.job.items) if isinstance(item, Done)), None)

    @property
    def files(self) -> dict[str, Path]:
        """The finished tables, by the network's title."""
        files = {network.title: _out(self.folder, network) for network in self.benchmark.networks}
        return {title: path for title, path in files.items() if path.is_file()}

    def results(self) -> list[Results]:
        """By network: its finished table, or what there is of it by now."""
        finished, rows = self.files, self.rows
        return [
            replace(open_results(finished[network.title]), network=network.title)
            if network.title in finished
            else results_of(network.title, rows[network.title], _settings(self.benchmark, network))
            for network in self.benchmark.networks
            if network.title in finished or network.title in rows
        ]


def current() -> Run | None:
    """The benchmark that was begun last in this visit, also before the page was loaded again."""
    run: Run | None = st.session_state.get(_CURRENT)
    if run is None and (job := compute.visitor_jobs().find(_GROUP)) is not None:
        run = st.session_state[_CURRENT] = Run(job, job.about, _folder(job.about))
    return run


def start(benchmark: Benchmark) -> str:
    """Begin, or go on where the same benchmark was stopped; why not, where it is not."""
    jobs, before = compute.visitor_jobs(), current()
    if jobs.working(_GROUP) >= limits().benchmarks:
        return "Another benchmark of yours is under way, or at its last image: wait for it, or cancel it in its tab."
    jobs.keep_only([], prefix=_GROUP)
    folder = _folder(benchmark)
    folder.mkdir(parents=True, exist_ok=True)
    known = before.done if before is not None and before.folder == folder else 0
    title = f"Benchmark of {len(benchmark.requests)} methods"
    job = jobs.start(f"{_GROUP}{benchmark.identity}", partial(_work, benchmark, folder, known), title=title,
                     about=benchmark)  # fmt: skip
    st.session_state[_CURRENT] = Run(job, benchmark, folder)
    return ""


def state(run: Run) -> None:
    """How far it is, and how to stop it or to go on."""
    resume = ("Resume", partial(_resume, run))
    stays = " What was computed before stays." if run.job.fraction else ""
    messages.pending(
        run.job,
        _doing(run),
        "The benchmark stopped.",
        resume,
        key="benchmark",
        leave=messages.cancel(run.job),
        stays=stays,
        cancelled=(f"Cancelled{messages.at(run.job)}.{stays}", resume),
        bar=lambda: messages.progress(run.job, _doing(run)),
    )


def _doing(run: Run) -> str:
    several = len(run.benchmark.networks) > 1
    return f"Evaluating{f' {run.last.network}' if several and run.last else ''}"


def _resume(run: Run) -> None:
    refused = start(run.benchmark)
    if refused:
        st.session_state[REFUSED] = refused


REFUSED: Final = "_benchmark_refused"
"""Where the reason stands for which a click began nothing, until the page is drawn again."""


def _folder(benchmark: Benchmark) -> Path:
    return compute.visitor_folder() / "benchmarks" / benchmark.identity


def _out(folder: Path, network: Network) -> Path:
    return folder / f"{compute.digest(network.spec)[:12]}.parquet"


# ---- in the worker's thread


def _work(benchmark: Benchmark, folder: Path, known: int, job: Job) -> None:
    """One network after the other. What is wrong with one keeps none of the others from being evaluated.

    Args:
        known: how many maps are there from before.
    """
    job.record.replayed = known * _FINE
    steps = _FINE * benchmark.maps // len(benchmark.networks)
    if elsewhere():
        job.beginning = "starting workers"
    for place, network in enumerate(benchmark.networks):
        try:
            clf = compute.classifier(network.spec)
            with nullcontext(job.progress) if elsewhere() else _computing(clf, job) as progress:
                whole = Options(progress=_telling(job, progress))
                part = whole.part(place, len(benchmark.networks), steps)
                for step in evaluated(clf, benchmark, _out(folder, network), part.progress):
                    job.publish(Done(network.title, step.done, tuple(step.rows) if benchmark.values <= KEPT else ()))
        except Cancelled:
            raise
        except CamError as error:
            job.publish(Failed(network.title, str(error)))
    if not any(isinstance(item, Done) for item in job.items):
        raise MetricError(next(item.reason for item in job.items if isinstance(item, Failed)))


def _computing(clf: Classifier, job: Job) -> AbstractContextManager[Progress]:
    # Its table is the same, byte for byte, whatever else is computed.
    return devices.computing(str(clf.device), job, alone=True)


def _telling(job: Job, progress: Progress) -> Progress:
    """What was there before says nothing of the pace: nobody at the device is told of it."""

    def tell(done: int, total: int) -> None:
        (job.progress if done <= job.record.replayed else progress)(done, total)

    return tell


def _settings(benchmark: Benchmark, network: Network) -> Mapping[str, object]:
    """What is known of them before the table is written."""
    metrics = {key: {} for key in benchmark.metrics}
    return {"model": network.spec.name, "methods": benchmark.params, "metrics": metrics, "seed": benchmark.seed}
