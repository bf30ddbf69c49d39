"""Tiles of maps that are not there yet."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def test_a_job_that_ends_while_its_tile_is_drawn_is_not_taken_for_cancelled() -> None:
    def script() -> None:
        import streamlit as st
        from PIL import Image

        from pages.runtime.jobs import Job
        from pages.shared import tiles

        if "drawn" in st.session_state:
            st.write("drawn again")
            st.stop()
        st.session_state["drawn"] = True
        job = Job("key", lambda job: "a map")
        job.run()
        tiles.unfinished(job, "grad-cam", Image.new("RGB", (8, 8)), lambda: None, lambda: None)

    at = AppTest.from_function(script).run()
    assert not at.exception
    assert [text.value for text in at.markdown] == ["drawn again"]
    assert not at.button
