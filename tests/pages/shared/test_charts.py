"""A chart reaches the browser as it was built."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from cam_core.charts import removal_chart


def page() -> None:
    from cam_core.charts import removal_chart
    from pages.shared import charts

    charts.show(removal_chart([5.0, 3.0], [5.0, 4.0], 1), key="still", alt="Two lines")
    charts.show(removal_chart([5.0, 3.0], [5.0, 4.0], 0), key="clicked", on_select="rerun", selection_mode="points")


def test_a_chart_is_sent_as_it_is_with_room_for_the_theme() -> None:
    at = AppTest.from_function(page).run()
    assert not at.exception
    still, clicked = (chart.proto for chart in at.get("plotly_chart"))
    for place, sent in ((1, still), (0, clicked)):
        chart = removal_chart([5.0, 3.0], [5.0, 4.0], place)
        layout = chart["layout"] | {"template": {"layout": {}}}
        assert json.loads(sent.spec) == {"data": chart["data"], "layout": layout}
        assert json.loads(sent.config) == {"displayModeBar": False}
    assert still.alt == "Two lines" and not still.selection_mode and len(clicked.selection_mode) == 1
