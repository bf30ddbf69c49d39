"""`channels`: SHAP values of a layer's channels for one image, and what methods say of the same channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from cam_core.analysis.channels import ChannelReport, channel_csv, channel_report, channel_table, coefficients_of
from cam_core.cli import options
from cam_core.cli.inputs import open_classifier, open_photo, resolve_target
from cam_core.cli.outputs import check_outputs, write_output
from cam_core.cli.progress import watching
from cam_core.cli.requests import Request, read_requests
from cam_core.cli.tables import print_table
from cam_core.explain import explain
from cam_core.figures import DOUBLE_COLUMN, FORMATS, Design, channel_figure, encode_figure, figure_format
from cam_core.methods import METHODS, title_of
from cam_core.metrics.base import Values
from cam_core.models.classifier import Classifier
from cam_core.models.tails import nonlinear_layer
from cam_core.options import Options
from cam_core.shapley import BUDGET, CONVERGED_GAP, CONVERGED_NOISE, ESTIMATORS, ChannelEstimate, channel_shap
from cam_core.targets.asking import Target
from cam_core.types import MethodError


def channels(
    image: options.Image,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-M", help="Set a method's coefficients beside the SHAP values. Repeat for several."),
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    weights: options.Weights = "default",
    weights_seed: options.WeightsSeed = 0,
    resize: options.Resize = "",
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer", "-l", help="A module's name: see `layers`; a late one with a nonlinear tail if omitted."
        ),
    ] = None,
    class_: options.Class = None,
    target: options.Target = None,
    estimator: Annotated[str, typer.Option(help=f"exact, {', '.join(ESTIMATORS)}.")] = "owen",
    budget: Annotated[int, typer.Option(min=1, help="Tail passes; at least one repetition is made.")] = BUDGET,
    param: options.Parameters = None,
    device: options.Device = "auto",
    precision: options.Precision = "float32",
    seed: options.Seed = 0,
    top: Annotated[int, typer.Option(min=1, help="How many channels the table and the figure show.")] = 20,
    width: Annotated[float, typer.Option(help="Of the figure, mm: 85 is a journal's column, 174 its page.")] = (
        DOUBLE_COLUMN
    ),
    csv: Annotated[Path | None, typer.Option(help="Write all channels as comma-separated values.")] = None,
    out: Annotated[
        list[Path] | None, typer.Option(help=f"Write a figure ({', '.join(FORMATS)}). Repeat for several formats.")
    ] = None,
) -> None:
    """Estimate which channels of a layer carry the decision: SHAP values with standard errors."""
    requests = _with_coefficients(read_requests(method or (), param or (), ()))
    design = Design(width=width)
    formats = {path: figure_format(path) for path in out or ()}
    check_outputs([*(out or ()), *([csv] if csv else ())])
    photo = open_photo(image)
    clf = open_classifier(model, weights, weights_seed, device, resize)
    place = layer or nonlinear_layer(clf)
    meant = resolve_target(clf, photo, class_, target)
    with watching("Estimating") as progress:
        estimate = channel_shap(
            clf,
            photo,
            layer=place,
            target=meant,
            estimator=estimator,
            budget=budget,
            seed=seed,
            precision=precision,
            progress=progress,
        )
    report = channel_report(estimate, _beside(clf, photo, requests, estimate, meant, Options(seed, precision)))
    files: dict[Path, bytes] = {csv: channel_csv(report)} if csv else {}
    if formats:
        figure = channel_figure(report, top, design)
        files |= {path: encode_figure(figure, form) for path, form in formats.items()}
    for path, content in files.items():
        write_output(path, content)
    _report(report, top, list(files))


def _with_coefficients(requests: Sequence[Request]) -> Sequence[Request]:
    for request in requests:
        if not request.method.unit:
            able = ", ".join(key for key, entry in METHODS.items() if entry.unit)
            raise MethodError(f"{request.method.key} has no coefficient for each channel; these have: {able}")
    return requests


def _beside(
    clf: Classifier,
    photo: Image.Image,
    requests: Sequence[Request],
    estimate: ChannelEstimate,
    target: Target,
    computing: Options,
) -> dict[str, Values]:
    """Method → coefficients (K,)."""
    explanations = []
    for request in requests:
        with watching(request.method.title) as progress:
            explanation = explain(
                clf,
                photo,
                method=request.method.key,
                layer=estimate.layer,
                target=target,
                **vars(replace(computing, progress=progress)),
                **request.params,
            )
        if explanation.coefficients is None:
            raise MethodError(f"{request.method.key} has no coefficient for each channel with these parameters")
        explanations.append(explanation)
    return coefficients_of(explanations)


def _report(report: ChannelReport, top: int, written: Sequence[Path]) -> None:
    """The channels on stdout; the facts, how close each method comes, and what was written, on stderr."""
    columns, rows = channel_table(report)
    print_table(columns, [_rounded(row) for row in rows[:top]], numeric=columns)
    for fact in _facts(report):
        typer.echo(fact, err=True)
    for plain, times_mean in zip(report.methods["coefficients"], report.methods["contributions"], strict=True):
        typer.echo(
            f"{title_of(plain.name)}: cosine to SHAP {plain.similarity.cosine:.3f}, "
            f"times mean activation {times_mean.similarity.cosine:.3f}",
            err=True,
        )
    for path in written:
        typer.echo(f"wrote {path}", err=True)


def _rounded(row: Sequence[object]) -> list[object]:
    return [f"{entry:.5g}" if isinstance(entry, float) else entry for entry in row]


def _facts(report: ChannelReport) -> list[str]:
    if report.exact:
        state = "exact"
    else:
        state = (
            f"{'converged' if report.converged else 'not converged'} (relative standard error {report.noise:.3f}, "
            f"limit {CONVERGED_NOISE:g}; gap at most {CONVERGED_GAP:g} of the sum of |phi|)"
        )
    return [
        f"{_explained(report)} at {report.layer} of "
        f"{report.model}: {report.channels - report.dead} live channels, {report.dead} dead",
        f"{report.estimator}: {report.passes} tail passes, {state}",
        f"{report.measure.quantity} {report.v_all:.4f}, without any channel {report.v_empty:.4f}, "
        f"sum of phi {report.phi_sum:.4f}, unexplained {-report.gap:.4f} ({report.relative_gap:.2%})",
    ]


def _explained(report: ChannelReport) -> str:
    p = "" if report.probability is None else f", p = {report.probability:.4f}"
    return f"{report.label} ({f'class {report.target}' if isinstance(report.target, int) else report.target}{p})"
