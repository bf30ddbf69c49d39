"""Buttons that give a file, made when it is asked for."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMS = ("pdf", "svg", "png")


def button(label: str, data: Callable[[], bytes], file: str, *, key: str, help: str | None = None) -> None:
    """One file of that name, whose suffix says what is in it."""
    kind, _ = mimetypes.guess_type(file)
    st.download_button(
        label,
        data=data,
        file_name=file,
        mime=kind or "application/octet-stream",
        key=key,
        type="tertiary",
        icon=":material/download:",
        help=help,
        on_click="ignore",
    )


def figures(draw: Callable[[], Figure], name: str, description: str, *, key: str, help: str) -> None:
    """A button for each form of a figure for print: PDF, SVG, PNG."""

    def encoded(form: str) -> bytes:
        # Matplotlib takes a fifth of a second to import: the page's first visitor shall not wait for it.
        from cam_core.figures import encode_figure

        return encode_figure(draw(), form, description)

    for form in _FORMS:
        button(form.upper(), lambda form=form: encoded(form), f"{name}.{form}", key=f"{key}-{form}", help=help)
