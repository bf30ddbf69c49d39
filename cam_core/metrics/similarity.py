"""How alike two maps are: Pearson, Spearman and structural similarity, for pairs and as a matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from cam_core.metrics.base import Values
from cam_core.metrics.samples import Saliency, as_saliency
from cam_core.types import Explanation, MetricError

Measure = Literal["spearman", "pearson", "ssim"]

# Of the paper: an 11 × 11 Gaussian window of 1.5 pixels, and constants for values from 0 to 1.
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def pearson(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Linear correlation in [−1, 1] of two arrays of one shape; NaN where one of them is constant."""
    a, b = (np.asarray(x, dtype=np.float64).ravel() for x in (one, other))
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / length, -1, 1)) if length > 0 else float("nan")


def spearman(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Rank correlation in [−1, 1], ties given their mean rank; NaN where one of the arrays is constant."""
    return pearson(*(rankdata(np.asarray(x, dtype=np.float64)) for x in (one, other)))


def ssim(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Mean structural similarity of two planes (H, W) with values in [0, 1]; in [−1, 1], 1 for equal ones.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861, eq. 13, with its 11 × 11 Gaussian window (σ = 1.5), weighted moments,
    borders mirrored. scikit-image cuts the border off, and uses a 7 × 7 uniform window unless told otherwise.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (one, other))
    mean_a, mean_b = _windowed(a), _windowed(b)
    variance_a = _windowed(a * a) - mean_a**2
    variance_b = _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _SSIM_C1) / (mean_a**2 + mean_b**2 + _SSIM_C1)
    structure = (2 * covariance + _SSIM_C2) / (variance_a + variance_b + _SSIM_C2)
    return float((light * structure).mean())


def _windowed(plane: Values) -> Values:
    return np.asarray(gaussian_filter(plane, _SSIM_SIGMA, radius=_SSIM_RADIUS, mode="reflect"))


MEASURES: dict[Measure, Callable[[npt.ArrayLike, npt.ArrayLike], float]] = {
    "spearman": spearman,
    "pearson": pearson,
    "ssim": ssim,
}


def agreement(saliencies: Sequence[Saliency], measure: Measure = "spearman") -> Values:
    """How alike every two maps of one image are.

    For raw maps of different resolutions see `cam_core.analysis.agreement.rank_agreement`.

    Args:
        saliencies: n maps (H, W) in [0, 1] of one size.
        measure: "spearman", "pearson" or "ssim".
    Returns:
        (n, n), symmetric, 1 on the diagonal; NaN for correlations with a constant map.
    Raises:
        MetricError: an unknown measure, or maps of different sizes.
    """
    if measure not in MEASURES:
        raise MetricError(f"unknown measure {measure!r}; there are: {', '.join(MEASURES)}")
    if not len(saliencies):
        return np.zeros((0, 0))
    first = saliencies[0]
    height, width = np.shape(first.saliency if isinstance(first, Explanation) else first)
    planes = [as_saliency(one, (height, width)).numpy() for one in saliencies]
    alike = MEASURES[measure]
    matrix = np.empty((len(planes), len(planes)))
    for i, one in enumerate(planes):
        for j, other in enumerate(planes[: i + 1]):
            matrix[i, j] = matrix[j, i] = alike(one, other)
    return matrix
