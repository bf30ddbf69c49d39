"""Bars of Shapley values with standard errors for print, and what methods say of the same channels below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cam_core.analysis.channels import ChannelReport
from cam_core.figures.design import Design, FigureError
from cam_core.figures.output import drawing
from cam_core.figures.text import INCH, POINT, UNTRAINED, leading, wrapped
from cam_core.methods import title_of
from cam_core.metrics.base import Values
from cam_core.palette import INK, REFERENCE, SHAPES, evidence_colour, style_of

_MARKS: Final = dict(zip(SHAPES, "oDsP^X*pv", strict=True))  # by their name in plotly
_PANEL = 42.0  # millimetres: height of one panel
_NUMBERS = 5  # lines of small text: as wide as what stands left of the axes
_SLIMMEST = 1.6  # millimetres: the least width that one channel takes


def channel_figure(report: ChannelReport, count: int = 20, design: Design | None = None) -> Figure:
    """The `count` largest φ ± standard error; below, coefficients on one scale where there are any.

    What speaks against the class is below zero and hatched. Coefficients are scaled to an L2 norm of 1 over all
    channels, since their units differ.

    Args:
        design: its width and font size count.
    Raises:
        FigureError: no channel, or more than the width holds.
    """
    design = design or Design()
    shown = report.order[:count]
    if not shown:
        raise FigureError(f"a figure needs at least one channel, not {count}")
    if design.width / len(shown) < _SLIMMEST:
        most = int(design.width / _SLIMMEST)
        raise FigureError(f"{len(shown)} channels do not fit into {design.width:g} mm: {most} is the most")
    scaled = report.scaled(shown, "coefficients")
    panels = 2 if scaled else 1
    with drawing():
        height = panels * _PANEL + 4 * design.font_size * POINT
        figure = Figure(figsize=(design.width / INCH, height / INCH), dpi=design.dpi, layout="constrained")
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        for panel in axes:
            _plain(panel, design)
        _shapley(axes[0], report, shown, design)
        if scaled:
            _methods(axes[1], scaled, design)
        axes[-1].set_xticks(range(len(shown)), [str(channel) for channel in shown])
        axes[-1].set_xlabel(f"channel of {report.layer}", fontsize=design.small)
        if design.width / len(shown) < 5:
            axes[-1].tick_params(axis="x", rotation=90)
        return figure


def _plain(axes: Axes, design: Design) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=1.5, width=0.4, pad=1.2, labelsize=design.small)
    axes.axhline(0, color="black", linewidth=0.4)
    axes.margins(x=0.01)


def _shapley(axes: Axes, report: ChannelReport, shown: Sequence[int], design: Design) -> None:
    phi, stderr = report.phi[list(shown)], report.stderr[list(shown)]
    known = np.where(np.isfinite(stderr), stderr, 0.0)
    bars = axes.bar(
        range(len(shown)),
        phi,
        width=0.75,
        yerr=None if report.exact else known,
        color=[evidence_colour(value) for value in phi],
        error_kw={"elinewidth": 0.6, "capsize": 1.2, "capthick": 0.6},
    )
    for bar, value in zip(bars, phi, strict=True):
        if value < 0:
            bar.set(hatch="/////", edgecolor="white", linewidth=0)
    axes.set_ylabel(f"φ, {report.measure.unit}", fontsize=design.small)
    errors = "exact" if report.exact else f"±\u00a0standard error, {report.estimator}, {report.passes} passes"
    network = "" if report.trained else f", {UNTRAINED}"
    title = f"{report.label}: SHAP values ({errors}){network}"
    room = design.width - _NUMBERS * leading(design.small)
    title = "\n".join(wrapped(title, room, design.font_size))
    axes.set_title(title, fontsize=design.font_size, loc="left")


def _methods(axes: Axes, scaled: Mapping[str, Values], design: Design) -> None:
    places = np.arange(len(next(iter(scaled.values()))))
    for name, values in scaled.items():
        colour, _, shape = style_of(name)
        if name == REFERENCE:
            axes.bar(places, values, width=0.75, color=colour, alpha=0.45, label=title_of(name))
            continue
        axes.plot(
            places,
            values,
            linestyle="none",
            label=title_of(name),
            color=colour,
            marker=_MARKS[shape],
            markersize=design.small / 2,
            markeredgecolor=INK,
            markeredgewidth=0.3,
        )
    axes.set_ylabel("unit L2 norm", fontsize=design.small)
    handles, labels = axes.get_legend_handles_labels()
    titles = [title_of(name) for name in scaled]
    order = sorted(range(len(labels)), key=lambda number: titles.index(labels[number]))
    axes.legend(
        [handles[number] for number in order],
        [labels[number] for number in order],
        fontsize=design.small,
        frameon=False,
        ncols=max(1, int(design.width / 30)),
        handlelength=1.2,
        borderpad=0,
        loc="lower left",
        bbox_to_anchor=(0, 1),
    )
