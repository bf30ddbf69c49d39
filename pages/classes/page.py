"""Classes: why this class and not that one? Two maps, their difference, and the channels that tell the two apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from cam_core import METHODS, Explanation
from cam_core.analysis.contrast import Contrast, check_classes, nearest_labels
from cam_core.metrics.ground_truth import Region
from cam_core.types import TargetError
from pages.classes import board, channels, downloads, maps, pair
from pages.classes.board import Tile
from pages.classes.maps import FINER, Maps
from pages.classes.pair import Pair
from pages.classes.share import share
from pages.runtime import polling
from pages.runtime.compute import Request
from pages.runtime.jobs import Job
from pages.shared import messages, pickers, preload, provenance, scene, style, tiles
from pages.shared.scene import Scene


@polling.part
def page() -> None:
    seen = scene.current("Classes", "Why ", "one class", ", and not the other?")
    st.title("Classes")
    question, notices = st.container(), st.container()
    regions = pair.regions(seen)
    chosen = pair.pick(seen, regions)
    seen = replace(seen, question=replace(seen.question, target=chosen.a.index))
    with question:
        st.html(style.subtitle("Why ", chosen.a.label, f", and not {chosen.b.label}?"))
    methods = pickers.methods(pickers.FIRST_METHODS, unfit=seen.unfit, misplaced=seen.misplaced, costs=seen.costs)
    requests = pickers.parameters(methods)
    answer(seen, chosen, requests, regions)
    with notices:
        messages.link_notices()
    preload.charts()


def answer(seen: Scene, chosen: Pair, requests: Sequence[Request], regions: Sequence[Region]) -> None:
    """All that the page shows of two classes, or why it shows nothing."""
    try:
        check_classes(chosen.a.index, chosen.b.index, chosen.a.label)
    except TargetError as error:
        messages.empty(style.sentence(str(error)))
        return
    if not requests:
        messages.empty("Choose one or more methods to see what tells the two classes apart.")
        return
    looks, apart = st.container(), st.container()
    with apart:
        budget = channels.heading()
    estimating = channels.begin(seen, chosen, budget)
    with looks:
        contrasts = where(seen, chosen, requests, regions)
    with apart:
        report = channels.section(seen, estimating)
    if contrasts:
        downloads.files(seen, chosen, contrasts, report)
        facts = {**provenance.facts(seen, provenance.of_maps(each.a for each in contrasts)), **chosen.facts}
        share(seen, chosen, requests, contrasts, report, facts)


def where(seen: Scene, chosen: Pair, requests: Sequence[Request], regions: Sequence[Region]) -> list[Contrast]:
    """The maps by every method, and where they lie; the reports of those that are there."""
    finer = [] if FINER.method in seen.unfit else [FINER]
    rows = maps.ask(seen, chosen, [*requests, *finer])
    rows, finer_rows = rows[: len(requests)], rows[len(requests) :]
    contrasts = [None if made.missing else made.contrast(regions) for made in rows]
    drawn = row(seen, rows[0], contrasts[0], first=True)
    look = st.container()
    drawn += contrast_itself(seen, chosen, rows[0], contrasts[0], finer_rows)
    tiles.same_maps(seen, requests)
    for made, contrast in zip(rows[1:], contrasts[1:], strict=True):
        drawn += row(seen, made, contrast, first=False)
    with look:
        board.draw(drawn, seen.frame())
    done = [contrast for contrast in contrasts if contrast]
    if done and regions:
        board.shares(done, chosen)
    return done


def row(seen: Scene, made: Maps, contrast: Contrast | None, *, first: bool) -> list[Tile]:
    """One method's maps side by side; of all but the first method with the contrast beside them."""
    method = made.request.method
    tiles.heading(method)
    if contrast is None:
        unfinished(made)
        return []
    board.agreement(contrast, told=first)
    with tiles.grid(f"classes-{method}"):
        places = [st.container(key=f"tile-{method}-{part}") for part in ("a", "b", "difference")]
        drawn = board.pair_tiles(contrast, places, seen.frame())
        return drawn if first else [*drawn, *contrast_tile(seen, made, contrast, told=False)]


def unfinished(made: Maps) -> None:
    """A method whose two maps are not there yet, or have failed."""
    job, method = made.missing[0], made.request
    remove = ("Remove", partial(pickers.remove_method, method.method))
    lost = f"{method.title} has no map."
    messages.pending(
        job,
        f"{method.title}: computing the maps",
        lost,
        messages.again(job),
        remove,
        key=method.method,
        leave=messages.cancel(job),
    )


def contrast_tile(seen: Scene, made: Maps, contrast: Contrast, *, told: bool) -> list[Tile]:
    """The map of the difference itself in a place of its own; nothing where it is the difference of the maps again, or
    of a method that is not asked for it."""
    if made.between is None or contrast.linear:
        return []
    place: Any = st.container(key=f"tile-{contrast.method}-contrast")
    if isinstance(made.between, Explanation):
        return [board.contrast_tile(contrast, place, seen.frame(), told=told)]
    with place:
        missing_contrast(made.between, contrast.method)
    return []


def missing_contrast(job: Job, method: str) -> None:
    messages.pending(
        job, "Computing the contrast", "No map of the contrast.", messages.again(job), key=f"between-{method}"
    )


def contrast_itself(
    seen: Scene, chosen: Pair, made: Maps, contrast: Contrast | None, finer: Sequence[Maps]
) -> list[Tile]:
    """The map of the difference by the first method, and Finer-CAM's maps, which are contrasts by themselves."""
    st.header("The contrast itself")
    st.html(
        style.quiet(
            "The maps above answer two questions, one class each; what both classes share is in both. These ask one "
            "question: what tells the two apart?"
        )
    )
    drawn: list[Tile] = []
    with tiles.grid("contrast"):
        if contrast is not None:
            drawn += contrast_tile(seen, made, contrast, told=True)
        for each in finer:
            drawn += finer_maps(seen, chosen, each)
    if contrast is not None and contrast.linear:
        st.html(style.quiet(board.same_again(contrast)))
    if contrast is not None and made.between is None:
        st.html(style.quiet(f"{METHODS[contrast.method].title} does not look at the class, and has no contrast."))
    return drawn


def finer_maps(seen: Scene, chosen: Pair, finer: Maps) -> list[Tile]:
    """Finer-CAM's maps of both classes, or how they stand."""
    if finer.missing:
        with st.container(key="tile-finer"):
            job = finer.missing[0]
            messages.pending(job, "Finer-CAM", "Finer-CAM has no map.", messages.again(job), key="finer")
        return []
    made = [outcome for outcome in (finer.a, finer.b) if isinstance(outcome, Explanation)]
    near = [nearest_labels(seen.predictions, side.index, made[0].params["others"]) for side in (chosen.a, chosen.b)]
    places = [st.container(key=f"tile-finer-{side}") for side in ("a", "b")]
    return board.finer_tiles(made, near, places, seen.frame())


page()
