"""The certainty of a mean over images: bootstrap confidence intervals, shared by all metrics and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

_RESAMPLES = 5000
# Drawn at once: 8 MB of indices, and their counts, whatever the number of images.
_AT_ONCE = 1 << 20
# Means that differ by no more, as a share of the largest value, differ by rounding alone.
_ROUNDING = 1e-12

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval. Of one value, or of equal ones, it is a point: `count` tells them apart."""

    mean: float
    low: float
    high: float
    count: int


def bootstrap_interval(values: Sequence[float] | npt.ArrayLike, seed: int = 0, level: float = 0.95) -> Interval:
    """Mean of `values` (one per image) and its bias-corrected, accelerated bootstrap interval.

    Efron 1987, doi:10.1080/01621459.1987.10478410. Unlike mean ± 1.96 standard errors it stays inside the range of the
    values and follows their skew: similarities crowd below 1, drops above 0. To compare two methods on the same images,
    pass the differences.

    Args:
        values: (N,) finite numbers, N ≥ 1.
        seed: of the resampling; the same seed gives the same interval.
        level: share of such intervals that cover the true mean, above 0 and below 1.
    Raises:
        ValueError: no values, a value that is not finite, or a level out of range.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not sample.size or not np.isfinite(sample).all():
        raise ValueError(f"an interval needs at least one value, all finite, in one row; got {values!r}")
    return bootstrap_intervals(sample[:, None], seed, level)[0]


def bootstrap_intervals(columns: npt.ArrayLike, seed: int = 0, level: float = 0.95) -> list[Interval]:
    """`bootstrap_interval` of each column (N, M), to rounding: all are resampled by the same draws, made once.

    A resample is the number of times that it holds each image, so that all means are one product of matrices.

    Raises:
        ValueError: no values, a value that is not finite, or a level out of range.
    """
    samples = np.asarray(columns, dtype=np.float64)
    if samples.ndim != 2 or not len(samples) or not np.isfinite(samples).all():
        raise ValueError(f"intervals need at least one value per column, all finite; got shape {samples.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level={level} must be above 0 and below 1")
    varied = np.flatnonzero(np.ptp(samples, axis=0))
    means = _resampled_means(samples[:, varied], np.random.default_rng(seed))
    resampled = dict(zip(varied.tolist(), means.T, strict=True))
    return [_interval(sample, resampled.get(place), level) for place, sample in enumerate(samples.T)]


def _interval(sample: Floats, means: Floats | None, level: float) -> Interval:
    """Of one column and its resampled means; None where all values are equal."""
    mean = float(sample.mean())
    low, high = (mean, mean) if means is None else np.quantile(means, _corrected_levels(sample, means, level))
    return Interval(mean, float(low), float(high), len(sample))


def _resampled_means(samples: Floats, generator: np.random.Generator) -> Floats:
    """(resamples, M) of columns (N, M)."""
    rows = max(1, _AT_ONCE // len(samples))
    chunks = [min(rows, _RESAMPLES - start) for start in range(0, _RESAMPLES, rows)]
    return np.concatenate([_counts(len(samples), chunk, generator) @ samples for chunk in chunks]) / len(samples)


def _counts(images: int, resamples: int, generator: np.random.Generator) -> Floats:
    """How often each resample holds each image: (resamples, images)."""
    drawn = generator.integers(0, images, (resamples, images))
    drawn += images * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def _corrected_levels(sample: Floats, means: Floats, level: float) -> Floats:
    """The quantiles of the resampled means to read instead of (1 ∓ level) / 2: shifted by bias and by skew."""
    # Half of the ties count as below; the clip keeps the correction finite where all resamples fall on one side.
    mean, rounding = sample.mean(), _ROUNDING * np.abs(sample).max()
    below = (np.mean(means < mean - rounding) + np.mean(means <= mean + rounding)) / 2
    bias = norm.ppf(np.clip(below, 1 / _RESAMPLES, 1 - 1 / _RESAMPLES))
    # The jackknife's acceleration; for a mean, leaving one out moves it by the deviation of the one left out.
    deviation = sample - mean
    acceleration = np.sum(deviation**3) / (6 * np.sum(deviation**2) ** 1.5)
    z = bias + norm.ppf([(1 - level) / 2, (1 + level) / 2])
    corrected: Floats = norm.cdf(bias + z / (1 - acceleration * z))
    return corrected
