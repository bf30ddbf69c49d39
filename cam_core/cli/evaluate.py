"""`evaluate`: a source of images, every method by every metric; a table in Parquet, and means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from cam_core.cli import options
from cam_core.cli.inputs import open_classifier
from cam_core.cli.outputs import check_outputs
from cam_core.cli.progress import watching
from cam_core.cli.requests import read_params, read_requests
from cam_core.cli.tables import print_table
from cam_core.engine.choosing import open_engine
from cam_core.evaluation.folder import Step, evaluate_folder, merge_parts
from cam_core.evaluation.results import Summary, read_values, summarise
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
    engine: Annotated[
        str | None,
        typer.Option(help="Where the work is done: inline, processes or ray; as CAMSCOPE_ENGINE says if omitted."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Of processes or ray; 0 for one per GPU, or per core.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Per worker; 0 for its share of the cores.")] = 0,
    address: Annotated[
        str | None,
        typer.Option(help="Of Ray: local, auto, or a cluster's; as CAMSCOPE_RAY_ADDRESS says if omitted."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="1e-5 lets workers have different hardware, whose values differ by that much.")
    ] = 0.0,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Do the Kth of N parts, each a process of its own; then `merge`."),
    ] = None,
) -> None:
    """Measure methods by metrics over many images. Stopped, it goes on where it was when it is called again."""
    requests = read_requests(method or _DEFAULT_METHODS, param or (), ())
    metrics = {key: METRICS[key] for key in metric or _DEFAULT_METRICS}
    metric_params = read_params(metric_param or (), metrics, METRICS, "--metric-param", MetricError)
    if class_ not in (_TOP, _LABEL):
        raise MetricError(f"--class takes {_TOP} or {_LABEL} here, not {class_!r}")
    check_outputs([out])
    part = None if shard is None else _read_shard(shard)
    clf = open_classifier(model, weights, weights_seed, device, resize)
    with open_engine(
        engine,
        address=address,
        workers=workers,
        threads=threads,
        device=str(clf.device),
        tolerance=tolerance,
    ) as opened:
        _evaluate(
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
            engine=opened,
            shard=part,
        )
    if part is None:
        _print_report(out)
    else:
        typer.echo(f"shard {shard} is done; when all are: merge {out}", err=True)


def merge(
    out: Annotated[Path, typer.Argument(metavar="RESULTS", help="The table that `evaluate --shard` was told.")],
) -> None:
    """Make one table of what `evaluate --shard` has left, each of its processes having done its part."""
    merge_parts(out)
    _print_report(out)


def _read_shard(written: str) -> tuple[int, int]:
    """ "3/16" → (3, 16)."""
    number, _, count = written.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise MetricError(f"--shard takes K/N, such as 3/16, not {written!r}")
    return int(number), int(count)


def _evaluate(clf: Classifier, source: Source, name: str, **settings: Any) -> None:
    """Ctrl-C is told what is kept, and how to go on."""
    step = Step(0, 0, ())
    try:
        with watching(name) as progress:
            for step in evaluate_folder(clf, source, progress=progress, **settings):
                for warning in step.warnings:
                    typer.secho(warning, fg="yellow", err=True)
    except KeyboardInterrupt:
        kept = f"at least {step.done} of {step.total} are done and kept" if step.total else "nothing was done yet"
        typer.echo(f"{kept}: the same command goes on from there", err=True)
        raise


def _print_report(out: Path) -> None:
    """What a table says."""
    table = read_values(out)
    _report(table, summarise(table))
    typer.echo(f"wrote {out}", err=True)


def _report(table: pa.Table, summaries: Sequence[Summary]) -> None:
    """Means and intervals on stdout, doubts on stderr."""
    print_table(_COLUMNS, [_line(summary) for summary in summaries], numeric=_NUMERIC)
    images = len(table["image"].unique())
    if images < FEW:
        typer.secho(
            f"n = {images}: an interval over fewer than {FEW} images is itself uncertain", fg="yellow", err=True
        )
    reasons = table.filter(table["value"].is_null())["note"].value_counts().to_pylist()
    for reason in reasons[:_REASONS]:
        typer.secho(f"{reason['counts']} without a value: {reason['values']}", fg="yellow", err=True)
    further = sum(reason["counts"] for reason in reasons[_REASONS:])
    if further:
        typer.secho(f"{further} without a value for other reasons, which are in the table", fg="yellow", err=True)


def _line(summary: Summary) -> tuple[object, ...]:
    interval = summary.interval
    numbers = (
        ("–",) * 3 if interval is None else tuple(f"{v:.4g}" for v in (interval.mean, interval.low, interval.high))
    )
    count = 0 if interval is None else interval.count
    return summary.method, summary.metric, summary.direction, *numbers, count, summary.missing
