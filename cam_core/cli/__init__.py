"""The command line: one file per command, each listed here by one line.

    python -m cam_core explain photo.jpg --method lift-cam --method grad-cam --out figure.pdf

What goes wrong for a reason that a user can mend is one line on stderr and exit code 2; Ctrl-C is exit code 130.
"""

from __future__ import annotations

import typer

from cam_core.cli import channels, classes, curve, evaluate, explain, figure, layers, methods, models, results, train
from cam_core.cli.program import Program, root

app = typer.Typer(name="camscope", cls=Program, add_completion=False, pretty_exceptions_show_locals=False)

app.callback(invoke_without_command=True)(root)
app.command("explain")(explain.explain)
app.command("channels")(channels.channels)
app.command("classes")(classes.classes)
app.command("curve")(curve.curve)
app.command("figure")(figure.figure)
app.command("evaluate")(evaluate.evaluate)
app.command("merge")(evaluate.merge)
app.command("results")(results.results)
app.command("models")(models.models)
app.command("layers")(layers.layers)
app.command("methods")(methods.methods)
app.command("train")(train.train_networks)
