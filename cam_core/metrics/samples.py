"""The input of metrics: images, the map of each, the class it explains, and whatever else a metric may need."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core.explain import explain
from cam_core.forward import as_images, class_indices
from cam_core.maps import within
from cam_core.masked import class_score
from cam_core.methods import METHODS
from cam_core.metrics.ground_truth import Region
from cam_core.metrics.scoring import exact_logits
from cam_core.models.classifier import Classifier
from cam_core.models.devices import double
from cam_core.models.split.model import SplitModel
from cam_core.numbers import significant
from cam_core.targets.asking import ClassTarget, Target, one_question, resolve
from cam_core.types import ClassIndex, Explanation, FloatArray, Images, Logits, MetricError, Picture

Saliency: TypeAlias = Any
"""A map (H, W) in [0, 1] at the size of the network's input, of whatever origin: NumPy, torch, nested lists, or an
`Explanation`, which also says which class it explains and how to have it made again."""
ExplainAgain: TypeAlias = Callable[[Tensor], Saliency]
"""A normalised image (channels, H, W) → its map, for the same class."""
ExplainWith: TypeAlias = Callable[[Classifier], Saliency]
"""Another network of the same architecture → the map of the same image for the same class."""
GroundTruth: TypeAlias = Any
"""A `Region`, a boolean mask (H, W), or boxes [[left, top, right, bottom], …], in pixels of the network's input."""

T = TypeVar("T")


@dataclass(frozen=True)
class Untouched:
    """Images as the network takes them, what it says of them, and the classes that are meant.

    Attributes:
        net: the whole network, whatever it is cut after.
        images: (B, channels, H, W), normalised, on the device.
        logits: (B, C) float64, on the CPU.
        target: (B,) int64, on the CPU.
    """

    net: SplitModel
    images: Images
    logits: Logits
    target: ClassIndex


def untouched(
    clf: Classifier, images: Sequence[Image.Image | Tensor], targets: Sequence[ClassTarget], precision: str
) -> Untouched:
    """One pass of the whole network.

    Raises:
        TargetError: there is no such class.
    """
    net = clf.split(None, precision)
    batch = as_images(clf, net, images)
    logits = exact_logits(net, batch)
    return Untouched(net, batch, logits, class_indices(clf, targets, logits))


@dataclass(frozen=True)
class Samples:
    """B images with their maps.

    Attributes:
        clf: asked about the target, where that is no class: see `cam_core.targets.asking`.
        images: (B, channels, H, W), normalised, on the device.
        saliency: (B, H, W) in [0, 1], float64, on the CPU.
        target: (B,) int64, on the CPU.
        logits: (B, C) float64, of the unmasked images, on the CPU.
        pictures: the part of each image that is no padding; None for all of it.
        regions, other_regions, explain_again, explain_with: one per image, or None.
        wanted: what the metrics to come will have scored: who scores one kind of pictures scores all of it at once.
        known: scores that several metrics ask for, each (B, …) float64, by the network that gave them and what they are
            of. Filled by the metrics.
    """

    clf: Classifier
    images: Images
    saliency: Tensor
    target: Tensor
    logits: Tensor
    pictures: Sequence[Picture | None]
    regions: Sequence[Region | None]
    other_regions: Sequence[Region | None]
    explain_again: Sequence[ExplainAgain | None]
    explain_with: Sequence[ExplainWith | None]
    wanted: Sequence[Hashable] = ()
    known: dict[Hashable, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return (self.images.shape[-2], self.images.shape[-1])

    @property
    def planes(self) -> list[Tensor]:
        """The maps (h, w) over the photos alone, without padding."""
        return [within(plane, picture) for plane, picture in zip(self.saliency, self.pictures, strict=True)]

    def score(self, kind: str = "probability") -> Tensor:
        """(B,) float64: logit or probability of the class on the unmasked images."""
        return class_score(self.logits, self.target, kind)

    def mapped_again(self, index: int, image: Tensor) -> Tensor:
        """The map (H, W) of another image (channels, H, W), as image `index` was explained; float64, on the CPU."""
        again = self.explain_again[index]
        assert again is not None, "checked before the metric was called"
        return as_saliency(again(image), self.size)


def gather(
    clf: Classifier,
    images: Sequence[Image.Image | Tensor],
    saliencies: Sequence[Saliency],
    *,
    targets: Sequence[Target] | None = None,
    regions: Sequence[GroundTruth | None] | None = None,
    other_regions: Sequence[GroundTruth | None] | None = None,
    explain_again: Sequence[ExplainAgain | None] | None = None,
    explain_with: Sequence[ExplainWith | None] | None = None,
    precision: str = "float32",
) -> Samples:
    """Check and complete what the user gave: classes from explanations or from the network, ways to explain again.

    Raises:
        MetricError: a map of the wrong size or range, ground truth that is none, or not one entry per image.
        TargetError: no such class, or images that are not asked about the same: see `one_question`.
    """
    count = len(images)
    given_targets = _one_each(targets, count, "targets")
    given = zip(_one_each(saliencies, count, "maps"), given_targets, strict=True)
    regions = _one_each(regions, count, "regions")
    other_regions = _one_each(other_regions, count, "other regions")
    explain_again = _one_each(explain_again, count, "explain_again functions")
    explain_with = _one_each(explain_with, count, "explain_with functions")
    asked, classes = one_question(clf, [s.target if t is None and isinstance(s, Explanation) else t for s, t in given])
    seen = untouched(asked, images, classes, precision)
    size = (seen.images.shape[-2], seen.images.shape[-1])
    pictures = [clf.picture(image) for image in images]
    recipes = [_recipe(clf, s, t, image) for s, t, image in zip(saliencies, given_targets, seen.images, strict=True)]
    return Samples(
        clf=asked,
        images=seen.images,
        saliency=torch.stack([_over(as_saliency(s, size), p) for s, p in zip(saliencies, pictures, strict=True)]),
        target=seen.target,
        logits=seen.logits,
        pictures=pictures,
        regions=[as_region(r, size) for r in regions],
        other_regions=[as_region(r, size) for r in other_regions],
        explain_again=[f or (None if r is None else r.again) for f, r in zip(explain_again, recipes, strict=True)],
        explain_with=[f or (None if r is None else r.with_network) for f, r in zip(explain_with, recipes, strict=True)],
    )


def _over(saliency: Tensor, picture: Picture | None) -> Tensor:
    """The map (H, W), 0 over padding."""
    kept = torch.zeros_like(saliency)
    within(kept, picture).copy_(within(saliency, picture))
    return kept


def _one_each(entries: Sequence[T] | None, count: int, what: str) -> Sequence[T | None]:
    if entries is None:
        return [None] * count
    if len(entries) != count:
        raise MetricError(f"{count} images but {len(entries)} {what}")
    return entries


class Recipe:
    """How an explanation was made, to make it again on another image or with another network.

    The last answer is kept: several metrics ask for the map of the same masked image.
    """

    def __init__(self, clf: Classifier, explanation: Explanation, image: Tensor, target: Target = None) -> None:
        self._clf, self._explanation, self._image = clf, explanation, image
        # A function, or another image, is more than what is written of it.
        given = isinstance(explanation.target, str) and target is not None
        self._target = target if given else explanation.target
        self._last: tuple[Tensor, FloatArray] | None = None

    def again(self, image: Tensor) -> FloatArray:
        """The map of another image (channels, H, W)."""
        if self._last is None or not torch.equal(self._last[0], image):
            self._last = image.clone(), self._explain(self._clf, image)
        return self._last[1]

    def with_network(self, clf: Classifier) -> FloatArray:
        """The map of the same image by another network."""
        return self._explain(clf, self._image)

    def _explain(self, clf: Classifier, image: Tensor) -> FloatArray:
        explanation = self._explanation
        return explain(
            clf,
            image,
            method=explanation.method,
            layer=explanation.layer.split(" + "),
            target=self._target,
            seed=explanation.seed,
            precision=explanation.precision,
            **explanation.params,
        ).saliency


def _recipe(clf: Classifier, saliency: Saliency, target: Target, image: Tensor) -> Recipe | None:
    """None of a bare map, and of one from elsewhere: nobody here knows how it was made."""
    if not isinstance(saliency, Explanation) or saliency.method not in METHODS:
        return None
    return Recipe(clf, saliency, image, resolve(clf, target))


def as_saliency(saliency: Saliency, size: tuple[int, int]) -> Tensor:
    """A map of whatever origin as (H, W) float64 on the CPU.

    Raises:
        MetricError: wrong shape, not finite, or outside [0, 1].
    """
    values = saliency.saliency if isinstance(saliency, Explanation) else saliency
    plane = torch.as_tensor(values if isinstance(values, Tensor) else np.array(values, dtype=np.float64))
    plane = double(plane.detach()).cpu()
    if tuple(plane.shape) != size:
        raise MetricError(
            f"the map is {' × '.join(map(str, plane.shape))} but the network sees {size[0]} × {size[1]}: "
            "bring it to that size first, for instance with cam_core.maps.saliency"
        )
    if not torch.isfinite(plane).all():
        raise MetricError("the map has NaN or infinite values")
    if float(plane.min()) < 0 or float(plane.max()) > 1:
        raise MetricError(
            f"the map ranges from {significant(float(plane.min()), 4)} to {significant(float(plane.max()), 4)}, but "
            "must lie in [0, 1]: ReLU and min-max it first, for instance with cam_core.maps.saliency"
        )
    return plane


def as_region(truth: GroundTruth | None, size: tuple[int, int]) -> Region | None:
    """Ground truth in any form as a region of the network's input.

    Raises:
        MetricError: boxes or a mask that are none, or of another size.
    """
    if truth is None:
        return None
    if isinstance(truth, Region):
        region = truth
    else:
        array = np.asarray(truth)
        region = Region.from_mask(array) if array.dtype == bool else Region.from_boxes(np.atleast_2d(array), size)
    if region.mask.shape != size:
        raise MetricError(f"the ground truth is {region.mask.shape} but the network sees {size}")
    return region
