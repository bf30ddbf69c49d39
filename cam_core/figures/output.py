"""Figures as files; what matplotlib keeps for the whole process is changed under a lock, and set back."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from cam_core.figures.design import FORMATS, FigureError
from cam_core.figures.text import SANS, font_families

_METADATA: Final[dict[str, dict[str, str | None]]] = {
    "pdf": {"Creator": "CAMscope", "CreationDate": None},
    "svg": {"Creator": "CAMscope", "Date": None},
    "png": {"Software": "CAMscope"},
}
_DESCRIPTION: Final = {"pdf": "Subject", "svg": "Description", "png": "Description"}
_drawing = threading.RLock()


@contextmanager
def drawing(font: str = SANS) -> Iterator[None]:
    """The block in which everything is drawn and encoded, one thread at a time; `font` as of `font_families`."""
    settings: dict[Any, Any] = {
        "font.family": list(font_families(font)),
        "text.parse_math": False,  # a class or layer may have a dollar sign in its name
        "axes.linewidth": 0.4,
        "svg.fonttype": "none",  # text that can be searched and edited
        "svg.hashsalt": "camscope",  # the same names in every file
        "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    }
    with _drawing, matplotlib.rc_context(settings):
        yield


def encode_figure(figure: Figure, form: str, description: str = "") -> bytes:
    """The figure as a file's content.

    Args:
        form: one of `FORMATS`.
        description: a text within the file, not to be seen on the figure: where it comes from. PNG and SVG call it
            Description, PDF Subject.
    Raises:
        FigureError: no such format.
    """
    if form not in FORMATS:
        raise FigureError(f"figures are written as {', '.join(FORMATS)}, not as {form!r}")
    buffer = io.BytesIO()
    metadata = _METADATA[form] | ({_DESCRIPTION[form]: description} if description else {})
    with drawing():
        figure.savefig(buffer, format=form, dpi="figure", metadata=metadata)
    return buffer.getvalue()


def figure_format(path: str | Path) -> str:
    """The format that a file's name asks for.

    Raises:
        FigureError: its ending is none of `FORMATS`.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        endings = ", ".join(f".{form}" for form in FORMATS)
        raise FigureError(f"the ending of {str(path)!r} names no figure format; there are: {endings}")
    return ending
