"""Several of a list that depends on the view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.shared import links


def several(
    key: str, label: str, options: Sequence[str], default: Sequence[str], most: int, **widget: Any
) -> list[str]:
    """The first `most` chosen options, bound to the address; what is offered no longer is chosen no longer."""
    dropped = False
    if key in st.session_state and not links.came_back():
        kept = [option for option in st.session_state[key] if option in options]
        dropped = kept != st.session_state[key]
        if dropped:
            st.session_state[key] = kept or list(default)
    chosen: list[str] = st.multiselect(
        label,
        options,
        # Streamlit warns of a default beside a value that was set here.
        default=None if dropped else [option for option in default if option in options],
        **links.kept(key),
        select_all=False,
        filter_mode="contains",
        **widget,
    )
    if len(chosen) > most:  # Streamlit's own limit would fail at a link that asks for more
        st.caption(f"The first {most} are shown.")
    return chosen[:most]
