"""What is fetched ahead of time: one file that there is, and that draws charts."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared.preload import chart_scripts


def test_the_script_that_is_fetched_draws_charts() -> None:
    (name,) = chart_scripts()
    script = Path(st.__file__).parent / "static" / "static" / "js" / name
    assert script.stat().st_size > 1e6 and "plotly.js" in script.read_text()
