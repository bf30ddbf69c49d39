"""The style sheet, the small pieces of HTML that Streamlit has no element for, and how numbers are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from math import floor, log10
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core.methods import METHODS
from cam_core.numbers import decimals as decimals
from cam_core.numbers import number as number
from cam_core.numbers import significant as significant
from cam_core.overlay import colour_stops
from cam_core.palette import ACCENT, NOTICE, OPPOSED

ARROWS: Final = {"higher": "↑", "lower": "↓"}
"""Which way is better."""

_ADDRESSES: Final = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
_SHEET: Final = Path(__file__).with_name("app.css")
_COLOURS: Final = (
    f"<style>:root {{ --cam-accent: {ACCENT}; --cam-opposed: {OPPOSED}; --cam-notice: {NOTICE}; }}</style>"
)


def apply_style() -> None:
    """Put the style sheet on the page, and the palette's colours that it uses; once per run."""
    st.html(_COLOURS)
    st.html(_SHEET)


def style_rules(rules: str) -> None:
    """Further rules, made by this package and never from what a visitor typed."""
    st.html(f"<style>{rules}</style>")


def name_line(text: str) -> str:
    """The name over a tile."""
    return f'<div class="cam-name">{escape(text)}</div>'


def subtitle(before: str, stressed: str, after: str) -> str:
    """The line under the page's title."""
    return f'<div class="cam-subtitle">{escape(before)}<b>{escape(stressed)}</b>{escape(after)}</div>'


def quiet(text: str, more: str = "") -> str:
    """Small print; `more` is shown to whoever points at it."""
    title = f' title="{escape(more)}"' if more else ""
    return f'<div class="cam-quiet"{title}>{escape(text)}</div>'


def notice_line(text: str) -> str:
    """Something to know before trusting the map."""
    return f'<p class="cam-notice" role="note">{escape(text)}</p>'


def colour_bar(colour_map: str, low: float, high: float, unit: str = "") -> str:
    """The colour map between the values that its ends stand for."""
    ends = [number(end, max(abs(low), abs(high))) + unit for end in (low, high)]
    stops = ", ".join(colour_stops(colour_map, 17))
    return (
        f'<div class="cam-bar" role="img" aria-label="Colour bar from {ends[0]} to {ends[1]}"><span>{ends[0]}</span>'
        f'<i style="background: linear-gradient(to right, {stops})"></i><span>{ends[1]}</span></div>'
    )


def key_to_colours(colour_map: str, pro: str, contra: str, signed: bool) -> str:
    """What the colours of a map say, in words beside the colours themselves: "speaks for tabby"."""
    low, middle, high = colour_stops(colour_map, 3)
    if signed:
        said = [(high, pro), (middle, "does not count"), (low, contra)]
    else:
        said = [(high, f"bright: {pro}, by what the method says"), (low, "dark: does not count")]
    return "".join(f'<span><i style="background: {colour}"></i>{escape(words)}</span>' for colour, words in said)


def key(colour_map: str, words: Sequence[str]) -> str:
    """What the colours of a map say, in words: of its lowest value, …, of its highest, two or three."""
    said = [*zip(colour_stops(colour_map, len(words)), words, strict=True)][::-1]
    return "".join(f'<span><i style="background: {colour}"></i>{escape(line)}</span>' for colour, line in said)


def legend(lines: Sequence[str], remark: str) -> str:
    """How to read the heatmaps: lines of `key_to_colours`, and a remark, which may be empty."""
    return "".join(f'<div class="cam-key">{line}</div>' for line in lines) + (quiet(remark) if remark else "")


def share_bar(share: float, chosen: bool) -> str:
    """A share from 0 to 1 as the length of a thin bar."""
    return f'<div class="cam-share{" chosen" if chosen else ""}"><i style="width: {100 * share:.2f}%"></i></div>'


def listed(names: Sequence[str]) -> str:
    """ "Grad-CAM, HiResCAM and CAM"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def mark(trained: bool) -> str:
    """What the name of a file ends in that shows a network which has learnt nothing."""
    return "" if trained else "-untrained"


def percent(probability: float) -> str:
    """ "97.2 %"; what is too small to show so is "< 0.1 %"."""
    return "< 0.1 %" if 0 < probability < 0.0005 else f"{100 * probability:.1f} %"


def duration(seconds: float) -> str:
    """ "41 ms", "3.2 s", "2 min 5 s"."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def about(seconds: float) -> str:
    """An estimate, to one digit: "0.2 s", "20 s", "4 min", "2 h"; what nobody notices is "< 0.1 s"."""
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 1:
        return f"{seconds:.1f} s"
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds >= size)
    return f"{round(seconds / size, -floor(log10(seconds / size))):.0f} {unit}"


def cost(passes: int, seconds: float) -> str:
    """What a method costs beside the prediction: "1,280 passes ≈ 20 s", "1 pass", "no pass of its own"."""
    if not passes:
        return "no pass of its own"
    count = "1 pass" if passes == 1 else f"{passes:,} passes"
    return f"{count} {'' if seconds < 0.05 else '≈ '}{about(seconds)}"


def cited(paper: str) -> str:
    """A paper of the registries in Markdown, its identifier a link: "Jung & Oh, …, [arXiv:2102.05228](https://…)"."""
    return _with_links(plain(paper), r"[{scheme}:\1]({address}\1)")


def sourced(text: str) -> str:
    """The same as HTML."""
    return _with_links(escape(text), r'<a href="{address}\1" target="_blank">{scheme}:\1</a>')


def _with_links(text: str, link: str) -> str:
    for scheme, address in _ADDRESSES.items():
        text = re.sub(rf"{scheme}:([^\s,;]*\w)", link.format(scheme=scheme, address=address), text)
    return text


def plain(text: str) -> str:
    r"""Text from elsewhere, which may hold names such as `layer*` or `[0]`, as it is: nothing of it is Markdown."""
    for sign in "\\`*_[]<>$~":
        text = text.replace(sign, f"\\{sign}")
    return text


def sentence(text: str) -> str:
    """A message of the core, which begins small and without a stop, as exceptions do; methods by their titles."""
    first = text.partition(" ")[0].rstrip(":,;")
    if first in METHODS:
        begun = METHODS[first].title + text[len(first) :]
    else:
        begun = text if "." in first.rstrip(".") else text[:1].upper() + text[1:]  # a file is called as it is
    return begun + ("" if begun.rstrip(")").endswith((".", "!", "?")) else ".")
