"""Two classes' maps, their difference and the map of the difference, for print: one row per method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from cam_core.analysis.comparison import DrawnMap
from cam_core.analysis.contrast import Contrast, drawn_contrast
from cam_core.figures.design import Design, FigureError
from cam_core.figures.output import drawing
from cam_core.figures.text import INCH, POINT, UNTRAINED, leading, wrapped
from cam_core.methods import METHODS
from cam_core.overlay import SEQUENTIAL, overlay

_BAR: Final = 7.0  # millimetres: a colour bar with its numbers


def contrast_figure(frame: Image.Image, contrasts: Sequence[Contrast], design: Design | None = None) -> Figure:
    """A row per method: the maps of A and of B on one scale, the difference, and the map of the difference if any.

    Args:
        frame: what the network saw, at any resolution: the maps are stretched over all of it.
        contrasts: all of the same two classes.
        design: its width, font size, opacity, resolution, and colour map for signed maps count.
    Raises:
        FigureError: nothing to draw.
    """
    if not contrasts:
        raise FigureError("a figure needs at least one method with the maps of both classes")
    design = design or Design(signed=True)
    columns = 3 + any(contrast.between is not None for contrast in contrasts)
    panel = design.width / columns * 0.93
    titles = [wrapped(title, panel, design.font_size) for title in _titles(contrasts[0])[:columns]]
    above = leading(design.font_size) * (max(map(len, titles)) + 1)
    height = above + len(contrasts) * (panel * frame.height / frame.width + _BAR + design.font_size * POINT)
    with drawing():
        figure = Figure(figsize=(design.width / INCH, height / INCH), dpi=design.dpi, layout="constrained")
        grid = figure.subplots(len(contrasts), columns, squeeze=False)
        for axes, contrast in zip(grid, contrasts, strict=True):
            _row(figure, list(axes), contrast, frame, design)
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title("\n".join(title), fontsize=design.font_size)
        return figure


def _titles(contrast: Contrast) -> list[str]:
    a, b = contrast.a.label, contrast.b.label
    network = "" if contrast.a.trained else f" ({UNTRAINED})"
    return [f"{a}{network}", b, "Difference of the two", f"Map of {a} − {b}"]


def _row(figure: Figure, axes: list[Axes], contrast: Contrast, frame: Image.Image, design: Design) -> None:
    width = max(1, round(design.width / len(axes) / INCH * design.dpi))
    picture = frame.convert("RGB").resize((width, max(1, width * frame.height // frame.width)))
    drawn = drawn_contrast(contrast, (picture.height, picture.width))
    maps = [drawn.a, drawn.b, drawn.difference, drawn.between][: len(axes)]
    for panel, shown in zip(axes, maps, strict=True):
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_visible(False)
        if shown is not None:
            coloured = overlay(picture, shown.values, design.opacity, _colours(shown, design), shown.limits)
            panel.imshow(np.asarray(coloured), interpolation="none")
    axes[0].set_ylabel(METHODS[contrast.method].title, fontsize=design.font_size)
    _colour_bar(figure, axes[:2], drawn.a, design)
    for panel, shown in zip(axes[2:], maps[2:], strict=True):
        if shown is not None:
            _colour_bar(figure, [panel], shown, design)


def _colours(shown: DrawnMap, design: Design) -> str:
    return design.colours if shown.signed else SEQUENTIAL[0]


def _colour_bar(figure: Figure, axes: list[Axes], shown: DrawnMap, design: Design) -> None:
    low, high = shown.limits
    scale = ScalarMappable(Normalize(low, high if high > low else low + 1), _colours(shown, design))
    bar = figure.colorbar(scale, ax=axes, orientation="horizontal", aspect=30 * len(axes), pad=0.02)
    bar.ax.tick_params(length=1.5, width=0.4, pad=1.2, labelsize=design.small)
    bar.ax.locator_params(nbins=4)
    bar.outline.set_linewidth(0.4)
