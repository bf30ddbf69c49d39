"""The board of the Deletion page: charts that grow, the table of areas, and the slider with what the curves look at.

The slider is in a fragment: it moves the mark on every curve and the pictures, and nothing else is drawn again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from html import escape
from math import isnan
from typing import TYPE_CHECKING

import streamlit as st

from cam_core.analysis.curves import CurveLine, CurvePanel, CurveReport, curve_report, curves_csv
from cam_core.charts import Mark, curves_chart
from cam_core.metrics.curves.frames import Frames
from cam_core.metrics.curves.points import AXIS_OF_KIND, AXIS_OF_SCORE
from cam_core.metrics.curves.spread import CONTROL
from cam_core.targets import TargetScore
from pages.deletion import curves, legend
from pages.deletion.curves import Settings, Source, Views
from pages.runtime import polling
from pages.runtime.jobs import Job
from pages.shared import charts, downloads, links, messages, pictures, provenance, style, tables
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.tables import Cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANGED = "changed"
"""Where the slider lives in the session state, and in the link: per cent of the pixels."""

_PLAYING = "_deletion_playing"
_LINES_OF_CONTROL = 3  # lowest, highest and mean of the random maps
_NUMBERS_PER_SECOND = 1500  # of some seven bytes: what a growing chart may take of a visitor's line
_HEAD_START = 0.06
"""Seconds between pictures and charts: a browser that has both at once shows no picture before it has drawn charts."""
_STRIDE = 5  # per cent between two pictures while it plays
_VERDICTS = {"better": "better than random", "within": "no better than random", "worse": "worse than random"}
_DONE = {"deletion": "removed", "insertion": "shown"}
_GOES = {"deletion": "Pixels give way to", "insertion": "Pixels come back out of"}


class Drawn:
    """What the page shows of the curves: charts and areas that grow, the slider, and the photos that it chooses."""

    def __init__(self, seen: Scene, sources: Sequence[Source], control: Sequence[Source], settings: Settings) -> None:
        growing = curves.curves(seen, [*sources, *control], settings)
        self._job = growing.job
        self._settings = settings
        target = seen.question.target
        self._quantity = target.quantity if isinstance(target, TargetScore) else "logit"
        self._names = [source.name for source in sources]
        self._grows = growing.job is not None and growing.job.active
        self._every = _interval(settings, len(sources))
        self._views = Views(seen, [*sources, *control[:1]], settings)
        self._mark = style.mark(sources[0].explanation.trained)
        self.report_now = _reporter(growing, sources, control, settings)
        parameters = provenance.of_maps(source.explanation for source in sources)
        self.facts = provenance.facts(seen, parameters | {"curves": settings.params})

    def charts(self, others: Callable[[], None]) -> None:
        """Charts and the table of areas: while the curves grow they draw themselves again, later the slider does it.

        Args:
            others: draws how other jobs stand. Bars come and go below what is looked at, which so stays in its place.
        """
        with st.container(key="curve-zones"):
            with st.container(key="curve-side"):
                legend.legend(self._names)
                self._charts = st.container(key="poll-deletion")
                self._slider = st.container()
                with st.container():  # also where it is empty, for what is below to stay the same element
                    if self._job is not None:
                        progress(self._job)
                    others()
            self._photos = st.container(key="curve-photos")
        self._areas = st.container(key="poll-areas")
        if self._job is not None and self._grows:
            polling.watch([self._job], self._growing, place=self._charts, every=self._every)
        files(self.report_now, f"curves{self._mark}", self.facts)

    def looks(self) -> None:
        """The slider below the curves, and beside both the photos at the share of pixels that it says.

        It moves the marks on the charts too.
        """
        playing = st.session_state.get(_PLAYING, False)

        def draw() -> None:
            if playing and not st.session_state[_PLAYING]:
                st.rerun()
            fraction = player()
            with polling.in_its_places():
                self._look(fraction)

        with self._slider:
            st.fragment(draw, run_every=polling.OFTEN if playing else None)()

    def _look(self, fraction: float) -> None:
        frames = self._views.at(fraction)
        look = Look(self.report_now(), self._settings, self._quantity)
        with self._photos:
            look.pictures(frames, fraction)
        if not self._grows:
            time.sleep(_HEAD_START)
            with self._charts:
                self._curves(look, frames, fraction)

    def _growing(self) -> None:
        percent = st.session_state.get(CHANGED)  # none before the slider was drawn
        fraction = None if percent is None else percent / 100
        frames = {} if fraction is None else self._views.known(fraction)
        self._curves(Look(self.report_now(), self._settings, self._quantity), frames, fraction)

    def _curves(self, look: Look, frames: Frames, fraction: float | None) -> None:
        look.curves(frames, fraction)
        with self._areas:
            look.areas()


def _interval(settings: Settings, methods: int) -> float:
    """Seconds between two drawings of growing charts: the larger they are, the more seldom."""
    numbers = 2 * settings.steps * len(settings.kinds) * (methods + _LINES_OF_CONTROL)
    return max(polling.SELDOM, numbers / _NUMBERS_PER_SECOND)


def _reporter(
    growing: curves.Growing, sources: Sequence[Source], control: Sequence[Source], settings: Settings
) -> Callable[[], CurveReport]:
    """The report of the curves as they are when it is called; what has not grown since the last call is kept."""
    explanations = {source.name: source.explanation for source in sources}
    names = [source.name for source in control]
    last: CurveReport | None = None

    def report_now() -> CurveReport:
        nonlocal last
        last = curve_report(growing.snapshot(), explanations, names, score=settings.score, before=last)
        return last

    return report_now


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
            messages.again(job, "Continue"),
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
            **links.kept(CHANGED),
        )
    return percent / 100


def _toggle() -> None:
    st.session_state[_PLAYING] = not st.session_state.get(_PLAYING, False)
    if st.session_state[_PLAYING] and st.session_state[CHANGED] >= 100:
        st.session_state[CHANGED] = 0


def _step() -> None:
    st.session_state[CHANGED] = min(100, st.session_state[CHANGED] + _STRIDE)
    st.session_state[_PLAYING] = st.session_state[CHANGED] < 100


class Look:
    """One look at the report.

    Args:
        quantity: the name of what the curves follow, where that is no probability.
    """

    def __init__(self, report: CurveReport, settings: Settings, quantity: str) -> None:
        self._report, self._settings, self._quantity = report, settings, quantity

    def curves(self, frames: Frames, fraction: float | None) -> None:
        """Charts with a mark at the fraction, and what is to be known of them."""
        for warning in self._report.warnings:
            st.warning(warning, icon=":material/warning:")
        with st.container(key="charts"):
            for panel in self._report.panels:
                self._chart(panel, frames, fraction)

    def _chart(self, panel: CurvePanel, frames: Frames, fraction: float | None) -> None:
        """One kind's curves, with the mark at the fraction, and a dot where what is shown was scored."""
        with st.container():
            name = f"{panel.kind.capitalize()}: the {panel.better}, the better the map"
            replaced = f"{_GOES[panel.kind]} {self._settings.replacement(panel.kind)}, the most salient first."
            st.html(f"{style.name_line(name)}{style.quiet(replaced)}")
            keys = [(line.name, panel.kind) for line in panel.lines]
            values = {key[0]: frames[key].value for key in keys if key in frames}
            mark = None if fraction is None else Mark(fraction, values)
            chart = curves_chart(panel, score=self._report.score, mark=mark, beside=self._report.panels)
            # The style sheet knows how high: curves, legend and slider are in sight together at every width.
            charts.show(chart, key=f"chart-{panel.kind}", alt=self._said(panel), height="stretch")
            for warning in panel.warnings:
                st.html(style.notice_line(warning))

    def _axis(self) -> str:
        """What the curves follow."""
        return self._quantity if self._report.score == "value" else AXIS_OF_SCORE[self._report.score]

    def _said(self, panel: CurvePanel) -> str:
        """The chart in words, for those who cannot see it."""
        over = f"{self._axis()} against the share of {AXIS_OF_KIND[panel.kind]}"
        areas = [f"{line.title} {style.decimals(line.area, 3)}" for line in panel.lines if not isnan(line.area)]
        return f"{panel.kind.capitalize()} curves, {over}. Area under the curve: {', '.join(areas) or 'not known yet'}."

    def pictures(self, frames: Frames, fraction: float) -> None:
        """The photos that the curves look at, kind by kind; of the control, those of its first map."""
        for panel in self._report.panels:
            self._pictures(panel, frames, fraction)

    def _pictures(self, panel: CurvePanel, frames: Frames, fraction: float) -> None:
        """The photos side by side, with their scores."""
        kind = panel.kind
        st.html(style.name_line(f"{kind.capitalize()}: {100 * fraction:.0f} % of the pixels {_DONE[kind]}"))
        with st.container(key=f"frames-{kind}"):
            for index, line in enumerate([*panel.lines, *panel.control[:1]]):
                frame = frames[line.name, kind]
                with st.container(key=f"frame-{kind}-{index}"):
                    changed = f"the photo with {100 * fraction:.0f} % of its pixels {_DONE[kind]}"
                    pictures.show(frame.photo, alt=f"{line.title}: {changed}")
                    st.html(
                        f'<div class="cam-tile">{tables.line(line.name)}{line.title}</div>'
                        f'<div class="cam-quiet">{self._scored(frame.value)}</div>'
                    )

    def _scored(self, value: float) -> str:
        if self._report.score == "probability":
            return f"probability {escape(style.percent(value)).replace(' ', '&nbsp;')}"
        return f"{self._quantity} {style.number(value, max(abs(value), 1.0))}"

    def areas(self) -> None:
        """The table of areas under the curves; which line is whose."""
        panels = self._report.panels
        heads = [
            f"{panel.kind.capitalize()} {style.ARROWS[panel.better]} {panel.better} is better <small>mean "
            f"{escape(self._axis())}</small>"
            for panel in panels
        ]
        rows = [
            (legend.label(lines[0].name, lines[0].title), [_area(line) for line in lines])
            for lines in zip(*(panel.lines for panel in panels), strict=True)
        ]
        random = (
            legend.label(CONTROL, f"Random, {len(panels[0].control)} maps"),
            [_control_area(panel) for panel in panels],
        )
        st.html(tables.table(["Area under the curve", *heads], [*rows, random]))
        if said := " ".join(map(_best, panels)).strip():
            st.html(f'<div class="cam-tile">{escape(said)}</div>')
        area = "The area is the mean height of the curve, so that it has the curve’s unit."
        control = "Of the random maps, which know nothing: mean, and lowest to highest."
        st.html(style.quiet(f"{area} {legend.HINT} {control}"))


def files(report: Callable[[], CurveReport], name: str, facts: Facts) -> None:
    """The curves as numbers, and as a figure for print, as they are when they are asked for, in files of that name."""

    def table() -> bytes:
        return provenance.columns(curves_csv(report()), facts)

    def figure() -> Figure:
        from cam_core.figures import curve_figure  # late: see `downloads.figures`

        return curve_figure(report())

    with st.container(horizontal=True, gap="small", key="downloads"):
        said = "Every point: method, kind, fraction, value; where it is from."
        downloads.button("CSV", table, f"{name}.csv", key="download-CSV", help=said)
        said = "Both charts, for print: 174 mm wide."
        downloads.figures(figure, name, provenance.description(facts), key="download", help=said)


def _best(panel: CurvePanel) -> str:
    """Whose curve is best of several that are complete, in a sentence; several where they share the area as written."""
    if len(panel.lines) < 2 or any(isnan(line.area) or not line.complete for line in panel.lines):
        return ""
    best = (max if panel.better == "higher" else min)(panel.lines, key=lambda line: line.area)
    alike = [line.title for line in panel.lines if style.decimals(line.area, 3) == style.decimals(best.area, 3)]
    doubt = f", {_VERDICTS[best.verdict]}" if best.verdict and best.verdict != "better" else ""
    return f"Best by {panel.kind}: {style.listed(alike)}{doubt}."


def _area(line: CurveLine) -> Cell:
    if isnan(line.area):
        return Cell("…")
    if not line.complete:
        return Cell(f"≈ {line.area:.3f}", "so far")
    return Cell(style.decimals(line.area, 3), _VERDICTS[line.verdict] if line.verdict else "")


def _control_area(panel: CurvePanel) -> Cell:
    if panel.spread is None:
        return Cell("…")
    mean, low, high = (style.decimals(area, 3) for area in (panel.spread.mean, panel.spread.low, panel.spread.high))
    so_far = "" if panel.control_complete else "≈ "
    return Cell(f"{so_far}{mean}", f"{low} to {high}")
