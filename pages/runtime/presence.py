"""Who looks at the page, as Streamlit knows it: the browser, the tab, and whether the tab's socket is open.

A tab is a session of Streamlit's, which goes on where a socket is opened again within two minutes. A page that is
loaded again is another session. The browser is known by the cookie that Streamlit sets against forged requests: random,
made by the server, the same in all tabs, sent with every socket, and never part of a link.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

_COOKIE = "_streamlit_xsrf"
_states: dict[str, Any] = {}  # the session state of every tab, until the tab has ended


def who() -> tuple[str, str]:
    """The browser and the tab that this run of a page is for."""
    context = get_script_run_ctx()
    tab = context.session_id if context else ""
    if context:
        _states[tab] = context.session_state._state
    return _browser(st.context.cookies.get(_COOKIE, "")) or tab, tab


def is_here(tab: str) -> bool:
    """Whether the tab's socket is open."""
    return runtime.exists() and runtime.get_instance().is_active_session(tab)


def end(tab: str) -> None:
    """Let go of what Streamlit keeps of a tab that nobody comes back to: until others come and go, it keeps all."""
    if runtime.exists():
        runtime.get_instance().uploaded_file_mgr.remove_session_files(tab)
    state = _states.pop(tab, None)
    if state is not None:
        state.clear()


def _browser(cookie: str) -> str:
    """ "" for a cookie of another kind. Its token stands behind a mask that changes with every answer.

    "2|mask|masked token|time", in hexadecimal.
    """
    parts = cookie.strip("\"'").split("|")
    if len(parts) != 4 or parts[0] != "2":
        return ""
    with suppress(ValueError):
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
        if len(mask) == 4 and len(masked) >= 16:
            token = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
            return hashlib.sha256(token).hexdigest()  # the token itself is kept nowhere
    return ""
