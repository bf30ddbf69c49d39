"""The metrics of the maps of one photo: which, the jobs behind them, and the table.

scored = scores(seen, sources, "quick", QUICK)      # one entry per source: results by metric, and the job if it runs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from typing import Any

from cam_core import METRICS
from cam_core.analysis.best import best_of, contestants
from cam_core.metrics import Metric, MetricResult, evaluate_many
from cam_core.metrics.curves.perturbation import KINDS
from pages.deletion.curves import ARROWS, Source, title
from pages.runtime import compute
from pages.runtime.compute import Task, digest
from pages.runtime.jobs import Job
from pages.shared import style, tables
from pages.shared.scene import Scene
from pages.shared.tables import Cell

_DRAWN = [f"{kind}-auc" for kind in KINDS]  # those stand beside the curves
_POSSIBLE = [metric for metric in METRICS.values() if not {"region", "other_region"} & set(metric.needs)]

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
            partial(_score, seen, source, metrics),
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


def _score(seen: Scene, source: Source, metrics: Sequence[str], job: Job) -> Results:
    question = source.question
    clf = compute.classifier(question.model)
    results_by_metric = {}
    with compute.computing(str(clf.device), job) as progress:
        results = evaluate_many(
            clf,
            seen.photo.image,
            source.explanation,
            metrics=metrics,
            target=question.target,
            seed=question.seed,
            precision=question.precision,
            progress=progress,
        )
        for result in results:
            results_by_metric[result.metric] = result
            job.publish(result)
    return results_by_metric


def score_table(scored: Sequence[Scored], metrics: Sequence[str]) -> str:
    """Metrics by methods; the best that is no control in bold."""
    columns = ["Metric", *(tables.hinted(title(entry.source.name), entry.source.explanation.label) for entry in scored)]
    return tables.table(columns, [(_head(METRICS[key]), _cells(key, scored)) for key in metrics])


def _head(metric: Metric) -> str:
    unit = f", {metric.unit}" if metric.unit else ""
    says = f"{metric.formula}\n{metric.source}\n{metric.direction} is better; cost: {metric.cost}\n{metric.edge_cases}"
    return tables.hinted(f"{metric.title}{unit} {ARROWS[metric.direction]}", says)


def _cells(key: str, scored: Sequence[Scored]) -> list[Cell]:
    values = {entry.source.name: entry.results[key].value for entry in scored if key in entry.results}
    # Three digits of the largest: values that differ by less are as good as each other.
    written = partial(style.number, largest=max(map(abs, contestants(values).values()), default=0.0))
    best = best_of(values, METRICS[key], written)
    return [_cell(entry.results.get(key), entry.source.name in best, written) for entry in scored]


def _cell(result: MetricResult | None, best: bool, written: Callable[[float], str]) -> Cell:
    if result is None:
        return Cell("…")
    says = " ".join(result.warnings)
    if isnan(result.value):
        return Cell("–", help=says)
    return Cell(written(result.value), help=says, best=best)


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
