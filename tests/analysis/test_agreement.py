"""Rank agreement of maps, against scipy and against cases that can be told without computing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from cam_core.analysis.agreement import rank_agreement

RAMP = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_order_is_all_that_counts() -> None:
    matrix = rank_agreement([RAMP, np.exp(RAMP), -RAMP])
    np.testing.assert_allclose(matrix, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-6)


def test_equals_scipy_with_ties() -> None:
    rng = np.random.default_rng(3)
    maps = [rng.integers(0, 5, (7, 7)).astype(np.float32) for _ in range(4)]
    expected = spearmanr(np.stack([one.ravel() for one in maps]), axis=1).statistic
    np.testing.assert_allclose(rank_agreement(maps), expected, atol=1e-6)


def test_a_constant_map_agrees_with_nothing() -> None:
    matrix = rank_agreement([RAMP, np.zeros_like(RAMP)])
    assert matrix[0, 0] == pytest.approx(1)
    assert np.isnan(matrix[[0, 1, 1], [1, 0, 1]]).all()


def test_maps_of_different_resolution_are_compared_at_the_largest() -> None:
    coarse = np.array([[0, 1], [2, 3]], dtype=np.float32)
    matrix = rank_agreement([coarse, np.kron(coarse, np.ones((4, 4), dtype=np.float32))])
    assert matrix.shape == (2, 2)
    assert 0.9 < matrix[0, 1] <= 1


def test_no_maps() -> None:
    assert rank_agreement([]).shape == (0, 0)
