"""`curve`: deletion and insertion curves of one image, by one method or several; a table, a figure, the areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from cam_core.cli import options
from cam_core.cli.explain import explain_all
from cam_core.cli.inputs import open_classifier, open_photo, resolve_class
from cam_core.cli.outputs import check_outputs, write_output
from cam_core.cli.progress import watching
from cam_core.cli.requests import Request, read_requests
from cam_core.cli.tables import print_table
from cam_core.figures import (
    DOUBLE_COLUMN,
    FORMATS,
    CurvePanel,
    Design,
    curve_figure,
    encode_figure,
    figure_format,
)
from cam_core.methods import METHODS
from cam_core.metrics.curves.perturbation import KINDS, Kind
from cam_core.metrics.curves.points import Curve, Curves, add_point, curve_points, curve_settings, curves_csv
from cam_core.metrics.curves.spread import CONTROL_MAPS, band, random_control, spread
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.types import IMPROBABLE, Explanation, MetricError

_DEFAULT_METHODS = ["lift-cam"]
_BETTER = {"deletion": "lower", "insertion": "higher"}
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
    score: Annotated[str, typer.Option(help="What the curve follows: probability or logit.")] = "probability",
    random: Annotated[int, typer.Option(min=0, help="How many random maps to set beside them.")] = CONTROL_MAPS,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = "default",
    weights_seed: options.WeightsSeed = 0,
    layer: options.Layers = None,
    class_: options.Class = None,
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
    for one in kinds:
        curve_settings(one, **settings)  # what is wrong is said before the work begins
    design, formats = Design(width=width), {path: figure_format(path) for path in out or ()}
    written = [*(out or ()), *([csv] if csv else ())]
    check_outputs(written)
    photo = open_photo(image)
    clf = open_classifier(model, weights, weights_seed, device)
    target = resolve_class(clf, photo, class_)
    computing = Options(seed, precision)
    explanations = {one.method: one for one in explain_all(clf, photo, requests, target, computing)}
    place = _control_layer(requests)
    control = random_control(clf, photo, place, target, seed=seed, count=random, precision=precision)
    curves = _curves(clf, photo, explanations | control, kinds, target, settings, computing)
    panels = [_panel(one, curves, explanations, control) for one in kinds]
    if csv:
        write_output(csv, curves_csv(curves.values()).encode())
    titles = {name: METHODS[name].title for name in explanations}
    for path, form in formats.items():
        write_output(path, encode_figure(curve_figure(panels, titles, design, score=score), form))
    _report(panels, curves, control, next(iter(explanations.values())))
    for path in written:
        typer.echo(f"wrote {path}", err=True)


def _curves(
    clf: Classifier,
    photo: Image.Image,
    maps: Mapping[str, Explanation],
    kinds: Sequence[Kind],
    target: int,
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
    return next((one.layers for one in requests if not one.method.multi_layer), None)


def _panel(
    kind: Kind, curves: Curves, explanations: Mapping[str, Explanation], control: Mapping[str, Explanation]
) -> CurvePanel:
    beside = _control_curves(kind, curves, control)
    return CurvePanel(kind, [curves[name, kind] for name in explanations], band(beside) if beside else None)


def _control_curves(kind: Kind, curves: Curves, control: Mapping[str, Explanation]) -> list[Curve]:
    return [curves[name, kind] for name in control]


def _report(
    panels: Sequence[CurvePanel], curves: Curves, control: Mapping[str, Explanation], first: Explanation
) -> None:
    """The areas on stdout, doubts on stderr."""
    rows: list[tuple[str, ...]] = []
    for panel in panels:
        random = spread(_control_curves(panel.kind, curves, control))
        for one in panel.curves:
            verdict = "–" if random is None else random.verdict(one.auc, panel.kind)
            rows.append((one.name, panel.kind, f"{one.auc:.4f}", _BETTER[panel.kind], verdict))
        if random is not None:
            ends = f"{random.low:.4f} to {random.high:.4f}"
            rows.append((f"{random.count} random maps", panel.kind, f"{random.mean:.4f}", _BETTER[panel.kind], ends))
    print_table(_COLUMNS, rows, numeric=("area",))
    if first.probability < IMPROBABLE:
        typer.secho(
            f"p({first.label}) = {first.probability:.2g} on the whole image, below {IMPROBABLE:g}: there is next to "
            "nothing to lose, and the curves say little",
            fg="yellow",
            err=True,
        )
