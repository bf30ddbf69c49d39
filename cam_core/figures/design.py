"""The contents of a figure and its looks, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from cam_core.overlay import (
    CRAMERI_DIVERGING,
    CRAMERI_SEQUENTIAL,
    DIVERGING,
    SEQUENTIAL,
    UNEVEN,
    ColourMapError,
    check_crameri,
)
from cam_core.types import CamError, Explanation

SINGLE_COLUMN: Final = 85.0
"""Millimetres: the width of one column in most journals."""

DOUBLE_COLUMN: Final = 174.0
"""Millimetres: the width of a page's text in most journals."""

FORMATS: Final = ("pdf", "svg", "png")

_RANGES: Final = {"width": (20, 1000), "font_size": (3, 40), "opacity": (0, 1), "dpi": (30, 2400)}


class FigureError(CamError, ValueError):
    """The figure cannot be drawn or saved as asked: unknown format, a width that holds nothing, no map."""


@dataclass(frozen=True)
class Row:
    """One photo and the maps to be drawn over it.

    Attributes:
        frame: what the network saw, at any resolution: the maps are stretched over all of it.
        explanations: at least one.
    """

    frame: Image.Image
    explanations: Sequence[Explanation]

    @property
    def common(self) -> Explanation | None:
        """One of the explanations, to be quoted for all, where all are of the same class."""
        return self.explanations[0] if len({explanation.target for explanation in self.explanations}) == 1 else None


@dataclass(frozen=True)
class Design:
    """The looks of a figure.

    Attributes:
        width: of the whole figure, millimetres.
        font_size: of titles, points; captions and numbers are an eighth smaller.
        opacity: of the map over the photo, 0 to 1.
        signed: draw what speaks against the class too, on a scale centred at 0.
        shared: one scale for all maps, in raw values; otherwise each has its own and fills it.
        colour_map: one of `overlay.SEQUENTIAL`, or of `overlay.DIVERGING` where signed; the first of them if empty.
            Where the package cmcrameri is installed, one of `overlay.CRAMERI_SEQUENTIAL` or `CRAMERI_DIVERGING`. One of
            `overlay.UNEVEN` has a reason against it.
        dpi: pixels per inch of photos and maps, and of a PNG as a whole.
    Raises:
        FigureError: a number is out of range.
        ColourMapError: the colour map is unknown, or of the wrong kind.
    """

    width: float = DOUBLE_COLUMN
    font_size: float = 8.0
    opacity: float = 0.5
    signed: bool = False
    shared: bool = False
    colour_map: str = ""
    dpi: int = 300

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise FigureError(f"{name}={getattr(self, name)} is out of range ({low} to {high})")
        sequential, diverging = (*SEQUENTIAL, *CRAMERI_SEQUENTIAL, *UNEVEN), (*DIVERGING, *CRAMERI_DIVERGING)
        offered, unsuitable = (diverging, sequential) if self.signed else (sequential, diverging)
        if self.colour_map in unsuitable:
            values, kind = ("signed", "diverging") if self.signed else ("positive", "sequential")
            raise ColourMapError(
                f"{values} values need a {kind} colour map, and {self.colour_map} is none; "
                f"there are: {', '.join(offered)}"
            )
        if self.colour_map not in ("", *offered):
            raise ColourMapError(f"unknown colour map {self.colour_map!r}; there are: {', '.join(offered)}")
        if self.colour_map in CRAMERI_SEQUENTIAL + CRAMERI_DIVERGING:
            check_crameri(self.colour_map)

    @property
    def colours(self) -> str:
        """The colour map in force."""
        return self.colour_map or (DIVERGING if self.signed else SEQUENTIAL)[0]

    @property
    def small(self) -> float:
        """Size of captions and numbers, points."""
        return self.font_size * 7 / 8
