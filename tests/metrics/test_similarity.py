"""Pearson, Spearman and SSIM of two maps, against scipy and a literal loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cam_core.metrics.similarity import pearson, spearman, ssim

GENERATOR = np.random.default_rng(0)
ONE, OTHER = GENERATOR.random((20, 15)), GENERATOR.random((20, 15))
MIXED = 0.7 * ONE + 0.3 * OTHER
TIED = np.round(MIXED, 1)


@pytest.mark.parametrize("other", [OTHER, MIXED, TIED], ids=["other", "mixed", "tied"])
def test_correlations_equal_scipy(other: np.ndarray) -> None:
    assert pearson(ONE, other) == pytest.approx(stats.pearsonr(ONE.ravel(), other.ravel()).statistic)
    assert spearman(ONE, other) == pytest.approx(stats.spearmanr(ONE.ravel(), other.ravel()).statistic)


def test_nothing_correlates_with_a_constant() -> None:
    assert math.isnan(pearson(ONE, np.ones_like(ONE)))
    assert math.isnan(spearman(np.zeros_like(ONE), ONE))


def literal_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004, window by window; borders mirrored with the edge pixel repeated."""
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(weights, weights) / weights.sum() ** 2
    a, b = np.pad(one, 5, mode="symmetric"), np.pad(other, 5, mode="symmetric")
    values = []
    for i in range(one.shape[0]):
        for j in range(one.shape[1]):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            cov = (window * (p - mean_p) * (q - mean_q)).sum()
            numerator = (2 * mean_p * mean_q + 0.0001) * (2 * cov + 0.0009)
            values.append(numerator / ((mean_p**2 + mean_q**2 + 0.0001) * (var_p + var_q + 0.0009)))
    return float(np.mean(values))


@pytest.mark.parametrize("other", [OTHER, MIXED, np.zeros_like(ONE)], ids=["other", "mixed", "zeros"])
def test_ssim_equals_a_literal_loop(other: np.ndarray) -> None:
    assert ssim(ONE, other) == pytest.approx(literal_ssim(ONE, other), abs=1e-9)


def test_a_map_is_like_itself() -> None:
    for measure in (pearson, spearman, ssim):
        assert measure(ONE, ONE) == pytest.approx(1)
    assert ssim(np.zeros((4, 4)), np.zeros((4, 4))) == 1
