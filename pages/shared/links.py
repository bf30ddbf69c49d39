"""Choices that stand in the page's address under a stable name, so that a link reopens the view.

Streamlit's own binding (`bind="query-params"`) writes what the reader sees into the address. Where that changes with
the view (a class with its probability, a layer with its shape) `choice` is used instead: it writes the option itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

_NOTICES = "_link_notices"


def choice(
    name: str,
    label: str,
    options: Sequence[str],
    *,
    default: str,
    scope: str = "",
    shown: Callable[[str], str] = str,
    **widget: Any,
) -> str:
    """A select box whose value stands in the address as `?name=option`, unless it is the default.

    A choice that is the default stays the default where that is another one, as on another page.

    Args:
        scope: what the options depend on (the model for a layer; model and photo for a class). Every scope remembers
            its own choice; the address counts for the first one shown in a visit.
        shown: option → what is read in the box.
        widget: passed on to `st.selectbox`.
    """
    key = widget_key(name, scope)
    option, default_before = st.session_state.get(key), st.session_state.get(f"{key}|default", default)
    st.session_state[f"{key}|default"] = default
    if option == default_before != default:
        st.session_state[key] = default
    elif option not in options:
        st.session_state[key] = _from_link(name, scope, options) or default
    value: str = st.selectbox(
        label, options, key=key, format_func=shown, filter_mode="contains", persist_state="session", **widget
    )
    _to_link(name, value, default)
    return value


def kept(key: str) -> dict[str, Any]:
    """For a widget whose value stands in the address as `?key=value`, and stays when another page is looked at."""
    return {"key": key, "bind": "query-params", "persist_state": "session"}


def widget_key(name: str, scope: str = "") -> str:
    """Where a `choice` lives in the session state: for callbacks that set it."""
    return f"{name}|{scope}"


def note_unknown(name: str, option: str, instead: str) -> None:
    """Tell the visitor that the link asked for something that does not exist."""
    note(f"The link asks for the {name} “{option}”, which does not exist here. {instead}")


def note(text: str) -> None:
    """Tell the visitor something about the link, until it is dismissed."""
    texts = st.session_state.setdefault(_NOTICES, [])
    if text not in texts:
        texts.append(text)


def notices() -> list[str]:
    """Notices about the link, until the visitor has dismissed them."""
    return list(st.session_state.get(_NOTICES, []))


def dismiss() -> None:
    """The visitor has read them."""
    st.session_state.pop(_NOTICES, None)


def _from_link(name: str, scope: str, options: Sequence[str]) -> str | None:
    first = st.session_state.setdefault(f"_linked_{name}", scope)
    option = st.query_params.get(name)
    if first != scope or option is None:
        return None
    if option not in options:
        note_unknown(name, option, "The default is shown instead.")
        return None
    return option


def _to_link(name: str, value: str, default: str) -> None:
    written = st.query_params.get(name)
    if value == default:
        if written is not None:
            del st.query_params[name]
    elif written != value:
        st.query_params[name] = value
