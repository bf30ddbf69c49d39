"""Every colour of charts, figures and the style sheet, each written once; a method has the same look everywhere.

Ten hues that readers with protanopia and deuteranopia tell apart too, legible on white and on black; where two methods
share a hue, their lines differ in dash and their points in shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from zlib import crc32

FOR: Final = "#c8553d"
"""The colour of what speaks for a class, and of nothing else; signed maps have its hue there (`overlay.DIVERGING`)."""

AGAINST: Final = "#3380ad"
"""The colour of what speaks against a class, and of nothing else."""

MEASURED: Final = "#64748b"
"""The colour of a single quantity that was measured: a logit, a loss, an error."""

ACCENT: Final = "#2a7f97"
"""The colour of what is chosen in the app, and of maps that agree."""

OPPOSED: Final = "#8a5a9e"
"""The colour of maps that contradict each other."""

NEUTRAL: Final = "#8a8f94"
"""Axes and marks, and what there is to be compared with."""

SECOND: Final = "#e69f00"
"""The colour of what is set beside a measurement: a prediction, the training images."""

NOTICE: Final = "#d98c00"
"""The edge of a remark."""

INK: Final = "#333333"
"""Around a point that would else vanish in its background."""

HUES: Final = (
    "#7925ff", "#8b9d00", "#357115", "#32a2b2", "#8f4f70", "#af9054", "#5160a0", "#7e3fd2", "#6f9f80", "#9585f5",
)  # fmt: skip
"""Searched for: any two are at least 21 apart in CIELAB, as seen with normal vision, protanopia or deuteranopia
(simulated after Machado et al. 2009), and have a contrast of at least 3 with white and with the dark page, as lines
need (WCAG 2.1, 1.4.11). None is red or blue: those are `FOR` and `AGAINST`."""

DASHES: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {"solid": (), "dash": (4, 2), "dot": (1, 1.5), "dashdot": (4, 1.5, 1, 1.5), "longdash": (8, 2)}
)
"""Lines by their name in plotly: lengths of stroke and gap by turns, in widths of the line; none for a solid one."""

SHAPES: Final = ("circle", "diamond", "square", "cross", "triangle-up", "x", "star", "pentagon", "triangle-down")
"""Of points, by their name in plotly."""

REFERENCE: Final = "SHAP (this estimate)"
"""The name of the Shapley values that methods' coefficients are set beside."""


def evidence_colour(value: float) -> str:
    """`AGAINST` for what is below 0, else `FOR`."""
    return AGAINST if value < 0 else FOR


class Style(NamedTuple):
    """How a method is drawn: colour, name of the dash of its line, shape of its points."""

    colour: str
    dash: str
    shape: str


# A method's place decides its looks: the first ten have a hue and a solid line, and each has the hue of the one ten
# places before it. New ones are added at the end, so that nobody's looks change.
_METHODS: Final = (
    *("lift-cam", "grad-cam", "lfi-cam", "shap-cam", "opti-cam"),
    *("owen-cam", "grad-cam++", "score-cam", "layer-cam", "ablation-cam"),
    *("lrp-cam", "hires-cam", "cam", "shapley-cam", "lime-cam"),
    *("shap", "smooth-grad-cam++", "ss-cam", "eigen-cam", "refine-cam"),
    *("finer-cam", "xgrad-cam", "eigen-grad-cam", "is-cam"),
)
_PLACES: Final = len(HUES) * len(DASHES)
_GREY: Final[Mapping[str, Style]] = MappingProxyType(
    {
        "random": Style(NEUTRAL, "dot", "circle"),
        "fake-cam": Style(NEUTRAL, "dash", "diamond"),
        REFERENCE: Style(NEUTRAL, "solid", "square"),
    }
)


def style_of(name: str) -> Style:
    """The looks of a method by its key, of one of its maps ("random (seed 3)"), or of the reference.

    Whoever is not listed gets looks by the name, the same every time, though perhaps another's as well.
    """
    key = name.partition(" (seed ")[0]
    if key in _GREY:
        return _GREY[key]
    listed = len(_METHODS)
    place = _METHODS.index(key) if key in _METHODS else listed + crc32(key.encode()) % (_PLACES - listed)
    return Style(HUES[place % len(HUES)], tuple(DASHES)[place // len(HUES)], SHAPES[place % len(SHAPES)])


def method_colour(name: str) -> str:
    """The colour of `style_of`, "#rrggbb"."""
    return style_of(name).colour


def translucent(colour: str, opacity: float) -> str:
    """ "#8a8f94" and 0.25 → "rgba(138, 143, 148, 0.25)"."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"
