"""`explain`: one class of one image, by one method or several; a figure, a record, a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import isnan
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from cam_core.analysis.comparison import ComparisonReport, comparison_report
from cam_core.cli import options
from cam_core.cli.inputs import open_classifier, open_photo, resolve_target
from cam_core.cli.outputs import as_json, check_outputs, write_output
from cam_core.cli.progress import watching
from cam_core.cli.requests import Request, read_requests
from cam_core.cli.tables import print_table
from cam_core.explain import explain as explain_image
from cam_core.figures import DOUBLE_COLUMN, FORMATS, Design, encode_figure, figure_format, heatmap_figure, row_of
from cam_core.images import image_digest
from cam_core.models.brought.folder import WEIGHTS, is_folder
from cam_core.models.classifier import Classifier
from cam_core.models.zoo.downloads import sha256_of
from cam_core.options import Options
from cam_core.overlay import AGAINST_UNEVEN, DIVERGING, SEQUENTIAL, UNEVEN
from cam_core.targets.asking import Target
from cam_core.types import Explanation
from cam_core.version import versions

_DEFAULT_METHOD = "lift-cam"
_COLUMNS = ("method", "class", "probability", "layer", "seconds", "head passes", "tail passes")
_NUMERIC = ("probability", "seconds", "head passes", "tail passes")


def explain(
    image: options.Image,
    method: options.Methods = None,
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
    compiled: options.Compiled = False,
    seed: options.Seed = 0,
    opacity: Annotated[float, typer.Option(help="Of the map over the photo, 0 to 1.")] = 0.5,
    colormap: Annotated[
        str, typer.Option(help=f"{', '.join(SEQUENTIAL)}; with --signed {', '.join(DIVERGING)}.", show_default=False)
    ] = "",
    signed: Annotated[bool, typer.Option("--signed", help="Draw what speaks against the class too.")] = False,
    width: Annotated[float, typer.Option(help="Of the figure, mm: 85 is a journal's column, 174 its page.")] = (
        DOUBLE_COLUMN
    ),
    out: Annotated[
        list[Path] | None, typer.Option(help=f"Write a figure ({', '.join(FORMATS)}). Repeat for several formats.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write maps, coefficients and all settings.")] = None,
) -> None:
    """Explain why a network sees a class in an image: heatmaps side by side."""
    requests = read_requests(method or [_DEFAULT_METHOD], param or (), layer or ())
    design = Design(width=width, opacity=opacity, signed=signed, colour_map=colormap)
    formats = {path: figure_format(path) for path in out or ()}
    check_outputs([*(out or ()), *([json] if json else ())])
    photo = open_photo(image)
    clf = open_classifier(model, weights, weights_seed, device, resize)
    computing = Options(seed, precision, compiled)
    meant = resolve_target(clf, photo, class_, target)
    explanations = explain_all(clf, photo, requests, meant, computing)
    report = comparison_report(explanations, clf.predict(photo, top=None), explanations[0].target)
    files: dict[Path, bytes] = {}
    if formats:
        figure = heatmap_figure([row_of(clf, photo, explanations)], design)
        files |= {path: encode_figure(figure, form) for path, form in formats.items()}
    if json:
        files[json] = as_json(
            {
                "versions": versions(),
                "image": {"source": image, "size": list(photo.size), "sha256": image_digest(photo)},
                "model": _model_record(model, weights, weights_seed),
                "preprocessing": asdict(clf.preprocessing),
                "top_classes": [asdict(prediction) for prediction in report.top],
                "agreement": [] if report.agreement is None else report.agreement.tolist(),
                "explanations": [explanation.to_dict() for explanation in explanations],
            }
        )
    for path, content in files.items():
        write_output(path, content)
    _report(report, list(files))
    if colormap in UNEVEN:
        typer.secho(f"{colormap}: {AGAINST_UNEVEN}", fg="yellow", err=True)


def explain_all(
    clf: Classifier, photo: Image.Image, requests: Sequence[Request], target: Target, computing: Options
) -> list[Explanation]:
    """In the order of the requests; computed cheap ones first, so that what is wrong with one shows soon."""
    explanations: dict[str, Explanation] = {}
    for request in sorted(requests, key=lambda request: request.method.expensive):
        with watching(request.method.title) as progress:
            explanations[request.method.key] = explain_image(
                clf,
                photo,
                method=request.method.key,
                layer=request.layers,
                target=target,
                **vars(replace(computing, compiled=computing.compiled and request.method.expensive, progress=progress)),
                **request.params,
            )
    return [explanations[request.method.key] for request in requests]


def _model_record(model: str, weights: str, weights_seed: int) -> dict[str, Any]:
    record: dict[str, Any] = {"name": model, "weights": weights}
    if is_folder(model):
        return record | {"weights_sha256": sha256_of(Path(model).expanduser() / WEIGHTS)}
    if weights == "random":
        return record | {"weights_seed": weights_seed}
    return record if weights == "default" else record | {"weights_sha256": sha256_of(Path(weights).expanduser())}


def _report(report: ComparisonReport, written: Sequence[Path]) -> None:
    """The facts on stdout; doubts about a map, how far the maps agree, and what was written, on stderr."""
    rows = [
        (
            title,
            explanation.label,
            "–" if explanation.probability is None else f"{explanation.probability:.4f}",
            explanation.layer,
            f"{explanation.seconds:.2f}",
            explanation.passes.head,
            explanation.passes.tail,
        )
        for title, explanation in zip(report.titles, report.maps, strict=True)
    ]
    print_table(_COLUMNS, rows, numeric=_NUMERIC)
    if isinstance(report.target, str):
        typer.echo(f"{report.maps[0].label}: {report.maps[0].score:.4f}", err=True)
    for title, explanation in zip(report.titles, report.maps, strict=True):
        for warning in explanation.warnings:
            typer.secho(f"{title}: {warning}", fg="yellow", err=True)
    for title, beside, correlation in report.pairs:
        typer.echo(f"{title} and {beside}: rank correlation {correlated(correlation)}", err=True)
    for path in written:
        typer.echo(f"wrote {path}", err=True)


def correlated(correlation: float) -> str:
    """A rank correlation, or why there is none."""
    return "– (a map is constant)" if isnan(correlation) else f"{correlation:z.2f}"
