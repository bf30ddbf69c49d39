"""CAMscope, the app: `streamlit run app.py`. Pages and the sidebar that they share; nothing else."""

import streamlit as st

from cam_core.images import ASSETS
from pages._ui.sidebar import sidebar
from pages._ui.style import apply_style

st.set_page_config(page_title="CAMscope", page_icon=str(ASSETS / "icon.png"), layout="wide")
page = st.navigation(
    [
        st.Page("pages/compare.py", title="Compare", icon=":material/compare:", default=True),
        st.Page("pages/channels.py", title="Channels", icon=":material/bar_chart:"),
        st.Page("pages/deletion.py", title="Deletion", icon=":material/show_chart:"),
        st.Page("pages/lfi.py", title="LFI-CAM", icon=":material/center_focus_strong:"),
    ]
)
st.logo(str(ASSETS / "icon.png"))
apply_style()
sidebar(page.url_path)
page.run()
