"""The report of deletion and insertion curves: the lines, the random control's band, areas, verdicts, doubts.

    report = curve_report(curves, {"grad-cam": explanation}, control)
    report.panels[0].lines[0].area, report.panels[0].lines[0].verdict

Curves may still be growing: the report says what is known of them by now.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cam_core.methods import METHODS, title_of
from cam_core.metrics import METRICS
from cam_core.metrics.base import Direction, Values
from cam_core.metrics.curves.perturbation import KINDS, Kind
from cam_core.metrics.curves.points import Curve, Curves
from cam_core.metrics.curves.spread import CONTROL, Band, Spread, Verdict, band, left_at_baseline, spread
from cam_core.notebooks.drawn import Drawn
from cam_core.numbers import significant
from cam_core.types import IMPROBABLE, Explanation

_TOO_MUCH_LEFT: Final = 0.5
"""Of the untouched image's probability: where the baseline keeps more, its curves have little to show."""


@dataclass(frozen=True)
class CurveLine:
    """One curve as far as it is known.

    Attributes:
        name, title: of the map, or of the control's map.
        fractions, values: (n,) of the known points, by ascending fraction.
        complete: whether every point is there, so that the area is final.
        area: under the known points; NaN before the second.
        verdict: how the area stands to the control's areas; None while the curve grows, and where there is no control.
    """

    name: str
    title: str
    fractions: Values
    values: Values
    complete: bool
    area: float
    verdict: Verdict | None = None


@dataclass(frozen=True)
class CurvePanel:
    """All curves of one kind.

    Attributes:
        lines: one per map, in the order of the maps.
        control: one per random map.
        band, spread: of the control's curves and of their areas; None while they are unknown.
        warnings: what to know before trusting these curves, one sentence each.
    """

    kind: Kind
    lines: tuple[CurveLine, ...] = ()
    control: tuple[CurveLine, ...] = ()
    band: Band | None = None
    spread: Spread | None = None
    warnings: tuple[str, ...] = ()

    @property
    def better(self) -> Direction:
        """Which areas are the better ones."""
        return METRICS[f"{self.kind}-auc"].direction

    @property
    def control_complete(self) -> bool:
        """Whether the control's band and spread are final."""
        return all(line.complete for line in self.control)


@dataclass(frozen=True)
class CurveReport(Drawn):
    """The report of the curves of one image.

    Attributes:
        score: "probability" or "logit", as the curves have it; "value" of a target that is neither.
        panels: one per kind, with the same maps in the same order.
        warnings: what to know before trusting any of the curves, one sentence each.
        untrained: the network's name where it has learnt nothing, else "".
    """

    score: str
    panels: tuple[CurvePanel, ...]
    warnings: tuple[str, ...] = ()
    untrained: str = ""


def curve_report(
    curves: Curves,
    explanations: Mapping[str, Explanation],
    control: Collection[str] = (),
    *,
    score: str = "probability",
    before: CurveReport | None = None,
) -> CurveReport:
    """The report of the curves as they are now.

    Args:
        curves: of all maps and of the control, complete or not, by name and kind.
        explanations: the maps by name, all of one image and class.
        control: names of the random control's curves.
        score: what the curves follow.
        before: an earlier report of the same curves: panels in which no curve has grown are taken from it.
    """
    first = next(iter(explanations.values()), None)
    score = _followed(first, score)
    earlier = {panel.kind: panel for panel in before.panels} if before is not None else {}
    titles = {name: title_of(explanation.method) for name, explanation in explanations.items()}
    panels = []
    for kind in sorted({kind for _, kind in curves}, key=KINDS.index):
        maps, random = ([curves[name, kind] for name in names] for names in (titles, control))
        known = earlier.get(kind)
        panels.append(known if known and _is_of(known, maps, random) else _panel(kind, maps, random, titles, score))
    untrained = "" if first is None or first.trained else first.model
    return CurveReport(score, tuple(panels), tuple(_improbable(first)), untrained)


def curves_csv(report: CurveReport) -> bytes:
    """The known points of all curves in UTF-8: method, kind, fraction, value; and a network that has learnt nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    untrained = (report.untrained,) if report.untrained else ()
    writer.writerow(("method", "kind", "fraction", "value", *(("network",) if untrained else ())))
    for panel in report.panels:
        for line in (*panel.lines, *panel.control):
            points = zip(line.fractions.tolist(), line.values.tolist(), strict=True)
            writer.writerows((line.name, panel.kind, x, y, *untrained) for x, y in points)
    return text.getvalue().encode()


def _followed(explanation: Explanation | None, score: str) -> str:
    """What the curves have, asked to follow `score`: of a target that is no class its own value."""
    if explanation is None or isinstance(explanation.target, int):
        return score
    return "value" if explanation.probability is None else "probability"


def _is_of(panel: CurvePanel, maps: Sequence[Curve], random: Sequence[Curve]) -> bool:
    known = [(line.name, len(line.values)) for line in (*panel.lines, *panel.control)]
    return known == [(curve.name, len(curve.points)) for curve in (*maps, *random)]


def _panel(
    kind: Kind, maps: Sequence[Curve], random: Sequence[Curve], titles: Mapping[str, str], score: str
) -> CurvePanel:
    areas = spread(random)
    return CurvePanel(
        kind,
        tuple(_line(curve, titles[curve.name], areas) for curve in maps),
        tuple(_line(curve, METHODS[CONTROL].title) for curve in random),
        band(random) if random else None,
        areas,
        tuple(_kept_by_baseline(maps[0])) if maps and score == "probability" else (),
    )


def _line(curve: Curve, title: str, control: Spread | None = None) -> CurveLine:
    area = curve.auc
    verdict = control.verdict(area, curve.kind) if control is not None and curve.complete else None
    return CurveLine(curve.name, title, curve.fractions, curve.values, curve.complete, area, verdict)


def _kept_by_baseline(curve: Curve) -> list[str]:
    left = left_at_baseline(curve)
    if left is None or left <= _TOO_MUCH_LEFT:
        return []
    return [
        f"With every pixel replaced, {100 * left:.0f} % of the probability is still there. Above "
        f"{100 * _TOO_MUCH_LEFT:.0f} % these curves have little to show: let a pixel become something else."
    ]


def _improbable(explanation: Explanation | None) -> list[str]:
    if explanation is None or explanation.probability is None or explanation.probability >= IMPROBABLE:
        return []
    return [
        f"The network gives {explanation.label} a probability of "
        f"{significant(100 * explanation.probability, 2)} %. Below "
        f"{100 * IMPROBABLE:.0f} % there is next to nothing to lose: deletion curves and drops say little. Choose a "
        "more probable class, or follow the logit."
    ]
