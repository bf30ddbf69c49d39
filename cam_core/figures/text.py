"""Text in millimetres: how wide it is, and how it is broken into lines."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

import numpy as np
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.textpath import TextPath

from cam_core.figures.design import FigureError

INCH: Final = 25.4
"""Millimetres."""

POINT: Final = INCH / 72
"""Millimetres."""

SANS: Final = "sans"
"""Helvetica, or what is alike in shape and width."""

SERIF: Final = "serif"
"""Times, or what is alike."""

# TrueType only: of other fonts matplotlib's PDF has no outlines but Type 3, which journals refuse. STIX is a Times that
# comes with matplotlib.
_FONTS: Final = {
    SANS: ("Helvetica", "Arial", "Liberation Sans"),
    SERIF: ("Times New Roman", "Liberation Serif", "STIXGeneral"),
}
_FALLBACK: Final = "DejaVu Sans"  # comes with matplotlib, and has nearly every letter


UNTRAINED: Final = "untrained network"
"""Stands in every figure of a network that has learnt nothing."""


@cache
def font_families(font: str = SANS) -> tuple[str, ...]:
    """Those of the fonts that this machine has, and the one that comes with matplotlib.

    Args:
        font: "sans", "serif", or the name of a font of this machine.
    Raises:
        FigureError: there is no such font here.
    """
    installed = set(fontManager.get_font_names())
    if font not in _FONTS and font not in installed:
        raise FigureError(f"no font called {font!r} is installed here; {SANS} and {SERIF} are everywhere")
    return (*(name for name in _FONTS.get(font, (font,)) if name in installed), _FALLBACK)


def leading(size: float) -> float:
    """From one line of text to the next: points → millimetres."""
    return 1.2 * size * POINT


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, font: str = SANS) -> float:
    """Millimetres that a line of text takes, up to the last point that its outlines are drawn by; `size` in points."""
    if not text.strip():
        return 0.0
    outlines = TextPath((0, 0), text, size=size, prop=FontProperties(family=list(font_families(font))))
    return float(np.asarray(outlines.vertices)[:, 0].max()) * POINT


def wrapped(text: str, width: float, size: float, font: str = SANS) -> list[str]:
    """The text in lines of at most `width` millimetres, broken at spaces; a word longer than that is cut short."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, font) <= width:
            lines[-1] = longer
        else:
            lines.append(_shortened(word, width, size, font))
    return lines


def _shortened(word: str, width: float, size: float, font: str) -> str:
    if text_width(word, size, font) <= width:
        return word
    lengths = range(len(word) - 1, 0, -1)
    return next((f"{word[:n]}…" for n in lengths if text_width(f"{word[:n]}…", size, font) <= width), "…")
