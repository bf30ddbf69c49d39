"""`python -m pages`: serve the app, with the options of `streamlit run`; to a room: `--server.address 0.0.0.0`."""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pandas  # noqa: F401  (see app.py)
from streamlit import net_util
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

from cam_core import CamError
from pages.runtime import compute
from pages.runtime.compute import ModelSpec
from pages.shared.models import BUNDLED

APP = Path(__file__).parents[1] / "app.py"


def prepare() -> None:
    """What the first visitor would wait for: torch, imported above, and the network that the app opens with."""
    # In a thread of its own: for each thread that computes, OpenMP starts helpers, who stay as long as it does. While
    # there are more of them than processors they sleep between two operations, and Opti-CAM, which has thousands of
    # small ones, took half as long again.
    loading = Thread(target=_load)
    loading.start()
    loading.join()
    # What is here by now stays. A collection looks at half a million objects of torch alone, and holds Python's lock
    # for a fifth of a second.
    gc.collect()
    gc.freeze()


def _load() -> None:
    with suppress(CamError):  # whoever comes is told
        compute.classifier(ModelSpec(BUNDLED))


def _log_to_the_terminal() -> None:
    """What the app itself has to say, each line with its time."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    own = logging.getLogger("pages")
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False


if __name__ == "__main__":
    _log_to_the_terminal()
    # Streamlit takes a folder called `pages` for an app without navigation of its own until `st.navigation` was called
    # once: a server's first visitor, if a link led to a page, would be told that there is no such page.
    PagesManager.uses_pages_directory = False
    # Where it serves a room, Streamlit asks a server on the internet for the address that it has there.
    net_util.get_external_ip = lambda: None
    prepare()
    main(["run", str(APP), *sys.argv[1:]], prog_name="streamlit")
