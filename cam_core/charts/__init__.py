"""Interactive figures (plotly) for the pages. Maps are never drawn here: as pictures they are a tenth of the size."""

from cam_core.charts.channels import channel_figure
from cam_core.charts.convergence import convergence_figure
from cam_core.charts.curves import Mark, curves_chart
from cam_core.charts.learning import learning_figure
from cam_core.charts.removal import removal_figure
from cam_core.charts.trace import trace_figure
from cam_core.charts.waterfall import waterfall_figure

__all__ = [
    "Mark",
    "channel_figure",
    "convergence_figure",
    "curves_chart",
    "learning_figure",
    "removal_figure",
    "trace_figure",
    "waterfall_figure",
]
