"""How far several maps of one image agree: rank correlation, position by position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from cam_core.overlay import display_values
from cam_core.types import FloatArray


def rank_agreement(raw_maps: Sequence[FloatArray]) -> FloatArray:
    """Spearman's rank correlation between every two raw maps, signs kept.

    Ranks do not ask for a common unit, so methods that measure different things can be compared. Maps of different
    resolution are brought to the largest height and width among them first (bilinear).

    Args:
        raw_maps: n maps (h, w), each of its own size.
    Returns:
        (n, n) in [−1, 1], symmetric; NaN where one of the two maps is constant and so ranks nothing.
    """
    if not raw_maps:
        return np.zeros((0, 0), dtype=np.float32)
    size = (max(len(raw) for raw in raw_maps), max(raw.shape[1] for raw in raw_maps))
    same = [raw if raw.shape == size else display_values(raw, size, signed=True) for raw in raw_maps]
    ranks = np.stack([rankdata(raw) for raw in same])
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        correlation = ranks @ ranks.T / np.outer(length, length)
    return np.asarray(np.clip(correlation, -1, 1), dtype=np.float32)


def similarity_order(agreement: FloatArray) -> list[int]:
    """An order in which maps that agree stand side by side.

    Average linkage on 1 − agreement, and of the orders that keep its tree the one with the most alike neighbours
    (Bar-Joseph et al. 2001, doi:10.1093/bioinformatics/17.suppl_1.S22). The first of the maps stands in the first half.

    Args:
        agreement: (n, n), as of `rank_agreement`; unknown values count as no relation.
    Returns:
        The n places in that order.
    """
    count = len(agreement)
    if count < 3:
        return list(range(count))
    distance = 1 - np.nan_to_num(np.asarray(agreement, dtype=np.float64), nan=0.0)
    np.fill_diagonal(distance, 0)
    condensed = squareform((distance + distance.T) / 2, checks=False)
    order = [int(place) for place in leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))]
    return order if order.index(0) < count / 2 else order[::-1]
