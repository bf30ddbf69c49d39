"""The snippet that includes the figure in a paper, and its caption, which says all that a reader needs to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cam_core.figures.grid.bibliography import works_of
from cam_core.figures.grid.escaping import escaped
from cam_core.figures.grid.explained import ExplainedGrid, ExplainedRow
from cam_core.figures.grid.meaning import meaning
from cam_core.figures.grid.spec import Chart
from cam_core.figures.grid.titles import chart_title, network_title, row_title
from cam_core.figures.layout import probability
from cam_core.methods import METHODS
from cam_core.metrics.curves.perturbation import DEFAULTS
from cam_core.metrics.curves.points import AXIS_OF_SCORE
from cam_core.types import Explanation
from cam_core.version import versions

_NAMED = ("camscope", "torch", "torchvision", "timm")
_BASELINES = {
    "zero": "zero",
    "mean": "the image's mean colour",
    "blur": "the image blurred",
    "noise": "noise",
}
_STYLES = {
    "overlay": "Colours over the photo",
    "contours": "Lines at a quarter, a half and three quarters of the scale",
    "mask": "What is below {threshold:g} of the scale is darkened",
}


def latex_snippet(grid: ExplainedGrid, file: str) -> str:
    """A figure environment of LaTeX; it needs the package graphicx, and `bibliography` for its citations.

    Args:
        file: the name of the figure's own file.
    """
    look = grid.spec.look
    environment = "figure*" if look.of_venue.spans else "figure"
    return "\n".join(
        [
            f"\\begin{{{environment}}}[t]",
            "  \\centering",
            f"  \\includegraphics[width={look.design.width:g}mm]{{{file}}}",
            f"  \\caption{{{latex_caption(grid)}}}",
            f"  \\label{{fig:{Path(file).stem}}}",
            f"\\end{{{environment}}}",
            "",
        ]
    )


def latex_caption(grid: ExplainedGrid) -> str:
    """Network, layer, class, methods with their parameters and papers, scale, seed, versions."""
    made = grid.explanations
    networks, layers = (dict.fromkeys(names) for names in ([e.model for e in made], [e.layer for e in made]))
    several = len(networks) > 1, len(layers) > 1
    where = "" if several[0] else f" of {escaped(network_title(made[0].model))}{_untrained(made[0])}"
    where += "" if several[1] else f", layer \\texttt{{{escaped(made[0].layer)}}}"
    columns = [_column(grid.rows[0].explanations[place], *several) for place in range(len(grid.spec.columns))]
    rows = [_row(row) for row in grid.rows]
    return " ".join(
        [
            f"Class-activation maps{where}.",
            f"Columns: {'the image, ' if grid.spec.look.input else ''}{'; '.join(columns)}.",
            f"Rows: {'; '.join(rows)}.",
            f"{_scale(grid)}.",
            *_enlarged(grid),
            *map(_chart, grid.spec.charts),
            f"Seed {grid.spec.seed}, {escaped(grid.spec.precision)}; {_versions()}.",
        ]
    )


def _untrained(explanation: Explanation) -> str:
    return "" if explanation.trained else " (untrained)"


def _column(explanation: Explanation, several_networks: bool, several_layers: bool) -> str:
    method = METHODS[explanation.method]
    keys = ",".join(dict.fromkeys(work.key for work in works_of(explanation.method)))
    network = f" of {escaped(network_title(explanation.model))}{_untrained(explanation)}" if several_networks else ""
    layer = f" at \\texttt{{{escaped(explanation.layer)}}}" if several_layers else ""
    params = ", ".join(f"{escaped(name)} {escaped(_value(value))}" for name, value in explanation.params.items())
    return (
        escaped(method.title)
        + (f"~\\cite{{{keys}}}" if keys else "")
        + network
        + layer
        + (f" ({params})" if params else "")
    )


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(row: ExplainedRow) -> str:
    """The image and what is explained of it: once, or column by column."""
    told = [row.common] if row.common else row.explanations
    return f"{escaped(row_title(row.shown))} ({_classes(told)})"


def _classes(explanations: Sequence[Explanation]) -> str:
    told = (f"{escaped(made.label)}, {_probability(made)}" for made in explanations)
    return "; ".join(dict.fromkeys(told))


def _probability(explanation: Explanation) -> str:
    """ "$p = 0.973$"."""
    if explanation.probability is None:
        return escaped(probability(explanation))
    return f"${probability(explanation)}$".replace("\N{NO-BREAK SPACE}", " ")


def _scale(grid: ExplainedGrid) -> str:
    look = grid.spec.look
    style = _STYLES[look.style].format(threshold=look.threshold)
    values = f"signed values, above 0 {escaped(meaning(grid))}" if look.signed else escaped(meaning(grid))
    scale = "one scale for all maps" if look.shared else "each map on a scale of its own"
    return f"{style}: {values}, {scale}"


def _enlarged(grid: ExplainedGrid) -> list[str]:
    """Where a part is shown a second time."""
    titles = ", ".join(f"“{row_title(row.shown)}”" for row in grid.rows if row.shown.zoom)
    said = f"In {escaped(titles)} a corner of each panel shows the part in the thin white frame enlarged."
    return [said] if titles else []


def _chart(chart: Chart) -> str:
    """What a chart at the end of each row shows, and how it was made."""
    title = escaped(chart_title(chart))
    if chart.curve is None:
        return (
            f"{title}: of the {chart.channels} channels that the first method weights most; of several methods each "
            "scaled to an L2 norm of 1."
        )
    replacement = _BASELINES[chart.baseline or DEFAULTS[chart.curve].baseline]
    change = {"deletion": "become", "insertion": "come back out of"}[chart.curve]
    return (
        f"{title}: {AXIS_OF_SCORE[chart.score]} while the most salient pixels {change} {replacement}, "
        f"in {chart.steps} steps."
    )


def _versions() -> str:
    installed = versions()
    return ", ".join(f"{escaped(name)} {escaped(installed[name])}" for name in _NAMED)
