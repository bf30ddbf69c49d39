"""Rank agreement of maps, against scipy and against cases that can be told without computing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from cam_core.analysis.agreement import rank_agreement, similarity_order

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


def test_maps_that_agree_stand_side_by_side() -> None:
    """Two pairs: 0 with 2, and 1 with 3."""
    matrix = np.full((4, 4), 0.1, dtype=np.float32)
    for a, b in ((0, 2), (1, 3)):
        matrix[a, b] = matrix[b, a] = 0.9
    np.fill_diagonal(matrix, 1)
    order = similarity_order(matrix)
    assert sorted(order) == [0, 1, 2, 3]
    assert abs(order.index(0) - order.index(2)) == abs(order.index(1) - order.index(3)) == 1
    assert order.index(0) < 2


def test_the_order_is_the_best_of_all_that_keep_the_tree() -> None:
    """Points on a line, shuffled, come back in order: their agreement falls with their distance."""
    places = np.array([0.0, 0.5, 0.1, 0.9, 0.3])
    order = similarity_order((1 - np.abs(places[:, None] - places[None])).astype(np.float32))
    assert [places[place] for place in order] == [0.0, 0.1, 0.3, 0.5, 0.9]


def test_a_map_that_agrees_with_nothing_has_a_place_too() -> None:
    matrix = np.array([[1, np.nan, 0.8], [np.nan, np.nan, np.nan], [0.8, np.nan, 1]], dtype=np.float32)
    order = similarity_order(matrix)
    assert sorted(order) == [0, 1, 2] and abs(order.index(0) - order.index(2)) == 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_maps_stay_as_they_are(count: int) -> None:
    assert similarity_order(np.eye(count, dtype=np.float32)) == list(range(count))
