"""How the figure looks: widgets that fill a `Look`."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from cam_core.figures import VENUES, Look
from cam_core.figures.grid.spec import Captions, Letters, Style
from pages.shared import links
from pages.shared.colours import choice

_OWN: Final = Look()
_FONTS: Final = {"": "The venue’s", "sans": "Sans (Helvetica)", "serif": "Serif (Times)"}
_LETTERS: Final[dict[Letters, str]] = {"": "None", "a": "a, b, c", "A": "A, B, C", "(a)": "(a), (b), (c)"}
_CAPTIONS: Final[dict[Captions, str]] = {
    "once": "Under the first panel",
    "each": "Under each panel",
    "beside": "Beside the row",
    "none": "Nowhere",
}
_STYLES: Final[dict[Style, str]] = {"overlay": "Colours", "contours": "Contours", "mask": "Mask"}
_DPI: Final = (150, 300, 600, 1200)


def look() -> Look:
    """All of it, in three groups."""
    st.html('<div class="cam-name">Size and type</div>')
    size = _size()
    st.html('<div class="cam-name">Maps</div>')
    maps = _maps()
    st.html('<div class="cam-name">Words</div>')
    return Look(**size, **maps, **_words())


def _size() -> dict[str, Any]:
    venue = links.choice(
        "venue",
        "Venue",
        {key: f"{venue.title} · {venue.width:.4g} mm" for key, venue in VENUES.items()},
        default=_OWN.venue,
        help="Its width, font and font size.",
    )
    with st.container(horizontal=True, key="figure-size"):
        asked = VENUES[venue]
        width = _number("Width, mm", "width", 20, 1000, f"{asked.width:.4g}")
        points = _number("Font size, pt", "points", 3, 40, f"{asked.font_size:g}")
        dpi = st.selectbox(
            "Dpi", _DPI, index=_DPI.index(_OWN.dpi), width=90, help="Of photos, maps and the PNG.", **links.kept("dpi")
        )
    font = _of("Font", "font", _FONTS)
    return {"venue": venue, "width": width, "font_size": points, "dpi": dpi, "font": font}


def _number(label: str, key: str, low: float, high: float, venues: str) -> float | None:
    """A number, or None where the box is empty: then it is the venue's."""
    value = st.number_input(
        label, float(low), float(high), None, 0.5, "%g", placeholder=venues, width=100, **links.kept(key)
    )
    return None if value is None else float(value)


def _of(label: str, key: str, words: dict[Any, str], **widget: Any) -> Any:
    """One of a few values, by its words; the first is the default."""
    return links.choice(key, label, words, default=next(iter(words)), **widget)


def _maps() -> dict[str, Any]:
    style = _of("Drawn as", "style", _STYLES)
    settings: dict[str, Any] = {"style": style}
    if style != "contours":
        settings["opacity"] = st.slider(
            "Opacity", 0.0, 1.0, _OWN.opacity, 0.05, format="percent", **links.kept("opacity")
        )
    if style == "mask":
        settings["threshold"] = st.slider(
            "Kept above", 0.05, 0.95, _OWN.threshold, 0.05, format="percent", **links.kept("threshold"),
            help="Share of the scale’s end.",
        )  # fmt: skip
    values = st.segmented_control(
        "Values", ["Positive", "Signed"], default="Positive", required=True, **links.kept("values"),
        help="Signed: also what speaks against the class, on a scale centred at 0.",
    )  # fmt: skip
    signed = values == "Signed"
    colours = choice.offered(signed, printed=True)
    settings["signed"] = signed
    with st.container(horizontal=True, vertical_alignment="bottom", gap=None):
        settings["colour_map"] = links.choice(
            "print-colours", "Colours", {name: name for name in colours}, default=colours[0], scope=values
        )
        choice.previews(colours, "figure")
    settings["shared"] = st.toggle(
        "One scale for all maps", **links.kept("one-scale"),
        help="In raw values. Methods measure in different units, so some will look empty.",
    )  # fmt: skip
    if style != "mask":
        settings["colour_bar"] = st.toggle("Colour bar", True, **links.kept("bar"))
    return settings


def _words() -> dict[str, Any]:
    return {
        "letters": _of("Panel letters", "letters", _LETTERS),
        "captions": _of("Class and probability", "captions", _CAPTIONS),
        "input": st.toggle("The photo alone first", True, **links.kept("input")),
        "column_titles": st.toggle("Column titles", True, **links.kept("column-titles")),
        "row_titles": st.toggle("Row titles", True, **links.kept("row-titles")),
    }
