"""Scripts that other pages will need, fetched by the browser while a visitor looks at this one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

_SCRIPTS: Final = "static/js"
_DELAY: Final = 1000  # milliseconds: reading the script takes a browser as long as the rest of the page does


def charts() -> None:
    """The script that draws charts: 5 MB, for which the first chart would wait. It comes once this page is there."""
    for script in chart_scripts():
        st.html(
            f"<script>setTimeout(() => requestIdleCallback("
            f"() => import(new URL('{_SCRIPTS}/{script}', location.href))), {_DELAY})</script>",
            unsafe_allow_javascript=True,
        )


def chart_scripts() -> list[str]:
    """Streamlit's file for charts, whose name holds a checksum; nothing if a version of it has no such file."""
    folder = Path(st.__file__).parent / "static" / _SCRIPTS
    return sorted(path.name for path in folder.glob("PlotlyChart.*.js"))
