"""Evaluate a source of images: every method by every metric, one Parquet row each, resumed wherever it was interrupted.

    for step in evaluate_folder(
        clf, "photos", methods=["grad-cam", "lift-cam"], metrics=["average-drop"], out="results.parquet"
    ):
        print(step.done, "of", step.total)
    summarise(read_rows(Path("results.parquet")))

A unit of work is one image explained by one method; its rows are written to a file of their own, at once or not at all.
Whatever stops the work, the next call takes up the units that are missing, and the table comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cam_core.deprecated import formerly_positional
from cam_core.evaluation.parts import Parts
from cam_core.evaluation.plan import ImageFile, Listener, Plan
from cam_core.evaluation.results import Row
from cam_core.evaluation.sources import Source, open_source
from cam_core.methods import METHODS
from cam_core.metrics.base import METRICS
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.types import Progress


@dataclass(frozen=True)
class Step:
    """One unit is done: `done` of `total`, with the rows it gave."""

    done: int
    total: int
    rows: tuple[Row, ...]


@formerly_positional("methods", "metrics", "out")
def evaluate_folder(
    clf: Classifier,
    folder: Path | str | Source,
    *,
    methods: Sequence[str],
    metrics: Sequence[str],
    out: Path | str,
    layer: str | None = None,
    ground_truth: Path | str | None = None,
    by_label: bool = False,
    method_params: Mapping[str, Mapping[str, Any]] | None = None,
    metric_params: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    precision: str = "float32",
    progress: Progress | None = None,
) -> Iterator[Step]:
    """Explain each image's most probable class by each method and measure the map by each metric.

    The table appears at `out` when all is done; until then the finished units lie beside it, in a folder of the same
    name with the ending .parts. What fails on one image, for whatever reason, leaves rows without a value that say why,
    and the work goes on.

    Args:
        folder: searched with its subfolders, in the order of the paths; or a zip, a table, or a source that is open
            already: see `open_source`.
        ground_truth: a file of boxes in the form of assets/samples/boxes.json, by path within the folder, or by file
            name where one image alone has it.
        by_label: explain the class that an image is labelled with in place of the most probable one.
        method_params, metric_params: own parameters by key.
        progress: called as `progress(done, total)`, also between the batches of a unit; may raise `Cancelled`.
    Yields:
        a step per unit, first those that an earlier call had finished.
    Raises:
        MethodError, MetricError: unknown keys or parameters, no image or label, or `out` belongs to another evaluation.
    """
    plan = Plan(
        clf=clf,
        source=folder if isinstance(folder, Source) else open_source(folder, clf.labels),
        methods={key: METHODS[key].validate((method_params or {}).get(key, {})) for key in methods},
        metrics={key: METRICS[key].validate((metric_params or {}).get(key, {})) for key in metrics},
        layer=layer,
        ground_truth=None if ground_truth is None else Path(ground_truth),
        by_label=by_label,
        options=Options(seed, precision, progress=None if progress is None else Listener(progress)),
    )
    store = Parts(Path(out), plan.settings)
    total = len(plan.images) * len(plan.methods)
    finished: list[Row] = []

    def waits(file: ImageFile, method: str) -> bool:
        return store.find((file.name, file.sha256, method)) is None

    for done, work in enumerate(plan.work()):
        unit = (work.file.name, work.file.sha256, work.method)
        rows = store.find(unit)
        if rows is None:
            rows = plan.rows(work, waits, plan.options.part(done, total, steps=1))
            store.keep(unit, rows)
        finished += rows
        if progress is not None:
            progress(done + 1, total)
        yield Step(done + 1, total, tuple(rows))
    store.complete(finished)
