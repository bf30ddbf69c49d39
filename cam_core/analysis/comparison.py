"""The report of several maps of one image side by side: how far they agree, how they are drawn, and the top classes.

    report = comparison_report(explanations, clf.predict(image, top=None), target)
    report.agreement[0][1], report.top[0].probability

Plain data: the page and the command line only format it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from cam_core.analysis.agreement import rank_agreement, similarity_order
from cam_core.methods import is_signed, title_of
from cam_core.models.classifier import Prediction
from cam_core.overlay import Limits, display_values, limits, percentiles
from cam_core.types import Explanation, FloatArray

_TOP: Final = 5  # classes


@dataclass(frozen=True)
class ComparisonReport:
    """The report of the maps of one image and class.

    Attributes:
        target: the explained class, or another target as it is written.
        top: the most probable classes, and the explained one where it is none of them.
        maps: in the order in which they stand side by side.
        titles: their methods' names as people write them.
        agreement: (n, n), as of `rank_agreement`; None where there are not two maps to agree.
        order: the maps' places, those that agree side by side.
    """

    target: int | str
    top: tuple[Prediction, ...]
    maps: tuple[Explanation, ...]
    titles: tuple[str, ...]
    agreement: FloatArray | None
    order: tuple[int, ...]

    @property
    def pairs(self) -> list[tuple[str, str, float]]:
        """Titles of every two maps, and how far they agree."""
        if self.agreement is None:
            return []
        places = combinations(range(len(self.maps)), 2)
        return [(self.titles[i], self.titles[j], float(self.agreement[i, j])) for i, j in places]


@dataclass(frozen=True)
class DrawnMap:
    """A map as it is drawn.

    Attributes:
        values: (H, W) in the map's own unit.
        signed: whether what speaks against the class is drawn too.
        limits: the values at the two ends of its colour bar.
        unit: of the values where they are not the map's own: " %" of ranks.
    """

    values: FloatArray
    signed: bool
    limits: Limits
    unit: str = ""

    @property
    def largest(self) -> float:
        """How far from 0 its values go."""
        return float(np.abs(self.values).max())


def comparison_report(
    explanations: Sequence[Explanation], predictions: Sequence[Prediction], target: int | str
) -> ComparisonReport:
    """The report of the maps that there are by now, which may be none.

    Args:
        explanations: all of one image and class.
        predictions: of all classes, most probable first.
        target: index of the explained class, or another target as it is written.
    """
    top = predictions[:_TOP]
    explained = [prediction for prediction in predictions[_TOP:] if prediction.index == target]
    agreement = rank_agreement([over_photo(made) for made in explanations]) if len(explanations) > 1 else None
    return ComparisonReport(
        target,
        (*top, *explained),
        tuple(explanations),
        tuple(title_of(explanation.method) for explanation in explanations),
        agreement,
        tuple(range(len(explanations)) if agreement is None else similarity_order(agreement)),
    )


def over_photo(made: Explanation) -> FloatArray:
    """The raw map (h, w), or as much of it as lies over the photo and not over padding."""
    if made.part is None:
        return made.map
    left, top, right, bottom = made.part
    height, width = made.map.shape
    size = max(1, round(height * (bottom - top))), max(1, round(width * (right - left)))
    return display_values(made.map, size, signed=True, part=made.part)


def drawn_maps(
    explanations: Sequence[Explanation],
    size: tuple[int, int],
    *,
    signed: bool = False,
    shared: bool = False,
    ranked: bool = False,
) -> list[DrawnMap]:
    """The maps as they are drawn side by side.

    Args:
        size: (H, W) of the picture.
        signed: draw those with their sign whose methods have signs.
        shared: one range for all maps of a kind (with sign or without) instead of each its own.
        ranked: percentiles of each map's own values in their place, as of `percentiles`, which have one range anyway.
    """
    signs = [signed and is_signed(explanation) for explanation in explanations]
    values = [
        display_values(made.map, size, signed=sign, part=made.part)
        for made, sign in zip(explanations, signs, strict=True)
    ]
    if ranked:
        ends = {False: (0.0, 100.0), True: (-100.0, 100.0)}
        return [DrawnMap(percentiles(drawn), sign, ends[sign], " %") for drawn, sign in zip(values, signs, strict=True)]
    kinds = {kind: [drawn for drawn, sign in zip(values, signs, strict=True) if sign == kind] for kind in signs}
    return [
        DrawnMap(drawn, sign, limits(kinds[sign] if shared else [drawn], signed=sign))
        for drawn, sign in zip(values, signs, strict=True)
    ]
