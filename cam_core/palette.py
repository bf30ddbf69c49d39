"""Colours of lines: told apart by colour-blind readers, legible on white and on black."""

from __future__ import annotations

from typing import Final

COLOURS: Final = ("#3b8ec2", "#e0662f", "#1fa377", "#b765a8", "#c79a12", "#5a6fd6", "#d1495b")
"""After Okabe and Ito 2008, in one lightness."""

CONTROL: Final = "#8a8f94"
"""Of what is there to be compared with."""

DASHES: Final = ("solid", "dash", "dot")


def line_style(index: int) -> tuple[str, str]:
    """(colour, dash) of the line with this number; the dash changes where the colours begin again."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
