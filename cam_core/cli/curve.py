"""`curve`: deletion and insertion curves of one image, by one method or several; a table, a figure, the areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from cam_core.analysis.curves import CurveReport, curve_report, curves_csv
from cam_core.cli import options
from cam_core.cli.explain import explain_all
from cam_core.cli.inputs import open_classifier, open_photo, resolve_target
from cam_core.cli.outputs import check_outputs, write_output
from cam_core.cli.progress import watching
from cam_core.cli.requests import Request, read_requests
from cam_core.cli.tables import print_table
from cam_core.figures import DOUBLE_COLUMN, FORMATS, Design, curve_figure, encode_figure, figure_format
from cam_core.metrics.curves.perturbation import KINDS, Kind
from cam_core.metrics.curves.points import Curves, add_point, curve_points, curve_settings
from cam_core.metrics.curves.spread import CONTROL_MAPS, random_control
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.targets.asking import Target
from cam_core.types import Explanation, MetricError

_DEFAULT_METHODS = ["lift-cam"]
_COLUMNS = ("method", "kind", "area", "better", "beside random")


def curve(
    image: options.Image,
    method: options.Methods = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="deletion or insertion. Repeat for both.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Points after the first.")] = 50,
    baseline: Annotated[
        str,
        typer.Option(
            help="What a pixel becomes: zero, mean, blur or noise; if omitted, zero for deletion, blur for insertion.",
            show_default=False,
        ),
    ] = "",
    score: Annotated[
        str, typer.Option(help="What the curve follows: probability or logit. A --target is followed itself.")
    ] = "probability",
    random: Annotated[int, typer.Option(min=0, help="How many random maps to set beside them.")] = CONTROL_MAPS,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = "default",
    weights_seed: options.WeightsSeed = 0,
    resize: options.Resize = "",
    layer: options.Layers = None,
    class_: options.Class = None,
    target: options.Target = None,
    param: options.Parameters = None,
    device: options.Device = "auto",
    precision: options.Precision = "float32",
    seed: options.Seed = 0,
    width: Annotated[float, typer.Option(help="Of the figure, mm.")] = DOUBLE_COLUMN,
    csv: Annotated[Path | None, typer.Option(help="Write all points: method, kind, fraction, value.")] = None,
    out: Annotated[
        list[Path] | None, typer.Option(help=f"Write a figure ({', '.join(FORMATS)}). Repeat for several formats.")
    ] = None,
) -> None:
    """Follow a class's score while the pixels that a map calls important go, or come: is the map true?"""
    requests = read_requests(method or _DEFAULT_METHODS, param or (), layer or ())
    kinds = _kinds(kind or ["deletion"])
    settings: dict[str, Any] = {"steps": steps, "score": score} | ({"baseline": baseline} if baseline else {})
    for each in kinds:
        curve_settings(each, **settings)  # what is wrong is said before the work begins
    design, formats = Design(width=width), {path: figure_format(path) for path in out or ()}
    written = [*(out or ()), *([csv] if csv else ())]
    check_outputs(written)
    photo = open_photo(image)
    clf = open_classifier(model, weights, weights_seed, device, resize)
    meant = resolve_target(clf, photo, class_, target)
    computing = Options(seed, precision)
    explanations = {made.method: made for made in explain_all(clf, photo, requests, meant, computing)}
    place = _control_layer(requests)
    control = random_control(clf, photo, place, meant, seed=seed, count=random, precision=precision)
    curves = _curves(clf, photo, explanations | control, kinds, meant, settings, computing)
    report = curve_report(curves, explanations, list(control), score=score)
    if csv:
        write_output(csv, curves_csv(report))
    for path, form in formats.items():
        write_output(path, encode_figure(curve_figure(report, design), form))
    _report(report)
    for path in written:
        typer.echo(f"wrote {path}", err=True)


def _curves(
    clf: Classifier,
    photo: Image.Image,
    maps: Mapping[str, Explanation],
    kinds: Sequence[Kind],
    target: Target,
    settings: Mapping[str, Any],
    computing: Options,
) -> Curves:
    curves: Curves = {}
    with watching("Curves") as progress:
        watched = vars(replace(computing, progress=progress))
        points = curve_points(clf, photo, maps, kinds=kinds, target=target, order="sequential", **watched, **settings)
        for point in points:
            add_point(curves, point)
    return curves


def _kinds(names: Sequence[str]) -> list[Kind]:
    """The kinds that are named, once each.

    Raises:
        MetricError: there is no such kind.
    """
    for name in names:
        if name not in KINDS:
            raise MetricError(f"unknown kind of curve {name!r}; there are: {', '.join(KINDS)}")
    return [kind for kind in KINDS if kind in names]


def _control_layer(requests: Sequence[Request]) -> list[str] | None:
    """Where the first method that explains one layer looks; the network's default beside methods over several."""
    return next((request.layers for request in requests if not request.method.multi_layer), None)


def _report(report: CurveReport) -> None:
    """The areas on stdout, doubts on stderr."""
    rows: list[tuple[str, ...]] = []
    for panel in report.panels:
        for line in panel.lines:
            rows.append((line.name, panel.kind, f"{line.area:.4f}", panel.better, line.verdict or "–"))
        if panel.spread is not None:
            mean, low, high = (f"{area:.4f}" for area in (panel.spread.mean, panel.spread.low, panel.spread.high))
            rows.append((f"{panel.spread.count} random maps", panel.kind, mean, panel.better, f"{low} to {high}"))
    print_table(_COLUMNS, rows, numeric=("area",))
    doubts = [f"{panel.kind}: {warning}" for panel in report.panels for warning in panel.warnings]
    for doubt in (*report.warnings, *doubts):
        typer.secho(doubt, fg="yellow", err=True)
