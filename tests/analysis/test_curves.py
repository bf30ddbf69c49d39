"""The report of curves: by hand on curves of three points, complete and growing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cam_core import METHODS, Explanation
from cam_core.analysis import curves as analysed
from cam_core.analysis.curves import CurveReport, curve_report, curves_csv
from cam_core.metrics.curves.perturbation import Kind
from cam_core.metrics.curves.points import Curve, CurvePoint, Curves
from cam_core.types import IMPROBABLE

MAP = np.ones((2, 2), dtype=np.float32)


def explanation(method: str, probability: float = 0.9) -> Explanation:
    return Explanation(method, "tiny", "conv", 3, "cat", 5.0, probability, MAP, MAP)


def curve(name: str, kind: Kind, values: dict[int, float], total: int = 3) -> Curve:
    made = Curve(name, kind)
    for index, value in values.items():
        made.add(CurvePoint(name, kind, index, total, index / (total - 1), value))
    return made


def gathered(*curves: Curve) -> Curves:
    return {(one.name, one.kind): one for one in curves}


MAPS = {"grad-cam": explanation("grad-cam"), "lift-cam": explanation("lift-cam"), "cam": explanation("cam")}
CONTROL = ("random (seed 0)", "random (seed 1)")


def both_kinds() -> Curves:
    """Areas of the control 0.5 and 0.7 by deletion; an area is v₀/4 + v₁/2 + v₂/4."""
    deletion = [
        curve("grad-cam", "deletion", {0: 0.8, 1: 0.2, 2: 0.0}),  # 0.3
        curve("lift-cam", "deletion", {0: 0.8, 1: 0.8, 2: 0.0}),  # 0.6
        curve("cam", "deletion", {0: 0.8, 1: 0.8, 2: 0.8}),  # 0.8
        curve(CONTROL[0], "deletion", {0: 0.8, 1: 0.6, 2: 0.0}),  # 0.5
        curve(CONTROL[1], "deletion", {0: 0.8, 1: 1.0, 2: 0.0}),  # 0.7
    ]
    insertion = [replace(one.snapshot(), kind="insertion") for one in deletion]
    return gathered(*deletion, *insertion)


def test_areas_and_verdicts_by_hand() -> None:
    report = curve_report(both_kinds(), MAPS, CONTROL)
    deletion, insertion = report.panels
    assert [(panel.kind, panel.better) for panel in report.panels] == [("deletion", "lower"), ("insertion", "higher")]
    for panel in report.panels:
        assert [line.name for line in panel.lines] == list(MAPS)
        assert [line.title for line in panel.lines] == [METHODS[name].title for name in MAPS]
        assert [line.area for line in panel.lines] == pytest.approx([0.3, 0.6, 0.8])
        assert [line.area for line in panel.control] == pytest.approx([0.5, 0.7])
        assert panel.control_complete
    assert [line.verdict for line in deletion.lines] == ["better", "within", "worse"]
    assert [line.verdict for line in insertion.lines] == ["worse", "within", "better"]


def test_band_and_spread_are_the_control_s() -> None:
    panel = curve_report(both_kinds(), MAPS, CONTROL).panels[0]
    assert panel.band is not None and panel.spread is not None
    assert panel.band.fractions.tolist() == [0.0, 0.5, 1.0]
    assert panel.band.low.tolist() == [0.8, 0.6, 0.0] and panel.band.high.tolist() == [0.8, 1.0, 0.0]
    assert panel.band.mean.tolist() == pytest.approx([0.8, 0.8, 0.0])
    spread = panel.spread
    assert (spread.mean, spread.low, spread.high, spread.count) == pytest.approx((0.6, 0.5, 0.7, 2))


def test_what_grows_has_an_area_so_far_and_no_verdict() -> None:
    curves = gathered(
        curve("grad-cam", "deletion", {0: 0.8}),
        curve("lift-cam", "deletion", {2: 0.0, 0: 0.8}),
        curve(CONTROL[0], "deletion", {0: 0.8, 2: 0.2}),
    )
    one, two = MAPS["grad-cam"], MAPS["lift-cam"]
    (panel,) = curve_report(curves, {"grad-cam": one, "lift-cam": two}, CONTROL[:1]).panels
    first, second = panel.lines
    assert math.isnan(first.area) and first.values.tolist() == [0.8]
    assert second.area == pytest.approx(0.4) and second.fractions.tolist() == [0.0, 1.0]
    assert not first.complete and not second.complete and first.verdict is second.verdict is None
    assert panel.spread is not None and panel.spread.mean == pytest.approx(0.5) and not panel.control_complete


def test_without_a_control_there_is_no_verdict() -> None:
    (panel,) = curve_report(gathered(curve("cam", "deletion", {0: 1.0, 1: 0.0, 2: 0.0})), {"cam": MAPS["cam"]}).panels
    assert panel.band is None and panel.spread is None and panel.control == ()
    assert panel.lines[0].complete and panel.lines[0].verdict is None


def test_a_curve_without_points_is_there() -> None:
    (panel,) = curve_report(gathered(Curve("cam", "insertion")), {"cam": MAPS["cam"]}).panels
    assert panel.kind == "insertion" and panel.lines[0].values.size == 0 and math.isnan(panel.lines[0].area)


@pytest.mark.parametrize(("left", "warned"), [(0.45, True), (0.4, False)])
def test_a_baseline_that_keeps_the_class_is_warned_of_with_the_rule(left: float, warned: bool) -> None:
    """Of 0.8, 0.45 is 56 % and 0.4 is 50 %, which is not above 50 %."""
    curves = gathered(curve("cam", "deletion", {0: 0.8, 1: 0.5, 2: left}))
    (panel,) = curve_report(curves, {"cam": MAPS["cam"]}).panels
    assert bool(panel.warnings) == warned
    assert not warned or "56 % of the probability is still there. Above 50 %" in panel.warnings[0]
    assert curve_report(curves, {"cam": MAPS["cam"]}, score="logit").panels[0].warnings == ()


@pytest.mark.parametrize(("probability", "warned"), [(0.0099, True), (IMPROBABLE, False)])
def test_an_improbable_class_is_warned_of_with_the_rule(probability: float, warned: bool) -> None:
    curves = gathered(curve("cam", "deletion", {0: 0.8}))
    warnings = curve_report(curves, {"cam": explanation("cam", probability)}).warnings
    assert bool(warnings) == warned
    assert not warned or "gives cat a probability of 0.99 %. Below 1 % there is next to nothing" in warnings[0]


def test_only_what_has_grown_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Kind] = []
    original = analysed._panel
    monkeypatch.setattr(analysed, "_panel", lambda kind, *rest: built.append(kind) or original(kind, *rest))
    curves = both_kinds()
    del curves["cam", "insertion"].points[1]
    before = curve_report(curves, MAPS, CONTROL)
    assert built == ["deletion", "insertion"]
    same = curve_report(curves, MAPS, CONTROL, before=before)
    assert built == ["deletion", "insertion"] and same.panels == before.panels
    curves["cam", "insertion"].add(CurvePoint("cam", "insertion", 1, 3, 0.5, 0.8))
    after = curve_report(curves, MAPS, CONTROL, before=same)
    assert built == ["deletion", "insertion", "insertion"]
    assert after.panels[0] is before.panels[0] and after.panels[1].lines[2].area == pytest.approx(0.8)


def test_csv_has_every_known_point() -> None:
    growing = curve("cam", "deletion", {2: 0.2, 0: 0.8, 1: 0.2})
    report: CurveReport = curve_report(
        gathered(growing, curve(CONTROL[0], "deletion", {0: 0.8})), {"cam": MAPS["cam"]}, CONTROL[:1]
    )
    assert curves_csv(report).decode().splitlines() == [
        "method,kind,fraction,value",
        "cam,deletion,0.0,0.8",
        "cam,deletion,0.5,0.2",
        "cam,deletion,1.0,0.2",
        "random (seed 0),deletion,0.0,0.8",
    ]


def test_the_csv_of_an_untrained_network_names_it() -> None:
    growing = curve("cam", "deletion", {0: 0.8, 1: 0.2})
    report = curve_report(gathered(growing), {"cam": replace(MAPS["cam"], trained=False)})
    assert curves_csv(report).decode().splitlines() == [
        "method,kind,fraction,value,network",
        "cam,deletion,0.0,0.8,tiny",
        "cam,deletion,0.5,0.2,tiny",
    ]
