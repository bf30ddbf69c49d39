"""`classes`: why A and not B? The maps of two classes by one method or several, and the channels behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import isnan
from pathlib import Path
from typing import Annotated, Final

import typer
from PIL import Image

from cam_core.analysis.channel_contrast import ChannelContrast, channel_contrast, contrast_csv
from cam_core.analysis.contrast import Contrast, MapPart, check_classes, class_contrast, opposing_class
from cam_core.cli import options
from cam_core.cli.explain import correlated, explain_all
from cam_core.cli.inputs import open_classifier, open_photo, resolve_class
from cam_core.cli.outputs import check_outputs, write_output
from cam_core.cli.progress import watching
from cam_core.cli.requests import Request, read_requests
from cam_core.cli.tables import print_table
from cam_core.figures import DOUBLE_COLUMN, FORMATS, Design, contrast_figure, encode_figure, figure_format
from cam_core.metrics.ground_truth import Region, sample_regions
from cam_core.models.classifier import Classifier
from cam_core.numbers import decimals
from cam_core.options import Options
from cam_core.overlay import DIVERGING, close_up
from cam_core.shapley import channel_shap
from cam_core.targets.asking import Target
from cam_core.targets.scores import Difference
from cam_core.types import Explanation, MethodError

_DEFAULT_METHODS: Final = ["grad-cam", "lift-cam"]
_FRAME: Final = 600  # pixels of a side of the photo in the figure


def classes(
    image: options.Image,
    target: Annotated[
        str | None, typer.Option(help="Class A, an index or a label; the most probable one if omitted.")
    ] = None,
    versus: Annotated[
        str | None,
        typer.Option(help="Class B; if omitted, that of a sample photo's other animal, or the next probable one."),
    ] = None,
    method: options.Methods = None,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = "default",
    weights_seed: options.WeightsSeed = 0,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="A module's name: see `layers`; the last one if omitted.")
    ] = None,
    param: options.Parameters = None,
    device: options.Device = "auto",
    precision: options.Precision = "float32",
    compiled: options.Compiled = False,
    resize: options.Resize = "",
    seed: options.Seed = 0,
    channels: Annotated[
        int, typer.Option(min=0, help="How many channels to list, those first that tell A from B most; 0 for none.")
    ] = 8,
    budget: Annotated[int, typer.Option(min=1, help="Tail passes for each of the three estimates behind them.")] = 64,
    colormap: Annotated[str, typer.Option(help=f"Of signed maps: {', '.join(DIVERGING)}.", show_default=False)] = "",
    width: Annotated[float, typer.Option(help="Of the figure, mm: 85 is a journal's column, 174 its page.")] = (
        DOUBLE_COLUMN
    ),
    csv: Annotated[Path | None, typer.Option(help="Write all channels as comma-separated values.")] = None,
    out: Annotated[
        list[Path] | None, typer.Option(help=f"Write a figure ({', '.join(FORMATS)}). Repeat for several formats.")
    ] = None,
) -> None:
    """Ask why the network sees class A and not class B: both maps, their difference, and the channels behind it."""
    requests = read_requests(method or _DEFAULT_METHODS, param or (), [layer] if layer else ())
    design = Design(width=width, signed=True, colour_map=colormap)
    formats = {path: figure_format(path) for path in out or ()}
    check_outputs([*(out or ()), *([csv] if csv else ())])
    photo = open_photo(image)
    clf = open_classifier(model, weights, weights_seed, device, resize)
    regions = _regions(clf, image, photo)
    a = resolve_class(clf, photo, target)
    b = (
        opposing_class(clf.predict(photo, top=None), a, regions)
        if versus is None
        else resolve_class(clf, photo, versus)
    )
    check_classes(a, b, clf.labels[a])
    computing = Options(seed, precision, compiled)
    contrasts = _contrasts(clf, photo, requests, (a, b), regions, computing)
    told = _channels(clf, photo, layer, (a, b), budget, computing) if channels or csv else None
    files: dict[Path, bytes] = {csv: contrast_csv(told)} if csv and told else {}
    if formats:
        figure = contrast_figure(close_up(photo, clf.preprocessing.shown(photo.size), _FRAME), contrasts, design)
        files |= {path: encode_figure(figure, form) for path, form in formats.items()}
    for path, content in files.items():
        write_output(path, content)
    _print_maps(contrasts, regions)
    _tell(contrasts)
    if told:
        _tell_channels(told, channels)
    for path in files:
        typer.echo(f"wrote {path}", err=True)


def _regions(clf: Classifier, source: str, photo: Image.Image) -> list[Region]:
    """Of a sample photo by its name; nothing is known of where things are in a file."""
    if Path(source).exists():
        return []
    return sample_regions(source, clf.preprocessing.box(photo.size), clf.preprocessing.input_size)


def _contrasts(
    clf: Classifier,
    photo: Image.Image,
    requests: Sequence[Request],
    pair: tuple[int, int],
    regions: Sequence[Region],
    computing: Options,
) -> list[Contrast]:
    of_a, of_b = (explain_all(clf, photo, requests, target, computing) for target in pair)
    between = [_between(clf, photo, request, pair, computing) for request in requests]
    return [class_contrast(*maps, regions) for maps in zip(of_a, of_b, between, strict=True)]


def _between(
    clf: Classifier, photo: Image.Image, request: Request, pair: tuple[int, int], computing: Options
) -> Explanation | None:
    """The map of A − B itself, of a method that can be asked for it."""
    if not request.method.class_specific:
        return None
    try:
        return explain_all(clf, photo, [request], Difference(*pair), computing)[0]
    except MethodError as error:
        typer.secho(f"{request.method.title}: no map of the difference itself: {error}", fg="yellow", err=True)
        return None


def _channels(
    clf: Classifier, photo: Image.Image, layer: str | None, pair: tuple[int, int], budget: int, computing: Options
) -> ChannelContrast:
    with watching("Estimating") as progress:
        watched = replace(computing, progress=progress)
        estimate = partial(channel_shap, clf, photo, layer=layer, budget=budget)
        targets: list[Target] = [*pair, Difference(*pair)]
        parts = [watched.part(place, len(targets)) for place in range(len(targets))]
        a, b, between = (
            estimate(target=target, seed=part.seed, precision=part.precision, progress=part.progress)
            for target, part in zip(targets, parts, strict=True)
        )
    return channel_contrast(a, b, between)


def _print_maps(contrasts: Sequence[Contrast], regions: Sequence[Region]) -> None:
    """Each map on stdout: its largest value, and the share of its positive energy in each region."""
    names = [f"on {region.classes[0]} ({region.mask.mean():.2f} of the image)" for region in regions]
    rows = [
        [contrast.title, contrast.parts[part], f"{largest:.5g}", *_shares(contrast, part)]
        for contrast in contrasts
        for part, largest in contrast.largest.items()
    ]
    print_table(["method", "map", "largest value", *names], rows, numeric=["largest value", *names])


def _shares(contrast: Contrast, part: MapPart) -> list[str]:
    return ["–" if isnan(region.share) else f"{region.share:.3f}" for region in contrast.shares.get(part, ())]


def _tell(contrasts: Sequence[Contrast]) -> None:
    """The two classes, how far each method's two maps agree, and what is to be known of them, on stderr."""
    typer.echo(" and ".join(_class(made) for made in (contrasts[0].a, contrasts[0].b)), err=True)
    for contrast in contrasts:
        linear = "; the map of the difference is the difference of the maps" if contrast.linear else ""
        unlike = contrast.deviation if not contrast.linear else None
        apart = "" if unlike is None else f"; the map of the difference deviates by {unlike:.0%} of the largest value"
        typer.echo(
            f"{contrast.title}: rank correlation of the two maps {correlated(contrast.correlation)}{linear}{apart}",
            err=True,
        )
        for warning in dict.fromkeys(filter(None, (contrast.notice, *contrast.a.warnings, *contrast.b.warnings))):
            typer.secho(f"{contrast.title}: {warning}", fg="yellow", err=True)


def _class(made: Explanation) -> str:
    return f"{made.label} (class {made.target}, logit {made.score:.4f}, p = {made.probability:.4f})"


def _tell_channels(report: ChannelContrast, count: int) -> None:
    state = "exact" if report.exact else "converged" if report.converged else "not converged"
    a, b = report.labels
    typer.echo(f"channels of {report.layer} that tell the two apart ({report.passes} tail passes, {state}):", err=True)
    for channel in report.order[:count]:
        error = "" if report.exact else f" ± {report.stderr[channel]:.2g}"
        values = (decimals(float(phi[channel]), 4, "+") for phi in (report.phi, report.phi_a, report.phi_b))
        apart, of_a, of_b = values
        typer.echo(f"  {channel}: phi {apart}{error}, of {a} {of_a}, of {b} {of_b}", err=True)
