"""Several methods beside each other in one line, for notebooks and scripts.

compare(clf, photo, ["grad-cam", "lift-cam"])               # a notebook shows the maps side by side
compare(clf, photo, ["grad-cam", "lift-cam"]).figure(Design(width=85))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.figure import Figure
from PIL import Image

from cam_core.analysis.comparison import ComparisonReport, comparison_report
from cam_core.explain import Layer, explain
from cam_core.figures.design import Design, Row
from cam_core.figures.drawings import drawn_html, html_of
from cam_core.figures.grid.explained import native_frame
from cam_core.figures.heatmaps import heatmap_figure
from cam_core.methods import METHODS
from cam_core.models.classifier import Classifier
from cam_core.notebooks.drawn import Drawn
from cam_core.targets.asking import Target
from cam_core.types import Explanation

_SCREEN: Final = Design(width=150, dpi=96)


@dataclass(frozen=True)
class Comparison(Drawn):
    """Maps of one image side by side.

    Attributes:
        row: the photo as the network saw it, and the maps.
        report: how far they agree, and the most probable classes.
    """

    row: Row
    report: ComparisonReport

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """In the order asked for."""
        return self.report.maps

    def figure(self, design: Design | None = None) -> Figure:
        """Maps over the photo, for print: see `cam_core.figures.encode_figure`."""
        return heatmap_figure([self.row], design)


def compare(
    clf: Classifier,
    image: Image.Image,
    methods: Sequence[str],
    *,
    layer: Layer = None,
    target: Target = None,
    seed: int = 0,
    precision: str = "float32",
    params: Mapping[str, Mapping[str, Any]] | None = None,
) -> Comparison:
    """One class of one image by several methods.

    Args:
        methods: keys of `METHODS`.
        layer, target, seed, precision: as of `explain`; a method over several layers takes its own choice of them.
        params: parameters of methods, by key.
    Raises:
        CamError: as of `explain`.
    Examples:
        >>> from cam_core import SAMPLES, compare, load_model
        >>> beside = compare(load_model("efficientnet_lite0"), SAMPLES[0].open(), ["grad-cam", "lift-cam"])
        >>> [explanation.method for explanation in beside.explanations]
        ['grad-cam', 'lift-cam']
        >>> [(first, second) for first, second, correlation in beside.report.pairs]
        [('Grad-CAM', 'LIFT-CAM')]
    """
    if target is None:
        target = clf.predict(image)[0].index  # decided once, so that all explain the same one
    explanations = [
        explain(
            clf,
            image,
            method=method,
            layer=None if METHODS[method].multi_layer else layer,
            target=target,
            seed=seed,
            precision=precision,
            **(params or {}).get(method, {}),
        )
        for method in methods
    ]
    told = explanations[0].target if explanations else ""
    return Comparison(
        row_of(clf, image, explanations), comparison_report(explanations, clf.predict(image, top=None), told)
    )


def row_of(clf: Classifier, image: Image.Image, explanations: Sequence[Explanation]) -> Row:
    """The maps over the part of the image that the network sees, in the image's own resolution."""
    return Row(native_frame(clf.preprocessing, image), explanations)


@html_of.register
def _(comparison: Comparison) -> str:
    warnings = [f"{title}: {warning}" for title, made in _titled(comparison) for warning in made.warnings]
    agreement = [
        f"{first} and {second}: rank correlation {correlation:z.2f}"
        for first, second, correlation in comparison.report.pairs
    ]
    return drawn_html(comparison.figure(_SCREEN), [*agreement, *warnings])


def _titled(comparison: Comparison) -> Sequence[tuple[str, Explanation]]:
    return list(zip(comparison.report.titles, comparison.report.maps, strict=True))
