"""`python -m pages`: serve the app, with the options of `streamlit run`."""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

APP = Path(__file__).parents[1] / "app.py"

if __name__ == "__main__":
    # Streamlit takes a folder called `pages` for an app without navigation of its own until `st.navigation` was called
    # once: a server's first visitor, if a link led to a page, would be told that there is no such page.
    PagesManager.uses_pages_directory = False
    main(["run", str(APP), *sys.argv[1:]], prog_name="streamlit")
