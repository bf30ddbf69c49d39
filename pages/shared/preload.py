"""Scripts that other pages will need, fetched by the browser while a visitor looks at this one."""

from __future__ import annotations

import streamlit as st

from cam_core.analysis.curves import CurvePanel
from cam_core.charts import curves_chart
from pages.shared.charts import show


def charts() -> None:
    """A chart that nobody sees: the script that draws charts has 5 MB, which take a browser about a second to read.

    Draw it last: what stands before it is on the screen by then.
    """
    with st.container(key="preload"):
        show(curves_chart(CurvePanel("deletion")), key="preloaded-chart")
