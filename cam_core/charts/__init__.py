"""Interactive charts for the pages, in the JSON form of plotly, which is not needed here.

Maps are never drawn here: as pictures they are a tenth of the size.
"""

from cam_core.charts.channels import channel_chart
from cam_core.charts.chart import Chart
from cam_core.charts.convergence import convergence_chart
from cam_core.charts.curves import Mark, curves_chart, trace_opacity
from cam_core.charts.learning import learning_chart
from cam_core.charts.removal import removal_chart
from cam_core.charts.trace import trace_chart
from cam_core.charts.waterfall import waterfall_chart

__all__ = [
    "Chart",
    "Mark",
    "channel_chart",
    "convergence_chart",
    "curves_chart",
    "learning_chart",
    "removal_chart",
    "trace_chart",
    "trace_opacity",
    "waterfall_chart",
]
