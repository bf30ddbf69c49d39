"""`python -m pages`: serve the app, with the options of `streamlit run`; to a room: `--server.address 0.0.0.0`.

`--model my_module:build` serves it around a network of one's own: see the guide "A network of your own"; and
`--target my_module:my_score` offers a function of one's own under "What to explain".
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import logging
import os
import pkgutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

# Read when torch is loaded, below. OpenMP's threads go round in circles while they wait for one another, by default
# 300,000 times: a processor less for the screens, and for the browser where it is on the same machine. Much less than
# this, and they fall asleep between any two of Opti-CAM's thousands of small operations.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
if sys.platform == "linux" and (tell_allocator := getattr(ctypes.CDLL(None), "mallopt", None)):
    # One store of memory for all threads (M_ARENA_MAX, which is -8), to be said before there are any: what a job has
    # freed is there for the next one. See `cam_core.models.allocator`.
    tell_allocator(-8, 1)

import pandas  # noqa: F401  (see app.py)
from streamlit import net_util
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main
from streamlit.web.server.starlette import starlette_server

import cam_core
from cam_core import CamError
from cam_core.models.allocator import keep_freed_memory
from pages.runtime import compute, served
from pages.runtime.compute import ModelSpec
from pages.shared.models import BUNDLED

APP = Path(__file__).parents[1] / "app.py"


def prepare(model: str = "", target: str = "") -> None:
    """What the first visitor would wait for: torch and the rest of the core, and the network that the app opens with.

    Args:
        model: the function that builds it: see `served.serve`; "" for the bundled one.
        target: a function of the logits to be offered: see `served.serve_target`; "" for none.
    Raises:
        ModelError, TargetError: there is no such function, or what it returns is no network to explain.
    """
    keep_freed_memory()
    _import_core()
    if target:
        served.serve_target(target)
    # In a thread of its own: for each thread that computes, OpenMP starts helpers, who stay as long as it does. While
    # there are more of them than processors they sleep between two operations, and Opti-CAM, which has thousands of
    # small ones, took half as long again.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_load, model).result()
    # What is here by now stays. A collection looks at half a million objects of torch alone, and holds Python's lock
    # for a fifth of a second.
    gc.collect()
    gc.freeze()


def _import_core() -> None:
    """All that pages import of the core, and with it scipy and matplotlib.

    The first two visitors of a server, on two pages, would otherwise import scipy in two threads at once. Its modules
    need one another: each thread then finds one that is half there, fails, and leaves it so for everybody after.
    """
    for module in pkgutil.walk_packages(cam_core.__path__, "cam_core."):
        if not module.name.startswith(("cam_core.cli", "cam_core.__main__")):
            with suppress(ImportError):  # what belongs to an extra that is not installed
                importlib.import_module(module.name)


def _load(model: str) -> None:
    if model:
        served.serve(model)
        return
    with suppress(CamError):  # whoever comes is told
        compute.classifier(ModelSpec(BUNDLED))


def answer_at_once() -> None:
    """Have what the server writes go out when it is written.

    Nagle's algorithm holds a small packet back until the one before is acknowledged, which browsers put off for 40 ms:
    half a second of a first sight, whose sixty files have a head and a body each. Python's event loop turns it off for
    sockets that say they are TCP; the one that Streamlit binds leaves that open. Those that it accepts take after it.
    """
    bind = starlette_server._bind_socket

    @wraps(bind)
    def bound(*place: Any) -> socket.socket:
        listening = bind(*place)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening

    starlette_server._bind_socket = bound
    # A thread that sends a file or a message asks for Python's lock several times; each time it waits so many seconds
    # for one that computes without a pause. By default ten times as long.
    sys.setswitchinterval(0.0005)


def _options() -> tuple[str, str, list[str]]:
    """The functions that build the network and make the target, and the options that are Streamlit's."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model", default="")
    parser.add_argument("--target", default="")
    known, streamlit = parser.parse_known_args()
    return known.model, known.target, streamlit


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
    answer_at_once()
    model, target, options = _options()
    try:
        prepare(model, target)
    except CamError as error:
        sys.exit(f"The app is not served: {error}.")
    main(["run", str(APP), *options], prog_name="streamlit")
