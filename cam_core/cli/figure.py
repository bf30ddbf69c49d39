"""`figure`: a grid of images × methods, layers, classes or networks for a paper, from a spec in JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cam_core.cli import options
from cam_core.cli.inputs import open_classifier
from cam_core.cli.outputs import check_outputs, write_output
from cam_core.cli.progress import watching
from cam_core.cli.tables import print_table
from cam_core.figures import (
    FORMATS,
    ExplainedGrid,
    FigureSpec,
    bibliography,
    explain_grid,
    figure_format,
    grid_doubts,
    grid_file,
    latex_snippet,
)
from cam_core.figures.grid.explained import image_opener
from cam_core.figures.grid.titles import row_title
from cam_core.methods import METHODS

_COLUMNS = ("image", "method", "class", "probability", "layer")


def figure(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A JSON file: images, columns, model, layer, seed, look.")
    ],
    out: Annotated[
        list[Path] | None, typer.Option(help=f"Write the figure ({', '.join(FORMATS)}). Repeat for several formats.")
    ] = None,
    tex: Annotated[
        Path | None, typer.Option(help="Write the LaTeX that includes the first --out, with its caption.")
    ] = None,
    bib: Annotated[Path | None, typer.Option(help="Write the BibTeX entries of the methods.")] = None,
    device: options.Device = "auto",
) -> None:
    """Draw a grid of images and methods for a paper. Paths in the spec are as seen from its own folder."""
    asked = FigureSpec.read(spec)
    formats = {path: figure_format(path) for path in out or ()}
    check_outputs([*formats, *(path for path in (tex, bib) if path)])
    with watching("Computing") as progress:
        grid = explain_grid(
            asked,
            progress=progress,
            open_image=image_opener(spec.parent),
            open_network=lambda network: open_classifier(network.name, network.weights, network.seed, device),
        )
    doubts = grid_doubts(grid)
    files = {path: grid_file(grid, form) for path, form in formats.items()}
    if tex:
        included = next(iter(formats), Path(f"{spec.stem}.pdf"))
        files[tex] = latex_snippet(grid, included.name).encode()
    if bib:
        files[bib] = bibliography(column.method for column in asked.columns).encode()
    for path, content in files.items():
        write_output(path, content)
    _report(grid)
    for doubt in doubts:
        typer.secho(doubt, fg="yellow", err=True)
    for path in files:
        typer.echo(f"wrote {path}", err=True)


def _report(grid: ExplainedGrid) -> None:
    rows = [
        (
            row_title(row.shown),
            METHODS[made.method].title,
            made.label,
            "–" if made.probability is None else f"{made.probability:.4f}",
            made.layer,
        )
        for row in grid.rows
        for made in row.explanations
    ]
    print_table(_COLUMNS, rows, numeric=("probability",))
