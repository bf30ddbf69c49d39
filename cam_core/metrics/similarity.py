"""Similarity of two maps: Pearson, Spearman and structural similarity, pair by pair."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from cam_core.metrics.base import Values

# Of the paper: an 11 × 11 Gaussian window of 1.5 pixels, and constants for values from 0 to 1.
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def pearson(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Linear correlation in [−1, 1] of two arrays of one shape; NaN where one of them is constant."""
    a, b = (np.asarray(x, dtype=np.float64).ravel() for x in (first, second))
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / length, -1, 1)) if length > 0 else float("nan")


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Rank correlation in [−1, 1], ties given their mean rank; NaN where one of the arrays is constant."""
    return pearson(*(rankdata(np.asarray(x, dtype=np.float64)) for x in (first, second)))


def ssim(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Mean structural similarity of two planes (H, W) with values in [0, 1]; in [−1, 1], 1 for equal ones.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861, eq. 13, with its 11 × 11 Gaussian window (σ = 1.5), weighted moments,
    borders mirrored. scikit-image cuts the border off, and uses a 7 × 7 uniform window unless told otherwise.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (first, second))
    mean_a, mean_b = _windowed(a), _windowed(b)
    variance_a = _windowed(a * a) - mean_a**2
    variance_b = _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _SSIM_C1) / (mean_a**2 + mean_b**2 + _SSIM_C1)
    structure = (2 * covariance + _SSIM_C2) / (variance_a + variance_b + _SSIM_C2)
    return float((light * structure).mean())


def _windowed(plane: Values) -> Values:
    return np.asarray(gaussian_filter(plane, _SSIM_SIGMA, radius=_SSIM_RADIUS, mode="reflect"))
