"""Figures for print (matplotlib): photos and heatmaps side by side, at a column's width, with text that stays text.

    figure = heatmap_figure([Row(frame, explanations)], Design(width=SINGLE_COLUMN))
    Path("figure.pdf").write_bytes(encode_figure(figure, "pdf"))

A grid of images × methods, layers, classes or networks, from a spec that is plain data:

    grid = explain_grid(FigureSpec((Shown("dog"), Shown("panda")), (Column("grad-cam"), Column("lift-cam"))))
    Path("grid.pdf").write_bytes(grid_file(grid, "pdf"))

Nothing here touches pyplot, and several threads may draw at once. The same figure gives the same bytes.
"""

from cam_core.figures.channels import channel_figure
from cam_core.figures.comparing import Comparison, compare, row_of
from cam_core.figures.contrast import contrast_figure
from cam_core.figures.curves import curve_figure
from cam_core.figures.design import DOUBLE_COLUMN, FORMATS, SINGLE_COLUMN, Design, FigureError, Row
from cam_core.figures.grid.bibliography import bibliography
from cam_core.figures.grid.doubts import grid_doubts
from cam_core.figures.grid.drawing import grid_figure, grid_file
from cam_core.figures.grid.explained import ExplainedGrid, explain_grid
from cam_core.figures.grid.latex import latex_snippet
from cam_core.figures.grid.spec import Chart, Column, FigureSpec, Look, Network, Shown
from cam_core.figures.grid.venues import VENUES
from cam_core.figures.heatmaps import heatmap_figure
from cam_core.figures.output import encode_figure, figure_format
from cam_core.figures.standings import standings_figure

__all__ = [
    "DOUBLE_COLUMN",
    "FORMATS",
    "SINGLE_COLUMN",
    "VENUES",
    "Chart",
    "Column",
    "Comparison",
    "Design",
    "ExplainedGrid",
    "FigureError",
    "FigureSpec",
    "Look",
    "Network",
    "Row",
    "Shown",
    "bibliography",
    "channel_figure",
    "compare",
    "contrast_figure",
    "curve_figure",
    "encode_figure",
    "explain_grid",
    "figure_format",
    "grid_doubts",
    "grid_figure",
    "grid_file",
    "heatmap_figure",
    "latex_snippet",
    "row_of",
    "standings_figure",
]
