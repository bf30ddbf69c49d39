"""The browser by Streamlit's cookie, and what goes with a tab."""

from __future__ import annotations

import pytest
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
