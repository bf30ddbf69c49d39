"""`evaluate`: a source of images, every method by every metric; a table in Parquet, and means with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cam_core.cli import options
from cam_core.cli.inputs import open_classifier
from cam_core.cli.outputs import check_outputs
from cam_core.cli.progress import watching
from cam_core.cli.requests import read_params, read_requests
from cam_core.cli.tables import print_table
from cam_core.evaluation.folder import Step, evaluate_folder
from cam_core.evaluation.results import Row, Summary, summarise
from cam_core.evaluation.sources import Source, open_source
from cam_core.evaluation.statistics import FEW
from cam_core.metrics import METRICS
from cam_core.models.classifier import Classifier
from cam_core.types import MetricError

_DEFAULT_METHODS = ["grad-cam", "lift-cam", "random"]
_DEFAULT_METRICS = ["average-drop", "average-increase", "average-gain", "average-drop-in-deletion"]
_TOP, _LABEL = "top", "label"
_REASONS = 10  # why there is no value: so many are told one by one
_COLUMNS = ("method", "metric", "better", "mean", "95 % low", "95 % high", "n", "missing")
_NUMERIC = _COLUMNS[3:]


def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, also with a subfolder per class; a zip of one; a CSV or Parquet of path, label and boxes.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The table, in Parquet: one row per image, method and metric.")],
    method: options.Methods = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help=f"Repeat for several: {', '.join(METRICS)}.")
    ] = None,
    param: options.Parameters = None,
    metric_param: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A metric's parameter; METRIC:KEY=VALUE concerns one metric."),
    ] = None,
    ground_truth: Annotated[
        Path | None,
        typer.Option(help="Boxes by path in SOURCE or file name, in the form of assets/samples/boxes.json."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="ImageNet's labels and boxes: LOC_val_solution.csv, or a folder of CLS-LOC files in XML."),
    ] = None,
    synsets: Annotated[
        str | None,
        typer.Option(help="LOC_synset_mapping.txt, where the network's classes are named after some of it."),
    ] = None,
    class_: Annotated[
        str, typer.Option("--class", "-c", help="What is explained: label, or top for the most probable class.")
    ] = _TOP,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = "default",
    weights_seed: options.WeightsSeed = 0,
    resize: options.Resize = "",
    layer: Annotated[str | None, typer.Option("--layer", "-l", help="A module's name: see `layers`.")] = None,
    device: options.Device = "auto",
    precision: options.Precision = "float32",
    seed: options.Seed = 0,
) -> None:
    """Measure methods by metrics over many images. Stopped, it goes on where it was when it is called again."""
    requests = read_requests(method or _DEFAULT_METHODS, param or (), ())
    metrics = {key: METRICS[key] for key in metric or _DEFAULT_METRICS}
    metric_params = read_params(metric_param or (), metrics, METRICS, "--metric-param", MetricError)
    if class_ not in (_TOP, _LABEL):
        raise MetricError(f"--class takes {_TOP} or {_LABEL} here, not {class_!r}")
    check_outputs([out])
    clf = open_classifier(model, weights, weights_seed, device, resize)
    rows = _evaluate(
        clf,
        open_source(source, clf.labels, labels, synsets),
        source,
        by_label=class_ == _LABEL,
        methods=[request.method.key for request in requests],
        metrics=list(metrics),
        out=out,
        layer=layer,
        ground_truth=ground_truth,
        method_params={request.method.key: request.params for request in requests},
        metric_params=metric_params,
        seed=seed,
        precision=precision,
    )
    _report(rows, summarise(rows))
    typer.echo(f"wrote {out}", err=True)


def _evaluate(clf: Classifier, source: Source, name: str, **settings: Any) -> list[Row]:
    """All rows; Ctrl-C is told what is kept, and how to go on."""
    rows: list[Row] = []
    step = Step(0, 0, ())
    try:
        with watching(name) as progress:
            for step in evaluate_folder(clf, source, progress=progress, **settings):
                rows += step.rows
    except KeyboardInterrupt:
        kept = f"{step.done} of {step.total} are done and kept" if step.total else "nothing was done yet"
        typer.echo(f"{kept}: the same command goes on from there", err=True)
        raise
    return rows


def _report(rows: Sequence[Row], summaries: Sequence[Summary]) -> None:
    """Means and intervals on stdout, doubts on stderr."""
    print_table(_COLUMNS, [_line(summary) for summary in summaries], numeric=_NUMERIC)
    images = len({row.image for row in rows})
    if images < FEW:
        typer.secho(
            f"n = {images}: an interval over fewer than {FEW} images is itself uncertain", fg="yellow", err=True
        )
    reasons = Counter(row.note for row in rows if row.value is None)
    for note, count in list(reasons.items())[:_REASONS]:
        typer.secho(f"{count} without a value: {note}", fg="yellow", err=True)
    further = sum(list(reasons.values())[_REASONS:])
    if further:
        typer.secho(f"{further} without a value for other reasons, which are in the table", fg="yellow", err=True)


def _line(summary: Summary) -> tuple[object, ...]:
    interval = summary.interval
    numbers = (
        ("–",) * 3 if interval is None else tuple(f"{v:.4g}" for v in (interval.mean, interval.low, interval.high))
    )
    count = 0 if interval is None else interval.count
    return summary.method, summary.metric, summary.direction, *numbers, count, summary.missing
