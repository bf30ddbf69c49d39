"""Whether networks that were trained differently look at the same pixels: overlap of their thresholded maps.

Lee et al. 2021 (LFI-CAM), arXiv:2105.00937: five networks a data set, trained with different hyper-parameters; maps are
cut at 100 of 255, and the overlap of every two networks' maps of one image is averaged over images.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cam_core.metrics.base import Values
from cam_core.types import FloatArray, MetricError

THRESHOLD: Final = 100 / 255
_SMOOTH: Final = 1e-6  # of the authors' code

Planes = npt.NDArray[np.bool_]


def map_iou(first: npt.ArrayLike, second: npt.ArrayLike, *, rowwise: bool = False) -> Values:
    """Intersection over union of masks (N, H, W), image by image: (N,) in [0, 1]; two empty masks agree: 1.

    Args:
        rowwise: as the authors' code counts: for each row of pixels by itself, then averaged over rows, of which the
            many that both masks leave empty count as 1. It comes out far higher and is no share of pixels.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape or a.ndim != 3:
        raise MetricError(f"overlap is of masks (N, H, W) of one shape, not {a.shape} and {b.shape}")
    dims = (2,) if rowwise else (1, 2)
    common, whole = (a & b).sum(dims), (a | b).sum(dims)
    overlap = (common + _SMOOTH) / (whole + _SMOOTH)
    return np.asarray(overlap.mean(1) if rowwise else overlap, dtype=np.float64)


def salient(saliency: FloatArray, threshold: float = THRESHOLD) -> Planes:
    """Maps (N, H, W) in [0, 1] → masks, true above the threshold."""
    return np.asarray(saliency > threshold)


def pairwise_iou(
    saliencies: Sequence[FloatArray], *, threshold: float = THRESHOLD, rowwise: bool = False
) -> dict[tuple[int, int], Values]:
    """For every two networks the overlap of their maps: {(i, j): (N,)} with i < j.

    Args:
        saliencies: maps (N, H, W) in [0, 1] of the same N images, one array per network.
    Raises:
        MetricError: fewer than two networks, or maps of different shapes.
    """
    if len(saliencies) < 2:
        raise MetricError(f"stability compares at least 2 networks, not {len(saliencies)}")
    masks = [salient(saliency, threshold) for saliency in saliencies]
    return {(i, j): map_iou(masks[i], masks[j], rowwise=rowwise) for i, j in combinations(range(len(masks)), 2)}


def object_iou(saliency: FloatArray, masks: Any, threshold: float = THRESHOLD) -> Values:
    """Overlap of maps (N, H, W) in [0, 1] with the true masks of the object (N, H, W): (N,)."""
    return map_iou(salient(saliency, threshold), masks)
