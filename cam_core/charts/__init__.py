"""Interactive figures (plotly) for the pages. Maps are never drawn here: as pictures they are a tenth of the size."""

from cam_core.charts.trace import trace_figure

__all__ = ["trace_figure"]
