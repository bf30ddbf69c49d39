"""The metrics of the maps of one photo: which, the jobs behind them, and the table.

board = scores(seen, sources, "quick", QUICK)      # one entry a source: results by metric, and the job if it runs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from typing import Any

from cam_core import METRICS
from cam_core.analysis.best import best_of
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
_POSSIBLE = [one for one in METRICS.values() if not {"region", "other_region"} & set(one.needs)]

QUICK = [one.key for one in _POSSIBLE if not one.expensive]
"""Metrics of a pass or two."""

SLOW = [one.key for one in _POSSIBLE if one.expensive and one.key not in _DRAWN]
"""Metrics of many passes, further explanations, or linear systems."""

Results = Mapping[str, MetricResult]


@dataclass(frozen=True)
class Judged:
    """One source with its results so far, and the job that goes on with them, has failed, or was cancelled."""

    source: Source
    results: Results
    job: Job | None


def scores(seen: Scene, sources: Sequence[Source], group: str, metrics: Sequence[str]) -> list[Judged]:
    """Every source judged by the metrics; what the visitor had asked for before in this `group` stops."""
    tasks = [
        Task(
            digest("scores", source.identity, tuple(metrics)),
            partial(_judge, seen, source, metrics),
            title(source.name),
        )
        for source in sources
    ]
    outcomes = compute.outcomes(group, tasks, patience=0.1)
    return [
        Judged(source, _published(one), one) if isinstance(one, Job) else Judged(source, one, None)
        for source, one in zip(sources, outcomes, strict=True)
    ]


def fresh(judged: Judged) -> Judged:
    """With what its job has found by now."""
    return judged if judged.job is None else replace(judged, results=_published(judged.job))


def _published(job: Job) -> Results:
    return {result.metric: result for result in job.items}


def _judge(seen: Scene, source: Source, metrics: Sequence[str], job: Job) -> Results:
    question = source.question
    clf = compute.classifier(question.model)
    found = {}
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
            found[result.metric] = result
            job.publish(result)
    return found


def score_table(judged: Sequence[Judged], metrics: Sequence[str]) -> str:
    """Metrics by methods; the best that is no control in bold."""
    columns = ["Metric", *(tables.hinted(title(one.source.name), one.source.explanation.label) for one in judged)]
    return tables.table(columns, [(_head(METRICS[key]), _cells(key, judged)) for key in metrics])


def _head(metric: Metric) -> str:
    unit = f", {metric.unit}" if metric.unit else ""
    says = f"{metric.formula}\n{metric.source}\n{metric.direction} is better; cost: {metric.cost}\n{metric.edge_cases}"
    return tables.hinted(f"{metric.title}{unit} {ARROWS[metric.direction]}", says)


def _cells(key: str, judged: Sequence[Judged]) -> list[Cell]:
    best = best_of({one.source.name: one.results[key].value for one in judged if key in one.results}, METRICS[key])
    return [_cell(one.results.get(key), one.source.name in best) for one in judged]


def _cell(result: MetricResult | None, best: bool) -> Cell:
    if result is None:
        return Cell("…")
    says = " ".join(result.warnings)
    if isnan(result.value):
        return Cell("–", help=says)
    return Cell(style.number(result.value, max(abs(result.value), 1.0)), help=says, best=best)


def working(judged: Sequence[Judged]) -> list[Job]:
    """The jobs that are under way."""
    return [one.job for one in judged if one.job is not None and one.job.active]


def stopped(judged: Sequence[Judged]) -> list[Job]:
    """The jobs that were cancelled, or have failed."""
    return [one.job for one in judged if one.job is not None and one.job.state in ("cancelled", "failed")]


def reasons(judged: Sequence[Judged]) -> list[str]:
    """Why jobs have failed."""
    errors: list[Any] = [one.job.error for one in judged if one.job is not None and one.job.error]
    return list(dict.fromkeys(errors))
