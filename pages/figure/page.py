"""Figure: a grid of photos and maps for a paper. Is it ready for print?"""

from __future__ import annotations

import streamlit as st

from cam_core.figures import Chart, ExplainedGrid, FigureSpec, Look, Shown
from cam_core.figures.grid.explained import assembled_grid
from cam_core.types import CamError
from pages.figure import charts, columns, computing, files, look, preview, rows
from pages.figure.columns import Columns
from pages.figure.rows import RowPhoto
from pages.figure.share import share
from pages.runtime.jobs import Job
from pages.shared import messages, scene, style
from pages.shared.scene import Scene

_QUESTION = "Photos × methods, layers, classes or networks for print: ", "is it ready", " for the paper?"


def page() -> None:
    seen = scene.current("Figure", *_QUESTION)
    st.title("Figure")
    st.html(style.subtitle(*_QUESTION))
    notices = st.container()
    with st.container(key="figure-choices"):
        with st.container():
            photos = rows.photos(seen)
        with st.container():
            chosen = columns.choose(seen)
    with st.container(key="figure-zones"):
        figure = st.container(key="figure-seen")
        with st.container(key="figure-look"):
            appearance = look.look()
            beside = charts.charts()
    grid = None
    with figure:
        place = st.container()
        shown = rows.details(seen, photos, classes=chosen.classes)
        with place:
            if not chosen.columns:
                messages.empty("Choose one or more columns to see a figure.")
            else:
                try:
                    grid = draw(_spec(seen, shown, chosen, appearance, beside), photos, chosen)
                except CamError as error:
                    messages.failure("This figure cannot be drawn.", str(error), key="figure-drawn")
    if grid:
        share(seen, photos, chosen, grid)
    with notices:
        messages.link_notices()


def _spec(
    seen: Scene, shown: tuple[Shown, ...], chosen: Columns, appearance: Look, beside: tuple[Chart, ...]
) -> FigureSpec:
    question = seen.question
    return FigureSpec(
        shown, chosen.columns, chosen.network, chosen.layer, question.seed, question.precision, appearance, beside
    )


def draw(spec: FigureSpec, photos: list[RowPhoto], chosen: Columns) -> ExplainedGrid | None:
    """The figure, which is returned, or why there is none yet.

    Raises:
        CamError: it cannot be drawn as asked.
    """
    images = {photo.name: photo.image for photo in photos}
    digests = {photo.name: photo.digest for photo in photos}
    outcome = computing.begin(spec, images, digests, chosen.networks)
    if isinstance(outcome, Job):
        again = messages.again(outcome)
        leave, start = messages.cancel(outcome), messages.again(outcome, "Start again")
        messages.pending(
            outcome, "Computing", "No figure.", again, key="figure", leave=leave, cancelled=("Cancelled.", start)
        )
        return None
    grid = assembled_grid(spec, [photo.image for photo in photos], outcome.framing, outcome.maps, outcome.curves)
    preview.preview(grid)
    files.files(grid)
    return grid


page()
