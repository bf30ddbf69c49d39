"""CAMscope, the app: `streamlit run app.py`. Pages and the sidebar that they share; nothing else."""

import streamlit as st

from pages._ui.sidebar import sidebar
from pages._ui.style import apply_style

st.set_page_config(page_title="CAMscope", page_icon=":material/center_focus_strong:", layout="wide")
page = st.navigation(
    [
        st.Page("pages/compare.py", title="Compare", icon=":material/compare:", default=True),
    ]
)
apply_style()
sidebar()
page.run()
