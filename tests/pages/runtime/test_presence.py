"""The browser by Streamlit's cookie, and what goes with a tab."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.state.session_state import SessionState
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string

from pages.runtime import presence


def test_one_browser_whatever_the_mask() -> None:
    token = bytes(range(16))
    first, second = (generate_xsrf_token_string(token, 1_700_000_000) for _ in range(2))
    assert first != second, "the mask changes with every answer"
    names = {presence._browser(first), presence._browser(f'"{second}"')}
    assert len(names) == 1 and "" not in names
    assert presence._browser(generate_xsrf_token_string(bytes(16), 1_700_000_000)) not in names
    assert token.hex() not in names, "the token itself is kept nowhere"


@pytest.mark.parametrize(
    "cookie", ["", "2", "2|ab|cd|1", "1|a|b|c", "2|zz|zz|1", "2|00000000|00|1", "2|" * 9, "abc|" * 3]
)
def test_a_cookie_of_another_kind_is_none(cookie: str) -> None:
    assert presence._browser(cookie) == ""


def test_what_streamlit_keeps_of_a_tab_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads, state = MemoryUploadedFileManager("/upload"), SessionState()
    for tab in ("gone", "here"):
        uploads.add_file(tab, UploadedFileRec("file", "a.png", "image/png", b"pixels"))
    state["_photo"] = "pixels"
    monkeypatch.setattr(presence.runtime, "exists", lambda: True)
    monkeypatch.setattr(presence.runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=uploads))
    monkeypatch.setitem(presence._states, "gone", state)
    presence.end("gone")
    presence.end("gone")  # a second time does no harm
    assert uploads.get_files("gone", ["file"]) == [] and len(uploads.get_files("here", ["file"])) == 1
    assert state.filtered_state == {} and "gone" not in presence._states
