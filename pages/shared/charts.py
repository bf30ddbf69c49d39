"""Charts on the screen."""

from __future__ import annotations

from typing import Any

import streamlit as st
from plotly.basedatatypes import BaseFigure

from cam_core.charts import Chart


class _AsItIs(BaseFigure):
    """A chart that is sent as it is.

    Streamlit has plotly check dictionaries, property by property, each time they are drawn; of a figure it asks only
    `to_dict()`. The charts of `cam_core` are checked by the tests.
    """

    def __init__(self, chart: Chart) -> None:
        self._chart = chart

    def to_dict(self) -> dict[str, Any]:
        """The chart, with a template for Streamlit's theme to fill in; plotly's own would outweigh the curves."""
        return {"data": self._chart["data"], "layout": {**self._chart["layout"], "template": {"layout": {}}}}


def show(chart: Chart, *, key: str, alt: str | None = None, **options: Any) -> None:
    """Draw a chart, without plotly's toolbar.

    Args:
        alt: for those who cannot see it.
        options: further ones of `st.plotly_chart`.
    """
    st.plotly_chart(_AsItIs(chart), key=key, alt=alt, config={"displayModeBar": False}, **options)
