"""CAMscope, the app: `make app`, or `python -m pages`. Pages and the sidebar that they share; nothing else."""

import pandas  # noqa: F401  (whole, before anybody draws: see below)
import streamlit as st

from cam_core.images import ASSETS
from pages.runtime import polling
from pages.shared.sidebar import sidebar
from pages.shared.style import apply_style

# Streamlit imports pandas when the first table is drawn; meanwhile Plotly takes the half of it that is there in every
# other visitor's thread, and fails. Whoever runs this file has all of it.

st.set_page_config(page_title="CAMscope", page_icon=str(ASSETS / "icon.png"), layout="wide")
page = st.navigation(
    [
        st.Page("pages/compare/page.py", title="Compare", url_path="compare", icon=":material/compare:", default=True),
        st.Page("pages/channels/page.py", title="Channels", url_path="channels", icon=":material/bar_chart:"),
        st.Page("pages/deletion/page.py", title="Deletion", url_path="deletion", icon=":material/show_chart:"),
        st.Page("pages/lfi/page.py", title="LFI-CAM", url_path="lfi", icon=":material/center_focus_strong:"),
    ]
)
st.logo(str(ASSETS / "icon.png"))
apply_style()
with polling.of_page():
    sidebar(page.url_path)
    page.run()
