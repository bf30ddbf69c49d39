"""Figures for print (matplotlib): photos and heatmaps side by side, at a column's width, with text that stays text.

    figure = heatmap_figure([Row(frame, explanations)], Design(width=SINGLE_COLUMN))
    Path("figure.pdf").write_bytes(encode_figure(figure, "pdf"))

Nothing here touches pyplot, and several threads may draw at once. The same figure gives the same bytes.
"""

from cam_core.figures.channels import channel_figure
from cam_core.figures.comparing import Comparison, compare, row_of
from cam_core.figures.contrast import contrast_figure
from cam_core.figures.curves import curve_figure
from cam_core.figures.design import DOUBLE_COLUMN, FORMATS, SINGLE_COLUMN, Design, FigureError, Row
from cam_core.figures.heatmaps import heatmap_figure
from cam_core.figures.output import encode_figure, figure_format

__all__ = [
    "DOUBLE_COLUMN",
    "FORMATS",
    "SINGLE_COLUMN",
    "Comparison",
    "Design",
    "FigureError",
    "Row",
    "channel_figure",
    "compare",
    "contrast_figure",
    "curve_figure",
    "encode_figure",
    "figure_format",
    "heatmap_figure",
    "row_of",
]
