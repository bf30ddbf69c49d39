"""The metrics of the maps of one photo: which, the jobs behind them, and the table.

scored = scores(seen, sources, "quick", QUICK)      # one entry per source: results by metric, and the job if it runs
"""

from __future__ import annotations

import csv
import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from math import isnan
from typing import Any

from cam_core import METRICS
from cam_core.analysis.best import best_of, contestants
from cam_core.metrics import Metric, MetricResult, evaluate_many
from cam_core.metrics.curves.perturbation import KINDS
from pages.deletion.curves import Source, title
from pages.runtime import compute, devices
from pages.runtime.compute import Task, digest
from pages.runtime.jobs import Job
from pages.runtime.limits import limits
from pages.shared import style, tables
from pages.shared.scene import Scene
from pages.shared.tables import Cell

_DRAWN = [f"{kind}-auc" for kind in KINDS]  # those stand beside the curves
_POSSIBLE = [metric for metric in METRICS.values() if not metric.needs_boxes]

QUICK = [metric.key for metric in _POSSIBLE if not metric.expensive]
"""Metrics of a pass or two."""

SLOW = [metric.key for metric in _POSSIBLE if metric.expensive and metric.key not in _DRAWN]
"""Metrics of many passes, further explanations, or linear systems."""

Results = Mapping[str, MetricResult]


@dataclass(frozen=True)
class Scored:
    """One source with its results so far, and the job that goes on with them, has failed, or was cancelled."""

    source: Source
    results: Results
    job: Job | None


def scores(seen: Scene, sources: Sequence[Source], group: str, metrics: Sequence[str]) -> list[Scored]:
    """Every source scored by the metrics; what the visitor had asked for before in this `group` stops."""
    tasks = [
        Task(
            digest("scores", source.identity, tuple(metrics)),
            partial(_score, seen, source, metrics, _known(source, metrics)),
            title(source.name),
        )
        for source in sources
    ]
    outcomes = compute.outcomes(group, tasks, patience=0.1)
    return [
        Scored(source, _published(outcome), outcome) if isinstance(outcome, Job) else Scored(source, outcome, None)
        for source, outcome in zip(sources, outcomes, strict=True)
    ]


def fresh(scored: Scored) -> Scored:
    """With the results that its job has by now."""
    return scored if scored.job is None else replace(scored, results=_published(scored.job))


def _published(job: Job) -> Results:
    return {result.metric: result for result in job.items}


def _known(source: Source, metrics: Sequence[str]) -> dict[str, MetricResult]:
    """Results for all visitors who ask for them, one by one: they stay when a job is cancelled."""
    key = digest("scores so far", source.identity, tuple(metrics))
    return compute.results().share(key, {}, compute.owner(), limits().results)


def _score(seen: Scene, source: Source, metrics: Sequence[str], known: dict[str, MetricResult], job: Job) -> Results:
    question = source.question
    clf = compute.classifier(question.model)
    for result in list(known.values()):
        job.publish(result)
    with devices.computing(str(clf.device), job) as progress:
        results = evaluate_many(
            clf,
            seen.photo.image,
            source.explanation,
            metrics=[key for key in metrics if key not in known],
            target=question.target,
            seed=question.seed,
            precision=question.precision,
            progress=progress,
        )
        for result in results:
            known[result.metric] = result
            job.publish(result)
    return dict(known)


def score_table(scored: Sequence[Scored], metrics: Sequence[str]) -> str:
    """Metrics by methods; the best that is no control in bold."""
    columns = ["Metric", *(title(entry.source.name) for entry in scored)]
    return tables.table(columns, [(_head(METRICS[key]), _cells(key, scored)) for key in metrics])


def _head(metric: Metric) -> str:
    """What it measures, its name, and behind them where it is from; one photo has no average of yes and no."""
    what = " ".join((inspect.getdoc(metric.function) or "").split("\n\n")[0].partition(" Extra")[0].split())
    more = (
        f"<p>{escape(what)}</p><p><code>{escape(metric.formula)}</code></p>"
        f"<p>{style.sourced(metric.source)}. From {metric.between}; {metric.direction} is "
        f"better. {escape(metric.edge_cases)} Cost: {escape(metric.cost)}.</p>"
    )
    return tables.term(metric.plain, f"{metric.title} {style.ARROWS[metric.direction]}", more)


def _cells(key: str, scored: Sequence[Scored]) -> list[Cell]:
    values = {entry.source.name: entry.results[key].value for entry in scored if key in entry.results}
    # Three digits of the largest: values that differ by less are as good as each other.
    largest = max(map(abs, contestants(values).values()), default=0.0)
    known = (abs(value) for value in values.values() if not isnan(value))
    number = partial(style.number, largest=largest or max(known, default=0.0))
    written = _yes_or_no if METRICS[key].indicator else number
    unit = "" if METRICS[key].indicator else METRICS[key].unit
    best = best_of(values, METRICS[key], written)
    return [_cell(entry.results.get(key), entry.source.name in best, written, unit) for entry in scored]


def _yes_or_no(value: float) -> str:
    return "yes" if value else "no"


def _cell(result: MetricResult | None, best: bool, written: Callable[[float], str], unit: str) -> Cell:
    if result is None:
        return Cell("…")
    return Cell("–") if isnan(result.value) else Cell(f"{written(result.value)} {unit}".strip(), best=best)


def notes(scored: Sequence[Scored], metrics: Sequence[str]) -> str:
    """What to know before trusting the values, and why some are missing, each with the values that it is about."""
    about: dict[str, dict[str, list[str]]] = {}
    for key in metrics:
        for entry in scored:
            for warning in entry.results[key].warnings if key in entry.results else ():
                about.setdefault(warning, {}).setdefault(METRICS[key].title, []).append(title(entry.source.name))
    if not about:
        return ""
    lines = (f"{escape(style.sentence(warning))} <small>{escape(_places(at))}</small>" for warning, at in about.items())
    return tables.opening_list(f"What to know of these values ({len(about)})", lines)


def _places(names: Mapping[str, Sequence[str]]) -> str:
    """ "Average drop: Grad-CAM, LIFT-CAM; ADCC: Grad-CAM"."""
    return "; ".join(f"{metric}: {', '.join(methods)}" for metric, methods in names.items())


def scores_csv(scored: Sequence[Scored], metrics: Sequence[str]) -> bytes:
    """Every value that there is, in UTF-8: metric, its title, which way is better, unit, method, value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("metric", "title", "better", "unit", "method", "value"))
    for metric in (METRICS[key] for key in metrics):
        own = (metric.key, metric.title, metric.direction, metric.unit)
        values = ((e.source.name, e.results[metric.key].value) for e in scored if metric.key in e.results)
        writer.writerows((*own, name, "" if isnan(value) else value) for name, value in values)
    return text.getvalue().encode()


def working(scored: Sequence[Scored]) -> list[Job]:
    """The jobs that are under way."""
    return [entry.job for entry in scored if entry.job is not None and entry.job.active]


def stopped(scored: Sequence[Scored]) -> list[Job]:
    """The jobs that were cancelled, or have failed."""
    return [entry.job for entry in scored if entry.job is not None and entry.job.state in ("cancelled", "failed")]


def reasons(scored: Sequence[Scored]) -> list[str]:
    """Why jobs have failed."""
    errors: list[Any] = [entry.job.error for entry in scored if entry.job is not None and entry.job.error]
    return list(dict.fromkeys(errors))
