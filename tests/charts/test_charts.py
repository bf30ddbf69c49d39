"""Interactive figures hold the numbers that they were given."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from cam_core.charts import trace_chart


def test_trace_shows_every_step() -> None:
    values = np.array([1.0, 3.0, 2.5], dtype=np.float32)
    figure = go.Figure(trace_chart(values, "objective", step="iteration", height=90))
    (line,) = figure.data
    assert list(line.y) == [1.0, 3.0, 2.5]
    assert "iteration" in line.hovertemplate
    assert (figure.layout.title.text, figure.layout.height) == ("objective", 90)
