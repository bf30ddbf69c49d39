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
compare = st.Page("pages/compare/page.py", title="Compare", url_path="", icon=":material/compare:", default=True)


def by_its_name() -> None:
    """The first page's address is "/"; whoever asks for /compare is led there, with everything that the link says."""
    st.switch_page(compare, query_params={name: st.query_params.get_all(name) for name in st.query_params})


page = st.navigation(
    [
        compare,
        st.Page("pages/classes/page.py", title="Classes", url_path="classes", icon=":material/compare_arrows:"),
        st.Page("pages/channels/page.py", title="Channels", url_path="channels", icon=":material/bar_chart:"),
        st.Page("pages/deletion/page.py", title="Deletion", url_path="deletion", icon=":material/show_chart:"),
        st.Page("pages/benchmark/page.py", title="Benchmark", url_path="benchmark", icon=":material/leaderboard:"),
        st.Page("pages/lfi/page.py", title="LFI-CAM", url_path="lfi", icon=":material/center_focus_strong:"),
        st.Page("pages/figure/page.py", title="Figure", url_path="figure", icon=":material/print:"),
        st.Page(by_its_name, title="Compare", url_path="compare", visibility="hidden"),
    ]
)
st.set_page_config(page_title=f"{page.title} · CAMscope")
st.logo(str(ASSETS / "icon.png"))
apply_style()
with polling.of_page():
    if page.visibility == "visible":
        sidebar(page.url_path)
    page.run()
