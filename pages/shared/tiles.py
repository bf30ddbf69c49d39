"""Heatmap tiles: picture, colour bar, facts and notices; and what stands in their place while there is no map.

with tiles.grid("compare"):
    tiles.heatmap(explanation, drawn, frame, look, origin)
    tiles.unfinished(job, method, frame, retry, remove)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import streamlit as st
from PIL import Image

from cam_core import METHODS, Explanation
from cam_core.analysis.comparison import DrawnMap
from cam_core.applicability import coinciding
from cam_core.charts import trace_chart
from cam_core.methods import is_signed, title_of
from cam_core.methods.registry import Method
from cam_core.overlay import overlay
from cam_core.types import FloatArray
from pages.runtime.compute import Request
from pages.runtime.jobs import Job
from pages.shared import charts, downloads, messages, pictures, provenance, style
from pages.shared.pickers import Look
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.targets.words import in_a_file_name

_PALE: Final = 0.08  # of the scale: what stays below differs from the colour of 0 by less than is seen over a photo
_THEIRS: Final = "theirs"  # in the place of a method's key
_TRACES: Final = {"trace": "Score of the masked photo, step by step"}


def grid(key: str) -> AbstractContextManager[object]:
    """As many tiles in a row as have room."""
    return st.container(key=f"tiles-{key}")


def same_maps(seen: Scene, requests: Sequence[Request]) -> None:
    """Which of the methods cannot but agree at this layer, and why."""
    chosen = {request.method: dict(request.params) for request in requests}
    for why, keys in coinciding(seen.asked, seen.question.layer, chosen).items():
        titles = style.listed([METHODS[key].title for key in keys])
        st.html(
            style.notice_line(
                f"{titles} give the same map here, and must. Behind this layer there is only average pooling and one "
                f"linear layer: {why}. At an earlier layer they may differ."
            )
        )


def heatmap(explanation: Explanation, drawn: DrawnMap, frame: Image.Image, look: Look, origin: Facts) -> None:
    """One finished tile, of a method or of a map from elsewhere; `origin` says where its picture comes from."""
    title, ours = title_of(explanation.method), explanation.method in METHODS
    key = explanation.method if ours else _THEIRS
    colours = look.diverging if drawn.signed else look.sequential
    with st.container(key=f"tile-{key}"):
        if ours:
            heading(key)
        else:
            with st.popover(f"**{style.plain(title)}**", type="tertiary"):
                st.markdown(f"A map {style.plain(facts(explanation))}, stretched over what the network sees.")
        notices = "".join(
            map(style.notice_line, (*explanation.warnings, *_other_sign(explanation, drawn), *_pale(drawn)))
        )
        if not drawn.largest:  # why there is nothing to see comes before it
            st.html(notices)
        picture = overlay(frame, drawn.values, look.opacity, colours, drawn.limits)
        pictures.show(picture, alt=f"{title} heatmap for {explanation.label} over the photo")
        st.html(style.colour_bar(colours, *drawn.limits, drawn.unit))
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.html(style.quiet(facts(explanation), _counted(explanation)))
            downloads.button(
                # The title is for those who hear it: every tile has such a button.
                f"Save :small[{style.plain(title)}]",
                lambda: pictures.described_png(picture, provenance.description(origin)),
                f"{key}-{in_a_file_name(explanation.target)}{style.mark(explanation.trained)}.png",
                key=f"save-{key}",
                help="This picture as PNG.",
            )
        if notices and drawn.largest:
            st.html(notices)
        for name, values in explanation.extras.items():
            if values.ndim == 1:
                what = _TRACES.get(name, name)
                charts.show(trace_chart(values, what), key=f"trace-{key}-{name}", alt=_told(what, values))


def unfinished(
    job: Job, method: str, frame: Image.Image, retry: Callable[[], None], remove: Callable[[], None]
) -> None:
    """The tile of a map that is not there: being computed, failed, or cancelled.

    Args:
        retry: begins the computation anew.
        remove: takes the method out of the comparison.
    """
    with st.container(key=f"tile-{method}"):
        heading(method)
        with st.container(key=f"idle-{method}"):
            pictures.show(frame, alt=f"{METHODS[method].title}: no map yet")
        messages.pending(
            job,
            "Computing",
            "No map.",
            ("Try again", retry),
            ("Remove", remove),
            key=f"tile-{method}",
            leave=messages.cancel(job),
            cancelled=(f"Cancelled{messages.at(job)}.", messages.go_on(job)),
        )


def heading(method: str) -> None:
    """A method's name, and beside it what it does: in plain words first, in symbols last."""
    entry = METHODS[method]
    with st.popover(f"**{entry.title}**", type="tertiary"):
        st.markdown("\n\n".join(said(entry)))


def said(method: Method) -> list[str]:
    """What there is to know of a method, in paragraphs of Markdown."""
    claim = f"Its paper’s claim: {style.plain(method.claim)}" if method.claim and not method.control else ""
    return [
        style.plain(method.plain),
        *filter(None, [claim]),
        f"Where it fails: {style.plain(method.fails)}",
        f"In symbols: `{method.formula}`",
        style.cited(method.paper),
    ]


def _other_sign(explanation: Explanation, drawn: DrawnMap) -> list[str]:
    """Which view shows something of a map that is nowhere positive."""
    if drawn.signed or drawn.largest or not is_signed(explanation) or not explanation.map.any():
        return []
    return ["All its values have the other sign. “Signed”, under Values, shows them."]


def _pale(drawn: DrawnMap) -> list[str]:
    """Why a map is all but invisible that has something to show."""
    end, most = drawn.limits[1], drawn.largest
    if not 0 < most < _PALE * end:
        return []
    return [
        f"Nearly blank on the shared scale, which ends at {style.number(end, end)}: the largest value of this map is "
        f"{style.number(most, most)}, in a unit of its own. The scale “Percentile” or “Own” shows it."
    ]


def _told(title: str, values: FloatArray) -> str:
    """A trace for those who cannot see it."""
    if not len(values):
        return f"{title}: nothing was recorded"
    first, last = (style.significant(float(value), 3) for value in values[[0, -1]])
    return f"{title}: from {first} to {last} in {len(values)} steps"


def facts(explanation: Explanation) -> str:
    """ "41 ms · 1 pass", as the list of methods counts passes; of a map from elsewhere where it is from."""
    if explanation.method not in METHODS:
        height, width = explanation.map.shape
        return f"from {explanation.params['file']}: {height} × {width} values"
    own = max(explanation.passes) - 1  # one of each predicts
    count = {0: "no pass of its own", 1: "1 pass"}.get(own, f"{own:,} passes")
    return f"{style.duration(explanation.seconds)} · {count}"


def _counted(explanation: Explanation) -> str:
    """The honest cost of ours: images pushed through each half of the network."""
    if explanation.method not in METHODS:
        return ""
    head, tail = explanation.passes
    return (
        f"Pushed through the network, with the pass that predicts: {head:,} pass{'es' if head != 1 else ''} up to the "
        f"layer, {tail:,} behind it. The time is that of the map’s first computation."
    )
