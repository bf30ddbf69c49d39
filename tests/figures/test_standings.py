"""The figure of standings: a panel per metric, means and intervals where they belong, at the width asked for."""

from __future__ import annotations

import numpy as np
import pytest

from cam_core.evaluation.statistics import compare_runs
from cam_core.figures import SINGLE_COLUMN, Design, FigureError, encode_figure, standings_figure
from cam_core.palette import method_colour
from tests.evaluation.report.made import DROPS, results

GAINS = {(method, "average-gain"): values for (method, _), values in DROPS.items()}


def test_every_mean_and_interval_is_drawn_in_the_methods_colour() -> None:
    comparisons = compare_runs({"": results(DROPS | GAINS).table})
    figure = standings_figure(comparisons, Design(dpi=60))
    assert len(figure.axes) == 2
    for axes, comparison in zip(figure.axes, comparisons, strict=True):
        assert len(axes.lines) == 2 * len(comparison.standings)
        for place, standing in enumerate(comparison.standings):
            interval = standing.interval
            assert interval is not None
            line, mark = axes.lines[2 * place : 2 * place + 2]
            np.testing.assert_allclose(line.get_xdata(), [interval.low, interval.high])
            np.testing.assert_allclose(mark.get_xdata(), [interval.mean])
            assert line.get_color() == method_colour(standing.column.method)
    full = [mark.get_markerfacecolor() == mark.get_color() for mark in figure.axes[0].lines[1::2]]
    assert full == [True, False, False], "the best alone"
    assert "lower is better" in figure.axes[0].get_xlabel() and "higher is better" in figure.axes[1].get_xlabel()


def test_networks_are_named_over_their_methods() -> None:
    figure = standings_figure(compare_runs({"one": results(DROPS).table, "two": results(DROPS).table}), Design(dpi=60))
    texts = [text.get_text() for text in figure.texts]
    assert texts[:4] == ["one", "Grad-CAM", "LIFT-CAM", "Random (control)"] and texts[4] == "two"
    assert encode_figure(figure, "pdf").startswith(b"%PDF")


def test_the_width_is_that_of_the_design_and_must_hold_something() -> None:
    comparisons = compare_runs({"": results(DROPS | GAINS).table})
    figure = standings_figure(comparisons, Design(width=SINGLE_COLUMN, dpi=60))
    assert figure.get_figwidth() * 25.4 == pytest.approx(SINGLE_COLUMN)
    left, right = (axes.get_position() for axes in figure.axes)
    assert left.x0 == pytest.approx(right.x0), "85 mm hold one panel: the other is below"
    with pytest.raises(FigureError, match="names"):
        standings_figure(comparisons, Design(width=40))
    with pytest.raises(FigureError, match="at least one value"):
        standings_figure(compare_runs({"": results({("grad-cam", "average-drop"): [None]}).table}))
