"""Choices that stand in the page's address under a stable name: a link reopens the view, and Back the one before.

Streamlit's own binding (`bind="query-params"`) writes what the reader sees into the address. Where that changes with
the view (a class with its probability, a layer with its shape) `choice` is used instead: it writes the option itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_NOTICES = "_link_notices"
_DRAWN = "_choices"  # the names of all that were drawn in this visit
_FOLLOWING = "_following"
_SCRIPTS: Final = tuple(Path(__file__).with_name(name) for name in ("address.js", "names.js", "narrow.js"))


def copy_button() -> None:
    """A button that copies the page's address; with it come the scripts that make every choice a step of the browser's
    history, give buttons names of their own, and close the sidebar where it hides what was chosen."""
    st.html(
        f'<button type="button" class="cam-copy"><span aria-live="polite">Copy link</span></button>'
        f"<script>{_script()}</script>",
        unsafe_allow_javascript=True,
    )


@cache
def _script() -> str:
    return "".join(script.read_text(encoding="utf-8") for script in _SCRIPTS)


def came_back() -> bool:
    """Whether this run follows the browser's Back or Forward: the page shows what the address says."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def follow(page: str) -> None:
    """Called at the beginning of every run: after Back, every `choice` takes what the address says, when it is drawn.

    That can be later than in this run, where a network or an estimate is on its way.
    """
    if came_back():
        st.session_state[_FOLLOWING] = page, set(st.session_state.get(_DRAWN, ()))
    elif st.session_state.get(_FOLLOWING, (page,))[0] != page:
        del st.session_state[_FOLLOWING]


def write(name: str, value: str | None) -> None:
    """Put `?name=value` into the address, or take it out."""
    if value is None:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def choice(
    name: str,
    label: str,
    options: Mapping[str, str],
    *,
    default: str,
    scope: str = "",
    drawn: bool = True,
    **widget: Any,
) -> str:
    """A select box whose value stands in the address as `?name=option`, unless it is the default.

    Where nobody has chosen, the value is the default, also where that becomes another one, as on another page.

    Args:
        options: what can stand in the address → what is read in the box.
        scope: what the options depend on (the model for a layer; model and photo for a class). Every scope remembers
            its own choice; the address counts for the first one shown in a visit.
        drawn: whether there is a box; without one, the value is what was chosen before.
        widget: passed on to `st.selectbox`.
    """
    key = widget_key(name, scope)
    value = _settled(name, options, default, scope)
    if drawn:
        value = st.selectbox(
            label,
            list(options),
            key=key,
            format_func=lambda option: options.get(option, option),  # Streamlit may ask for one of the scope before
            filter_mode="contains",
            persist_state="session",
            on_change=partial(_mark_chosen, key),
            **widget,
        )
    write(name, None if value == default else value)
    return value


def _settled(name: str, options: Mapping[str, str], default: str, scope: str) -> str:
    """The value of a `choice` before its box is drawn."""
    key = widget_key(name, scope)
    option, default_before = st.session_state.get(key), st.session_state.get(f"{key}|default", default)
    st.session_state[f"{key}|default"] = default
    if _follows_address(name):
        option = _from_address(name, scope, options) or default
    elif option == default_before != default and not was_chosen(name, scope):
        option = default
    elif option not in options:
        option = _from_link(name, scope, options) or default
    if st.session_state.get(key) != option:
        st.session_state[key] = option
    return option


def choose(name: str, option: str, scope: str = "") -> None:
    """What a click in a `choice` does; for a button's callback."""
    key = widget_key(name, scope)
    st.session_state[key] = option
    _mark_chosen(key)


def was_chosen(name: str, scope: str = "") -> bool:
    """Whether the visitor, or the link, has chosen: what was chosen stays, also if it is a page's default."""
    return bool(st.session_state.get(_chosen(widget_key(name, scope))))


def _mark_chosen(key: str) -> None:
    st.session_state[_chosen(key)] = True


def _chosen(key: str) -> str:
    return f"{key}|chosen"


def choices(
    name: str,
    label: str,
    options: Mapping[str, str],
    *,
    default: Sequence[str],
    scope: str = "",
    **widget: Any,
) -> list[str]:
    """Several options, in the order in which they were chosen, as `?name=one&name=two`; arguments as of `choice`.

    None at all is a choice too, and stands in the address as `?name=`.
    """
    key = widget_key(name, scope)
    chosen, default_before = st.session_state.get(key), st.session_state.get(f"{key}|default", default)
    st.session_state[f"{key}|default"] = default
    first = st.session_state.setdefault(_first_scope(name), scope)
    if _follows_address(name) or (chosen is None and first == scope):
        st.session_state[key] = _all_in_address(name, options, default)
    elif chosen is None or chosen == list(default_before):
        st.session_state[key] = list(default)
    else:  # what has left the options is none any more; where nothing else was chosen, the default is
        st.session_state[key] = [option for option in chosen if option in options] or (list(default) if chosen else [])
    values: list[str] = st.multiselect(
        label,
        list(options),
        key=key,
        format_func=lambda option: options.get(option, option),
        filter_mode="contains",
        persist_state="session",
        **widget,
    )
    _write_all(name, None if values == list(default) else values)
    return values


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


def _follows_address(name: str) -> bool:
    st.session_state.setdefault(_DRAWN, set()).add(name)
    _, following = st.session_state.get(_FOLLOWING, ("", set()))
    follows = name in following
    following.discard(name)
    return follows


def address_counts_again(name: str) -> None:
    """The next scope of this choice takes what the address says, as the first one of the visit did."""
    st.session_state.pop(_first_scope(name), None)


def _first_scope(name: str) -> str:
    return f"_linked_{name}"


def _from_link(name: str, scope: str, options: Collection[str]) -> str | None:
    first = st.session_state.setdefault(_first_scope(name), scope)
    return _from_address(name, scope, options) if first == scope else None


def _from_address(name: str, scope: str, options: Collection[str]) -> str | None:
    option = _in_address(name, options)
    if option is not None:
        _mark_chosen(widget_key(name, scope))
    return option


def _all_in_address(name: str, options: Collection[str], default: Sequence[str]) -> list[str]:
    if name not in st.query_params:
        return list(default)
    linked = [option for option in st.query_params.get_all(name) if option]
    for option in linked:
        if option not in options:
            note_unknown(name, option, "The others are shown.")
    return [option for option in linked if option in options]


def _write_all(name: str, values: Sequence[str] | None) -> None:
    if values is None:
        write(name, None)
    elif st.query_params.get_all(name) != (written := list(values) or [""]):
        st.query_params[name] = written


def _in_address(name: str, options: Collection[str]) -> str | None:
    option = st.query_params.get(name)
    if option is not None and option not in options:
        note_unknown(name, option, "The default is shown instead.")
        return None
    return option
