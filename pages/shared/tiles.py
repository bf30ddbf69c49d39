"""Heatmap tiles: picture, colour bar, facts and notices; and what stands in their place while there is no map.

with tiles.grid("compare"):
    tiles.heatmap(explanation, drawn, frame, look, origin)
    tiles.unfinished(job, method, frame, retry, remove)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import streamlit as st
from PIL import Image

from cam_core import METHODS, Explanation, Passes
from cam_core.analysis.comparison import DrawnMap
from cam_core.charts import trace_chart
from cam_core.overlay import overlay
from pages.runtime.jobs import Job
from pages.shared import charts, messages, pictures, provenance, style
from pages.shared.pickers import Look
from pages.shared.provenance import Facts


def grid(key: str) -> AbstractContextManager[object]:
    """As many tiles in a row as have room."""
    return st.container(key=f"tiles-{key}")


def heatmap(explanation: Explanation, drawn: DrawnMap, frame: Image.Image, look: Look, origin: Facts) -> None:
    """One finished tile; `origin` says where its picture comes from."""
    method = METHODS[explanation.method]
    colours = look.diverging if drawn.signed else look.sequential
    with st.container(key=f"tile-{method.key}"):
        _heading(method.key)
        picture = overlay(frame, drawn.values, look.opacity, colours, drawn.limits)
        pictures.show(picture, alt=f"{method.title} heatmap for {explanation.label} over the photo")
        st.html(style.colour_bar(colours, *drawn.limits))
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.html(style.quiet(facts(explanation)))
            st.download_button(
                "Save",
                data=lambda: pictures.described_png(picture, provenance.description(origin)),
                file_name=f"{method.key}-{explanation.target}{style.mark(explanation.trained)}.png",
                mime="image/png",
                key=f"save-{method.key}",
                type="tertiary",
                icon=":material/download:",
                help="This picture as PNG.",
                on_click="ignore",
            )
        for warning in explanation.warnings:
            st.html(style.notice_line(warning))
        for name, values in explanation.extras.items():
            if values.ndim == 1:
                said = f"{method.title}: {name}, from its first step to its last"
                charts.show(trace_chart(values, name), key=f"trace-{method.key}-{name}", alt=said)


def unfinished(
    job: Job, method: str, frame: Image.Image, retry: Callable[[], None], remove: Callable[[], None]
) -> None:
    """The tile of a map that is not there: being computed, failed, or cancelled.

    Args:
        retry: begins the computation anew.
        remove: takes the method out of the comparison.
    """
    with st.container(key=f"tile-{method}"):
        _heading(method)
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
            cancelled=(f"Cancelled{_at(job)}.", ("Start again", retry)),
        )


def _heading(method: str) -> None:
    entry = METHODS[method]
    st.markdown(f"**{entry.title}**", help=f"{entry.formula}\n\n{entry.paper}\n\nFails: {entry.fails}")


def facts(explanation: Explanation) -> str:
    """ "41 ms · 1 head, 2 tail passes"."""
    return f"{style.duration(explanation.seconds)} · {passes(explanation.passes)}"


def passes(count: Passes) -> str:
    """The honest cost: images pushed through each half of the network."""
    return f"{count.head} head, {count.tail} tail passes"


def _at(job: Job) -> str:
    return f" at {100 * job.fraction:.0f} %" if job.fraction else ""
