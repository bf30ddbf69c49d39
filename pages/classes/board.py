"""The maps of the Classes page as tiles, and the table of where they lie.

What changes their look is in a fragment: a slider redraws the pictures and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from math import isnan
from typing import Any

import streamlit as st
from PIL import Image

from cam_core import Explanation
from cam_core.analysis.comparison import DrawnMap, drawn_maps
from cam_core.analysis.contrast import Contrast, MapPart, RegionShare, drawn_contrast
from cam_core.overlay import SEQUENTIAL, overlay
from pages.classes.pair import Pair
from pages.shared import pickers, pictures, style, tables
from pages.shared.tables import Cell

Legend = Callable[[str], str]
"""Name of a colour map → HTML that says what its colours mean."""


@dataclass(frozen=True)
class Tile:
    """A map, its place on the page, and what is said of it.

    Attributes:
        alt: for those who cannot see it.
        legend: of the colours.
        words: what the map is, in plain terms.
        notices: what to know before trusting it.
    """

    place: Any
    name: str
    alt: str
    drawn: DrawnMap
    legend: Legend
    words: str = ""
    notices: tuple[str, ...] = ()


def pair_tiles(contrast: Contrast, places: Sequence[Any], frame: Image.Image) -> list[Tile]:
    """The maps of A and of B, and their difference, in three places."""
    drawn = drawn_contrast(contrast, (frame.height, frame.width))
    return [
        *(
            Tile(
                place,
                made.label,
                f"{contrast.title} heatmap for {made.label} over the photo",
                values,
                _speaks(made.label, values.signed),
                notices=made.warnings,
            )
            for place, made, values in zip(places[:2], (contrast.a, contrast.b), (drawn.a, drawn.b), strict=True)
        ),
        Tile(
            places[2],
            "The first less the second",
            f"{contrast.title} heatmap of {contrast.a.label} less {contrast.b.label} over the photo",
            drawn.difference,
            _rather(contrast, "counts more for {}", "counts for both alike"),
        ),
    ]


def contrast_tile(contrast: Contrast, place: Any, frame: Image.Image, *, told: bool) -> Tile:
    """The map of the logit difference itself, which must be there.

    Args:
        told: whether what it is stands below it.
    """
    drawn, between = drawn_contrast(contrast, (frame.height, frame.width)).between, contrast.between
    assert drawn is not None and between is not None
    a, b = contrast.a.label, contrast.b.label
    return Tile(
        place,
        f"Why {a} and not {b}?" if told else "The contrast",
        f"{contrast.title} heatmap of the contrast {a} − {b} over the photo",
        drawn,
        _rather(contrast, "puts {} ahead", "moves neither"),
        f"{_lead(a, b, between.score)} {_linearity(contrast)}" if told else "",
        between.warnings,
    )


def same_again(contrast: Contrast) -> str:
    """Why the map of the logit difference, which is there and is the difference of the maps, is not shown again."""
    assert contrast.between is not None
    return (
        f"{_lead(contrast.a.label, contrast.b.label, contrast.between.score)} Its map stands above, as the first less "
        f"the second: {contrast.title} is linear in the score, so that the two are the same picture."
    )


def _speaks(label: str, signed: bool) -> Legend:
    if signed:
        return partial(style.key, words=(f"speaks against {label}", "does not count", f"speaks for {label}"))
    return partial(style.key, words=("dark: does not count", f"bright: speaks for {label}, by what the method says"))


def _rather(contrast: Contrast, what: str, middle: str) -> Legend:
    """Of a map between A and B; `what` has a gap for the class's name."""
    a, b = contrast.a.label, contrast.b.label
    return partial(style.key, words=(what.format(b), middle, what.format(a)))


def _lead(a: str, b: str, score: float) -> str:
    """The number that is explained."""
    side = "below" if score < 0 else "above"
    return f"One map of one number: the score of {a} is {style.significant(abs(score), 3)} logits {side} that of {b}."


def _linearity(contrast: Contrast) -> str:
    return (
        f"It is not the difference of the two maps: {contrast.title} is not linear in the score, and they are up to "
        f"{contrast.deviation:.0%} of the largest value apart."
    )


def finer_tiles(
    made: Sequence[Explanation], near: Sequence[Sequence[str]], places: Sequence[Any], frame: Image.Image
) -> list[Tile]:
    """Finer-CAM's maps of A and of B on one scale, each with the classes that it is set apart from."""
    drawn = drawn_maps(made, (frame.height, frame.width), signed=True, shared=True)
    return [
        Tile(
            place,
            f"Finer-CAM: {explanation.label}",
            f"Finer-CAM heatmap for {explanation.label} over the photo",
            values,
            _speaks(explanation.label, values.signed),
            words=f"What sets {explanation.label} apart from the classes whose scores are nearest to its own: "
            f"{style.listed(labels)}.",
            notices=explanation.warnings,
        )
        for explanation, labels, place, values in zip(made, near, places, drawn, strict=True)
    ]


@st.fragment
def draw(tiles: Sequence[Tile], frame: Image.Image) -> None:
    """What changes the look of the maps, and the maps, each in its place."""
    with st.container(horizontal=True, vertical_alignment="top", key="look"):
        opacity, diverging = pickers.opacity(), pickers.colours(signed=True)
    for tile in tiles:
        with tile.place:
            _draw(tile, frame, opacity, diverging)


def _draw(tile: Tile, frame: Image.Image, opacity: float, diverging: str) -> None:
    drawn = tile.drawn
    colours = diverging if drawn.signed else SEQUENTIAL[0]
    st.html(style.name_line(tile.name))
    pictures.show(overlay(frame, drawn.values, opacity, colours, drawn.limits), alt=tile.alt)
    legend = style.legend([tile.legend(colours)], tile.words)
    st.html("".join([style.colour_bar(colours, *drawn.limits), legend, *map(style.notice_line, tile.notices)]))


def agreement(contrast: Contrast, *, told: bool) -> None:
    """How alike the two maps are: the number, and a warning where they hardly differ.

    Args:
        told: whether what the number means stands beside it.
    """
    if contrast.notice:
        st.html(style.notice_line(contrast.notice))
    if not isnan(contrast.correlation):
        meaning = " 1: they rank all places alike, −1: in opposite order." if told else ""
        st.html(
            style.quiet(f"Rank correlation of the two maps: {style.decimals(contrast.correlation, 2)}.{meaning}"),
        )


def shares(contrasts: Sequence[Contrast], pair: Pair) -> None:
    """Where each map lies, beside the share of the picture that each object takes."""
    heads = [
        f"on the {escape(_name(share, pair))}<br><small>{style.percent(share.area)} of the picture</small>"
        for share in contrasts[0].shares["a"]
    ]
    rows = [
        (f"{tables.line(contrast.method)}{escape(contrast.title)}: {escape(words)}", _cells(contrast, part))
        for contrast in contrasts
        for part, words in contrast.parts.items()
    ]
    st.header("Where the maps lie")
    with st.container(key="class-shares"):
        st.html(tables.table(["Positive part of the map", *heads], rows))
    st.html(
        style.quiet(
            "The share of what is positive in a map that lies on each object, which is a digit’s own shape or the box "
            "around an animal; bold: its own class’s. A map that knew nothing would have the object’s share of the "
            "picture. “A rather than B” is what in "
            "the contrast speaks for A, “B rather than A” what speaks for B."
        )
    )


def _cells(contrast: Contrast, part: MapPart) -> list[Cell]:
    own = contrast.b.label if part in ("b", "contrast for b") else contrast.a.label
    return [
        Cell("–" if isnan(share.share) else style.percent(share.share), best=own in share.classes)
        for share in contrast.shares[part]
    ]


def _name(share: RegionShare, pair: Pair) -> str:
    """The object as the class that was chosen calls it."""
    return next((side.label for side in (pair.a, pair.b) if side.label in share.classes), share.classes[0])
