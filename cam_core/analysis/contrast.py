"""Why A and not B? The report of two classes' maps, of their difference, and of where all of them lie.

    report = class_contrast(of_a, of_b, explain(clf, image, target=Difference(a, b)), regions)
    report.difference, report.correlation, report.notice, report.shares["a"][0].share

Plain data: the page, the command line and the figure only format it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
import torch

from cam_core.analysis.agreement import rank_agreement
from cam_core.analysis.comparison import DrawnMap, drawn_maps, over_photo
from cam_core.methods import METHODS
from cam_core.methods.finer_cam import nearest_classes
from cam_core.metrics.ground_truth import Region
from cam_core.models.classifier import Prediction
from cam_core.overlay import display_values, limits
from cam_core.types import Explanation, FloatArray, Part, Picture, TargetError

ALIKE: Final = 0.95
"""Rank correlation from which on two maps are called nearly the same, and below whose negative they are opposite."""

_ROUNDING: Final = 1e-3
"""Of the largest value: maps that differ by less are the same."""

MapPart: TypeAlias = Literal["a", "b", "contrast for a", "contrast for b"]
"""Whose positive energy: of the map of A, of B, of what speaks for A rather than B in the contrast, and the reverse."""


@dataclass(frozen=True)
class RegionShare:
    """How much of a map lies in one region.

    Attributes:
        classes: the names under which the object there is known.
        share: Σ max(L, 0) inside / Σ max(L, 0) everywhere, L the map at the size of the network's input; NaN where the
            map is nowhere positive.
        area: the region's share of the picture, which is what an even map would have.
    """

    classes: tuple[str, ...]
    share: float
    area: float


@dataclass(frozen=True)
class Contrast:
    """The report of one method's maps of two classes.

    Attributes:
        method: its key.
        a, b: the maps of the two classes.
        between: the map of the logit difference A − B itself; None where there is none (yet).
        difference: (h, w), the map of A less that of B, in the method's unit.
        correlation: Spearman's rank correlation of the two maps; NaN where one of them is constant.
        notice: why the two maps are nearly the same, or opposite, or one of them is empty; "" where there is nothing to
            say.
        shares: for each region, in the order given, by the part of the maps; no entry where regions are unknown.
    """

    method: str
    a: Explanation
    b: Explanation
    between: Explanation | None
    difference: FloatArray
    correlation: float
    notice: str
    shares: Mapping[MapPart, tuple[RegionShare, ...]]

    @property
    def title(self) -> str:
        """The method's name as people write it."""
        return METHODS[self.method].title

    @property
    def parts(self) -> dict[MapPart, str]:
        """The parts of the maps as people call them."""
        a, b = self.a.label, self.b.label
        return {"a": a, "b": b, "contrast for a": f"{a} rather than {b}", "contrast for b": f"{b} rather than {a}"}

    @property
    def contrast(self) -> FloatArray:
        """(h, w), the map of the logit difference, or where there is none the difference of the maps."""
        return self.difference if self.between is None else self.between.map

    @property
    def largest(self) -> dict[MapPart, float]:
        """The largest value of each part, in the method's unit; at most 0 where it is nowhere positive."""
        return {part: float(raw.max()) for part, raw in _parts(self.a.map, self.b.map, self.contrast).items()}

    @property
    def deviation(self) -> float | None:
        """How far the map of the difference is from the difference of the maps, as a share of the largest value.

        0 for a method that is linear in the score; None where there is no such map.
        """
        if self.between is None:
            return None
        largest_value = max(_extent(self.between.map), _extent(self.difference))
        return _extent(self.between.map - self.difference) / largest_value if largest_value else 0.0

    @property
    def linear(self) -> bool:
        """Whether the map of the difference is the difference of the maps, to rounding."""
        return self.deviation is not None and self.deviation <= _ROUNDING


def class_contrast(
    a: Explanation, b: Explanation, between: Explanation | None = None, regions: Sequence[Region] = ()
) -> Contrast:
    """The report of the maps of A and of B by one method.

    Args:
        between: of the target A − B, by the same method.
        regions: objects whose places are known, in pixels of the network's input.
    Raises:
        TargetError: A and B are the same class.
    """
    check_classes(a.target, b.target, a.label)
    correlation = float(rank_agreement([over_photo(a), over_photo(b)])[0, 1])
    parts = _parts(a.map, b.map, a.map - b.map if between is None else between.map)
    return Contrast(
        a.method,
        a,
        b,
        between,
        a.map - b.map,
        correlation,
        _notice(a, b, correlation),
        MappingProxyType(
            {part: region_shares(raw, regions, a.picture) for part, raw in parts.items()} if regions else {}
        ),
    )


def _parts(a: FloatArray, b: FloatArray, contrast: FloatArray) -> dict[MapPart, FloatArray]:
    return {"a": a, "b": b, "contrast for a": contrast, "contrast for b": -contrast}


def check_classes(a: int | str, b: int | str, label: str) -> None:
    """Refuse to set a class against itself.

    Raises:
        TargetError: the two are the same.
    """
    if a == b:
        raise TargetError(f"A and B are the same class, {label}: choose two different ones")


def region_shares(
    raw: FloatArray, regions: Sequence[Region], picture: Picture | None = None
) -> tuple[RegionShare, ...]:
    """Of the positive part of a raw map (h, w), the share in each region; regions may overlap.

    Args:
        picture: the part of the network's input that shows the photo: what lies over padding is not counted. All of it
            for None.
    """
    return tuple(_region_share(raw, region, picture) for region in regions)


def _region_share(raw: FloatArray, region: Region, picture: Picture | None) -> RegionShare:
    height, width = region.mask.shape
    left, top, right, bottom = picture or (0, 0, width, height)
    photo = slice(top, bottom), slice(left, right)
    values, mask = display_values(raw, (height, width))[photo], region.mask[photo]
    whole = float(values.sum(dtype=np.float64))
    share = float(values[mask].sum(dtype=np.float64)) / whole if whole > 0 else math.nan
    return RegionShare(region.classes, share, float(mask.mean()))


def _extent(raw: FloatArray) -> float:
    return float(np.abs(raw).max())


def _notice(a: Explanation, b: Explanation, correlation: float) -> str:
    """What the reader should know before reading anything into the difference."""
    title = METHODS[a.method].title
    if not METHODS[a.method].class_specific:
        return f"{title} does not look at the class: it gives every class the same map, and the difference is empty."
    flat = [made for made in (a, b) if np.ptp(made.map) == 0]
    if flat:
        return _flat_notice(flat)
    if correlation >= ALIKE:
        return f"{title} gives {a.label} and {b.label} nearly the same map. Likely reason: {_reason(a, b)}"
    if correlation <= -ALIKE:
        return (
            f"The two maps are each other’s opposite: what speaks for {a.label} speaks against {b.label}. Where a "
            "network has two classes only, or one output, it must be so."
        )
    return ""


def _flat_notice(flat: Sequence[Explanation]) -> str:
    if len(flat) == 2:
        return "Both maps are the same everywhere: the method finds no place that counts for either class."
    value = "0" if not flat[0].map.any() else "the same"
    return (
        f"The map of {flat[0].label} is {value} everywhere: no place counts for it more than another, and the "
        "difference shows the other map alone."
    )


def _reason(a: Explanation, b: Explanation) -> str:
    """Why a method that looks at the class gives both nearly the same map."""
    if a.coefficients is not None and len(a.coefficients) == 1:
        return "the layer has a single channel, and every map is that channel times a number."
    if _extent(a.map - b.map) <= _ROUNDING * max(_extent(a.map), _extent(b.map)):
        return "from this layer on, the network treats the two classes alike."
    if not METHODS[a.method].signed:
        return (
            "it keeps what speaks for a class and drops what speaks against it, and much of what speaks for one of "
            "these speaks for the other as well. The contrast shows what does not."
        )
    return (
        "the network takes the same channels as evidence for both, as it does for look-alikes. The contrast, on a "
        "scale of its own, shows what is left between them."
    )


@dataclass(frozen=True)
class DrawnContrast:
    """The maps of a `Contrast` as they are drawn: A and B on one scale, what is between them centred at 0.

    Attributes:
        a, b: with their sign where the method has signs.
        difference, between: signed, each on its own scale; `between` is None where the contrast has none.
    """

    a: DrawnMap
    b: DrawnMap
    difference: DrawnMap
    between: DrawnMap | None


def drawn_contrast(contrast: Contrast, size: tuple[int, int]) -> DrawnContrast:
    """The maps at the size (H, W) of the picture."""
    a, b = drawn_maps([contrast.a, contrast.b], size, signed=True, shared=True)
    between = None if contrast.between is None else _centred(contrast.between.map, size, contrast.between.part)
    return DrawnContrast(a, b, _centred(contrast.difference, size, contrast.a.part), between)


def _centred(raw: FloatArray, size: tuple[int, int], part: Part | None) -> DrawnMap:
    values = display_values(raw, size, signed=True, part=part)
    return DrawnMap(values, True, limits([values], signed=True))


def opposing_class(predictions: Sequence[Prediction], target: int, regions: Sequence[Region] = ()) -> int:
    """The class to set against `target` where none was named: the most probable one of another object of the photo.

    Where the photo's objects are unknown, or `target` is none of theirs: the most probable other class.

    Args:
        predictions: of all classes, most probable first; at least two.
    """
    label = next(prediction.label for prediction in predictions if prediction.index == target)
    elsewhere = {name for region in regions if label not in region.classes for name in region.classes}
    others = [prediction for prediction in predictions if prediction.index != target]
    here = any(label in region.classes for region in regions)
    return next((other for other in others if here and other.label in elsewhere), others[0]).index


def nearest_labels(predictions: Sequence[Prediction], target: int, count: int) -> list[str]:
    """The classes whose logits are nearest to the target's: those that Finer-CAM sets it apart from."""
    by_index = {prediction.index: prediction for prediction in predictions}
    logits = torch.tensor([[by_index[index].logit for index in range(len(by_index))]])
    return [by_index[int(index)].label for index in nearest_classes(logits, torch.tensor([target]), count)[0]]
