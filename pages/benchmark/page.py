"""Benchmark: which method wins on my images, by numbers over all of them, and how sure is that?"""

from __future__ import annotations

import streamlit as st

from cam_core.types import CamError
from pages.benchmark import board, cell, differences, files, form, running, share, shown
from pages.benchmark.form import Benchmark
from pages.benchmark.running import REFUSED, Run
from pages.benchmark.shown import Shown
from pages.runtime import polling
from pages.shared import messages, preload, style


def page() -> None:
    st.title("Benchmark")
    st.html(style.subtitle("Which method ", "wins on my images", "? Every map measured, image by image."))
    notices = st.container()
    run = running.current()
    asked = form.choose()
    run = begin(asked, run)
    st.header("Results")
    source = shown.choose(run, asked.photos if isinstance(asked, Benchmark) else None)
    if source == shown.RUN and run is not None:
        of_run(run)
    elif source == shown.FILE:
        given = shown.of_files(asked.photos if isinstance(asked, Benchmark) else None)
        if given is not None:
            results(given)
    else:
        results(shown.example())
    with notices:
        messages.link_notices()
    preload.charts()


def begin(asked: Benchmark | str, run: Run | None) -> Run | None:
    """The button; the run that a click has begun, or that there was before."""
    busy = run is not None and run.job.active
    refused = form.refusal(asked) if isinstance(asked, Benchmark) else asked
    with st.container(horizontal=True, vertical_alignment="center", key="benchmark-begin"):
        clicked = st.button(
            "Run", type="primary", disabled=busy or bool(refused), key="benchmark-run", icon=":material/play_arrow:"
        )
        st.html(style.quiet(refused or form.cost(asked)) if isinstance(asked, Benchmark) else style.quiet(refused))
    if clicked and isinstance(asked, Benchmark):
        st.session_state[REFUSED] = running.start(asked)
        if not st.session_state[REFUSED]:
            st.session_state[shown.KEY] = shown.RUN
            st.rerun()
    if why := st.session_state.pop(REFUSED, ""):
        messages.failure("This is not evaluated now.", why, key="benchmark")
    return run


def of_run(run: Run) -> None:
    """How far it is; while it goes on, means so far, and then all that there is to see."""
    if not run.job.active and not run.job.wait(polling.OFTEN):
        st.rerun()  # cancelled: it stops at its next batch
    if run.job.active or run.job.fruitless:
        running.state(run)
    for failed in run.failed:
        messages.failure(
            f"{style.plain(failed.network)} was not evaluated.", failed.reason, key=f"benchmark-{failed.network}"
        )
    if run.job.active:
        polling.watch([run.job], lambda: st.html(board.so_far(run)), key="benchmark", every=polling.SELDOM)
    elif run.rows or run.files:
        results(shown.of_run(run))


def results(given: Shown) -> None:
    """Standings, the images behind them, differences; and all of it to be taken along."""
    try:
        comparisons = given.comparisons
    except CamError as error:
        messages.failure("These tables cannot stand side by side.", str(error), key="benchmark-compared")
        return
    board.board(given, comparisons, cell.choice_key(given))
    board.doubts(given, comparisons)
    files.section(given, comparisons)
    cell.section(given)
    differences.section(given, comparisons)
    share.share(given, comparisons)


page()
