"""The board of the Deletion page: charts that grow, the table of areas, and the slider with what the curves look at.

All of it is one fragment: the slider moves the mark on every curve and the pictures, and nothing else is drawn again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from math import isnan
from typing import Final

import streamlit as st

from cam_core.charts import Mark, curves_chart
from cam_core.metrics.curves.frames import Frames
from cam_core.metrics.curves.perturbation import Kind
from cam_core.metrics.curves.points import Curve, Curves, curves_csv
from cam_core.metrics.curves.spread import CONTROL, Band, Spread, band, left_at_baseline, spread
from pages.deletion import curves
from pages.deletion.curves import Settings, Source, Views
from pages.runtime.jobs import Job
from pages.shared import messages, pictures, style, tables
from pages.shared.scene import Scene
from pages.shared.tables import Cell

CHANGED = "changed"
"""Where the slider lives in the session state, and in the link: per cent of the pixels."""

_PLAYING = "_deletion_playing"
_HEAD_START = 0.06
"""Seconds between pictures and charts: a browser that has both at once shows no picture before it has drawn charts."""
_STRIDE = 5  # per cent between two pictures while it plays
_VERDICTS = {"better": "better than random", "within": "no better than random", "worse": "worse than random"}
_TOO_MUCH_LEFT = 0.5
"""Of the untouched photo's probability: where the baseline keeps more, its curves have little to show."""
_ARROWS = {"deletion": "↓", "insertion": "↑"}
_DONE = {"deletion": "removed", "insertion": "shown"}


def board(seen: Scene, sources: Sequence[Source], control: Sequence[Source], settings: Settings) -> None:
    """Draw it; it draws itself again while curves grow or the slider plays."""
    growing = curves.curves(seen, [*sources, *control], settings)
    views = Views(seen, [*sources, *control[:1]], settings)
    job = growing.job
    moving = st.session_state.get(_PLAYING, False) or (job is not None and job.active)

    @st.fragment(run_every=messages.POLL if moving else None)
    def draw() -> None:
        if moving and _at_rest(job):
            st.rerun()
        with st.container(key="poll-deletion"):
            with st.container():  # also where it is empty, for nothing below to move when the job ends
                if job is not None:
                    progress(job)
            found = growing.snapshot()
            state = _Board(sources, control, settings, found)
            charts, table, looks = st.container(key="charts"), st.container(), st.container()
            with looks:
                fraction = player()
            # Pictures go first, for the slider's sake. Only where growing curves hold the device, charts do not wait
            # for what they look at, and have their dots the next time.
            shown = views.known(fraction) if job is not None and job.active else views.at(fraction)
            if shown:
                with looks:
                    state.pictures(shown, fraction)
                time.sleep(_HEAD_START)
            with charts:
                for kind in settings.kinds:
                    state.chart(kind, shown, fraction)
            with table:
                st.html(state.areas())
                state.downloads()
            if not shown:
                with looks:
                    state.pictures(views.at(fraction), fraction)

    draw()


def _at_rest(job: Job | None) -> bool:
    return not st.session_state.get(_PLAYING, False) and (job is None or not job.active)


def progress(job: Job) -> None:
    """How far the curves are; what they have is kept when they are cancelled."""
    messages.pending(
        job,
        "Computing the curves",
        "The curves cannot be completed.",
        messages.again(job),
        key="curves",
        leave=messages.cancel(job),
        cancelled=(
            f"Cancelled at {100 * job.fraction:.0f} %. What was computed stays.",
            messages.again(job, "Go on"),
        ),
    )


def player() -> float:
    """The slider, and the button that moves it; the share of pixels that is changed, 0 to 1."""
    if st.session_state.get(_PLAYING):
        _step()
    with st.container(horizontal=True, wrap=False, key="player"):
        playing = st.session_state.get(_PLAYING, False)
        label, icon = ("Pause", ":material/pause:") if playing else ("Play", ":material/play_arrow:")
        if st.button(label, icon=icon, key="play", on_click=_toggle):
            st.rerun()
        percent: int = st.slider(
            "Pixels changed, most salient first",
            0,
            100,
            20,
            format="%d %%",
            key=CHANGED,
            bind="query-params",
            persist_state="session",
        )
    return percent / 100


def _toggle() -> None:
    st.session_state[_PLAYING] = not st.session_state.get(_PLAYING, False)
    if st.session_state[_PLAYING] and st.session_state[CHANGED] >= 100:
        st.session_state[CHANGED] = 0


def _step() -> None:
    st.session_state[CHANGED] = min(100, st.session_state[CHANGED] + _STRIDE)
    st.session_state[_PLAYING] = st.session_state[CHANGED] < 100


class _Board:
    """One look at the curves."""

    def __init__(
        self,
        sources: Sequence[Source],
        control: Sequence[Source],
        settings: Settings,
        found: Curves,
    ) -> None:
        self._sources, self._control, self._settings = sources, control, settings
        self._titles = {source.name: curves.title(source.name) for source in [*sources, *control]}
        self._curves: dict[Kind, list[Curve]] = {
            kind: [found[source.name, kind] for source in sources] for kind in settings.kinds
        }
        self._random: dict[Kind, list[Curve]] = {
            kind: [found[source.name, kind] for source in control] for kind in settings.kinds
        }

    def chart(self, kind: Kind, shown: Frames, fraction: float) -> None:
        """One kind's curves, with the mark at the fraction, and a dot where what is shown was scored."""
        direction = {"deletion": "the lower, the better", "insertion": "the higher, the better"}[kind]
        with st.container():
            st.html(f"{style.name_line(kind.capitalize())}{style.quiet(f'{direction.capitalize()}.')}")
            keys = [(source.name, kind) for source in self._sources]
            mark = Mark(fraction, {key[0]: shown[key].value for key in keys if key in shown})
            figure = curves_chart(
                self._curves[kind], self._titles, self._band(kind), score=self._settings.score, mark=mark
            )
            st.plotly_chart(figure, key=f"chart-{kind}", config={"displayModeBar": False})
            self._baseline_notice(kind)

    def _baseline_notice(self, kind: Kind) -> None:
        left = left_at_baseline(self._curves[kind][0])
        if self._settings.score == "probability" and left is not None and left > _TOO_MUCH_LEFT:
            st.html(
                style.notice_line(
                    f"With every pixel replaced, {100 * left:.0f} % of the probability is still there. Above "
                    f"{100 * _TOO_MUCH_LEFT:.0f} % these curves have little to show: let a pixel become something else."
                )
            )

    def pictures(self, shown: Frames, fraction: float) -> None:
        """What the curves look at, kind by kind; of the control, its first map."""
        for kind in self._settings.kinds:
            self._pictures(kind, shown, fraction)

    def _pictures(self, kind: Kind, shown: Frames, fraction: float) -> None:
        """The photos side by side, with their scores."""
        st.html(style.name_line(f"{kind.capitalize()}: {100 * fraction:.0f} % of the pixels {_DONE[kind]}"))
        with st.container(key=f"frames-{kind}"):
            for index, source in enumerate([*self._sources, *self._control[:1]]):
                frame = shown[source.name, kind]
                with st.container(key=f"frame-{kind}-{index}"):
                    title = self._titles[source.name]
                    pictures.show(
                        frame.photo, alt=f"{title}: the photo with {100 * fraction:.0f} % of its pixels {_DONE[kind]}"
                    )
                    st.html(
                        f'<div class="cam-tile">{tables.line(source.name)}{title}</div>'
                        f'<div class="cam-quiet">{self._scored(frame.value)}</div>'
                    )

    def _scored(self, value: float) -> str:
        if self._settings.score == "probability":
            return f"p = {style.percent(value)}"
        return f"logit = {style.number(value, max(abs(value), 1.0))}"

    def areas(self) -> str:
        """The table of areas under the curves; which line is whose."""
        kinds = self._settings.kinds
        columns = ["Area under the curve", *(f"{kind.capitalize()} {_ARROWS[kind]}" for kind in kinds)]
        spreads = {kind: spread(self._random[kind]) for kind in kinds}
        rows = [
            (
                f"{tables.line(source.name)}{self._titles[source.name]}",
                [_area(self._curves[kind][index], spreads[kind]) for kind in kinds],
            )
            for index, source in enumerate(self._sources)
        ]
        title = f"{tables.line(CONTROL)}Random, {len(self._control)} maps"
        return tables.table(
            columns, [*rows, (title, [_control_area(spreads[kind], self._random[kind]) for kind in kinds])]
        )

    def _band(self, kind: Kind) -> Band | None:
        return band(self._random[kind]) if self._random[kind] else None

    def downloads(self) -> None:
        """The curves as numbers, and as a figure for print."""
        drawn = [curve for kind in self._settings.kinds for curve in (*self._curves[kind], *self._random[kind])]
        with st.container(horizontal=True, gap="small", key="downloads"):
            _download(
                "CSV", lambda: curves_csv(drawn).encode(), "text/csv", "Every point: method, kind, fraction, value."
            )
            for form, mime in _MIME.items():
                _download(form.upper(), partial(self._figure, form), mime, "Both charts, for print: 174 mm wide.")

    def _figure(self, form: str) -> bytes:
        # Matplotlib takes a fifth of a second to import: the page's first visitor shall not wait for it.
        from cam_core.figures import CurvePanel, curve_figure, encode_figure

        panels = [CurvePanel(kind, self._curves[kind], self._band(kind)) for kind in self._settings.kinds]
        return encode_figure(curve_figure(panels, self._titles, score=self._settings.score), form)


_MIME: Final = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}


def _download(label: str, data: Callable[[], bytes], mime: str, help: str) -> None:
    st.download_button(
        label,
        data=data,
        file_name=f"curves.{label.lower()}",
        mime=mime,
        key=f"download-{label}",
        type="tertiary",
        icon=":material/download:",
        help=help,
        on_click="ignore",
    )


def _area(curve: Curve, random: Spread | None) -> Cell:
    if isnan(curve.auc):
        return Cell("…")
    if not curve.complete:
        return Cell(f"≈ {curve.auc:.3f}", help="So far: the curve is not complete.")
    verdict = random.verdict(curve.auc, curve.kind) if random is not None else ""
    return Cell(style.decimals(curve.auc, 3), _VERDICTS.get(verdict, ""))


def _control_area(random: Spread | None, found: Sequence[Curve]) -> Cell:
    if random is None:
        return Cell("…")
    mean, low, high = (style.decimals(value, 3) for value in (random.mean, random.low, random.high))
    so_far = "" if all(curve.complete for curve in found) else "≈ "
    return Cell(f"{so_far}{mean}", f"{low} to {high}", help="Mean, and lowest to highest.")
