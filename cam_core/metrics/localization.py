"""Whether the map lies on the object: its energy, its peak, and the box around what is above a threshold."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.maps import divide
from cam_core.metrics.base import Scores, Values, metric
from cam_core.metrics.ground_truth import Box, Region, box_around
from cam_core.metrics.samples import Samples
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Picture

IOUS = (0.3, 0.5, 0.7)
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)


def energies(batch: Samples, regions: list[Region]) -> tuple[Tensor, Tensor]:
    """(B,) float64 each: the map's sum inside the region, and over the whole image."""
    masks = torch.from_numpy(np.stack([region.mask for region in regions]))
    return (batch.saliency * masks).sum((1, 2)), batch.saliency.sum((1, 2))


def _regions(batch: Samples) -> list[Region]:
    return [region for region in batch.regions if region is not None]


@metric(
    "ebpg",
    title="Energy-based pointing game",
    plain="Share of the map that lies on the object",
    direction="higher",
    range=(0, 1),
    source="Wang et al. 2020 (Score-CAM), arXiv:1910.01279, section 4.3",
    formula="Σ S inside the object / Σ S",
    edge_cases="0 for a map of zeros. Several boxes count as their union.",
    cost="none",
    uses_network=False,
    needs=("region",),
)
def ebpg(net: SplitModel, batch: Samples, run: Run) -> Scores:
    """The share of the map's energy on the object. Extra: `area`, the share that an even map would have."""
    regions = _regions(batch)
    inside, whole = energies(batch, regions)
    areas = [_share(region, picture) for region, picture in zip(regions, batch.pictures, strict=True)]
    return Scores(divide(inside, whole), {"area": areas})


def _share(region: Region, picture: Picture | None) -> Values:
    """The region's share of the photo, which is all of the input but for padding."""
    height, width = region.mask.shape
    left, top, right, bottom = picture or (0, 0, width, height)
    return np.asarray(region.mask.sum() / ((right - left) * (bottom - top)))


@metric(
    "class-discrimination",
    title="Class discrimination",
    plain="Share of the map on the class’s own object, of two",
    direction="higher",
    range=(0, 1),
    source="energy-based pointing game between two objects of one image",
    formula="Σ S inside the class's own object / Σ S inside either object",
    edge_cases="0 where neither object has any energy. Pixels of both objects count for both.",
    cost="none",
    uses_network=False,
    needs=("region", "other_region"),
)
def class_discrimination(net: SplitModel, batch: Samples, run: Run) -> Scores:
    """Of the energy on two objects, the share on the one whose class is explained; ½ says nothing of the class.

    Extras: `own` and `other`, the shares of the map's whole energy.
    """
    own, whole = energies(batch, _regions(batch))
    other, _ = energies(batch, [region for region in batch.other_regions if region is not None])
    shares = {"own": list(divide(own, whole).numpy()), "other": list(divide(other, whole).numpy())}
    return Scores(divide(own, own + other), shares)


@metric(
    "pointing-game",
    title="Pointing game",
    plain="The map’s highest point lies on the object",
    indicator=True,
    direction="higher",
    range=(0, 1),
    source="Zhang et al. 2016 (excitation backprop), arXiv:1608.00507, section 4.1",
    formula="1 if the maximum lies on the object or less than the tolerance from it, else 0",
    edge_cases="A miss for a constant map. Of equal maxima the one furthest up counts, then the one furthest left.",
    cost="none",
    uses_network=False,
    needs=("region",),
)
def pointing_game(
    net: SplitModel,
    batch: Samples,
    run: Run,
    tolerance: Annotated[
        float, Parameter("distance in pixels of the network's input that is still a hit", low=0, high=1000)
    ] = 15.0,
) -> Scores:
    """Whether the map's peak is on the object. Extra: `distance` in pixels from the peak to the object.

    The benchmark averages over the images of each class first, then over classes.
    """
    hits, distances = [], []
    for saliency, region in zip(batch.saliency.numpy(), _regions(batch), strict=True):
        # To the nearest pixel of the object, centre to centre.
        distance = float(ndimage.distance_transform_edt(~region.mask).flat[saliency.argmax()])
        distances.append(np.asarray(distance))
        hits.append(float(np.ptp(saliency) > 0 and (distance == 0 or distance < tolerance)))
    return Scores(torch.tensor(hits, dtype=torch.float64), {"distance": distances})


def best_over_thresholds(details: Values) -> Values:
    """(N, thresholds × IoUs) hits of each image → (N,): each image's hits at the thresholds that are best for all."""
    hits = details.reshape(len(details), -1, len(IOUS))
    best = hits.mean(0).argmax(0)
    return np.asarray(hits[:, best, np.arange(len(IOUS))].mean(1))


@metric(
    "max-box-acc",
    title="MaxBoxAcc",
    plain="A box around the map’s largest part fits the object’s",
    direction="higher",
    range=(0, 1),
    source="Choe et al. 2020, arXiv:2001.07437, section 3.3 (V2: mean over IoU 0.3, 0.5, 0.7)",
    formula="[IoU(box around the largest part of the map above t · max, a true box) ≥ δ], mean over δ, best over t",
    edge_cases="0 for a map of zeros. On a set, the best threshold is one for all images; on one image, its own.",
    cost="none",
    uses_network=False,
    needs=("region",),
    details="hits",
    pool=best_over_thresholds,
)
def max_box_acc(
    net: SplitModel,
    batch: Samples,
    run: Run,
    thresholds: Annotated[int, Parameter("values of t tried, evenly from 0 to just below 1", low=1, high=1000)] = 100,
) -> Scores:
    """Whether the map's outline finds the object's box. Extra: `hits` (thresholds × 3), one per IoU.

    The largest part is the one of most pixels, diagonal neighbours connected; the authors' code takes the contour that
    encloses the largest area.
    """
    hits = [
        _hits(saliency, region, thresholds)
        for saliency, region in zip(batch.saliency.numpy(), _regions(batch), strict=True)
    ]
    values = [best_over_thresholds(image_hits.reshape(1, -1))[0] for image_hits in hits]
    return Scores(torch.tensor(values, dtype=torch.float64), {"hits": hits})


def _hits(saliency: Values, region: Region, thresholds: int) -> Values:
    """(thresholds, 3): whether the box at each threshold reaches each IoU with one of the true boxes."""
    hits = np.zeros((thresholds, len(IOUS)))
    for place in range(thresholds):
        box = largest_part(saliency, place / thresholds * float(saliency.max()))
        if box is not None:
            hits[place] = max(iou(box, true) for true in region.boxes) >= np.array(IOUS)
    return hits


def largest_part(saliency: Values, threshold: float) -> Box | None:
    """The box around the largest connected part of the map (H, W) above the threshold, or None where nothing is."""
    parts, count = ndimage.label(saliency > threshold, _EIGHT_NEIGHBOURS)
    if not count:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    return box_around(ndimage.find_objects(parts)[int(sizes.argmax())])


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(width, 0.0) * max(height, 0.0)
    return common / (_area(first) + _area(second) - common)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
