"""Bootstrap intervals: against scipy's, coverage, edge cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cam_core.metrics import statistics
from cam_core.metrics.statistics import Interval, bootstrap_interval, bootstrap_intervals


@pytest.mark.parametrize("size", [5, 20, 300])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_agrees_with_scipy_bca(size: int, level: float) -> None:
    values = np.random.default_rng(size).gamma(1.0, size=size)
    ours = bootstrap_interval(values, seed=1, level=level)
    peer = stats.bootstrap((values,), np.mean, confidence_level=level, n_resamples=20000, method="BCa", rng=2)
    width = peer.confidence_interval.high - peer.confidence_interval.low
    assert ours.low == pytest.approx(peer.confidence_interval.low, abs=0.05 * width)
    assert ours.high == pytest.approx(peer.confidence_interval.high, abs=0.05 * width)
    assert (ours.mean, ours.count) == (pytest.approx(values.mean()), size)


def test_covers_the_true_mean_about_as_often_as_promised() -> None:
    generator = np.random.default_rng(0)
    intervals = [bootstrap_interval(generator.exponential(size=30), seed=s, level=0.9) for s in range(200)]
    covered = np.mean([i.low <= 1.0 <= i.high for i in intervals])
    assert 0.82 < covered < 0.96


def test_stays_inside_the_range_of_the_values() -> None:
    interval = bootstrap_interval([1.0] * 18 + [0.2])
    assert 0.2 < interval.low < interval.mean < interval.high <= 1.0


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=25)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.7, 0.7]])
def test_one_value_or_equal_values_are_a_point_that_says_how_many(values: list[float]) -> None:
    assert bootstrap_interval(values) == Interval(
        pytest.approx(0.7), pytest.approx(0.7), pytest.approx(0.7), len(values)
    )


def test_many_values_are_resampled_in_pieces() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    interval = bootstrap_interval(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(20_000), rel=0.1)


def literal_interval(values: list[float], seed: int, level: float) -> tuple[float, float]:
    """Efron 1987, one resample at a time."""
    generator, n, mean = np.random.default_rng(seed), len(values), sum(values) / len(values)
    means = [float(generator.choice(values, n).mean()) for _ in range(5000)]
    below = sum(1.0 if m < mean - 1e-9 else 0.5 if m < mean + 1e-9 else 0.0 for m in means) / len(means)
    z0 = stats.norm.ppf(below)
    cubes, squares = (sum((mean - v) ** power for v in values) for power in (3, 2))
    a = -cubes / (6 * squares**1.5)
    quantiles = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        z = z0 + stats.norm.ppf(share)
        quantiles.append(float(np.quantile(means, stats.norm.cdf(z0 + z / (1 - a * z)))))
    return quantiles[0], quantiles[1]


@pytest.mark.parametrize("values", [[0.0, 0.1, 0.1, 0.7, 2.5, 0.3], [0.0, 100.0, 100.0, 0.0, 100.0]])
def test_is_the_literal_bootstrap_with_the_same_draws(values: list[float]) -> None:
    interval = bootstrap_interval(values, seed=5, level=0.9)
    assert (interval.low, interval.high) == pytest.approx(literal_interval(values, 5, 0.9), rel=1e-12)


def test_columns_are_resampled_together_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(1).gamma(1.0, size=(23, 4))
    columns[:, 2] = 0.5
    monkeypatch.setattr(statistics, "_AT_ONCE", 23 * 100)
    together = bootstrap_intervals(columns, seed=2)
    monkeypatch.undo()
    for interval, column in zip(together, columns.T, strict=True):
        alone = bootstrap_interval(column, seed=2)
        assert (interval.mean, interval.count) == (alone.mean, 23)
        assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high), rel=1e-12)
    assert together[2] == Interval(0.5, 0.5, 0.5, 23)


def test_columns_without_a_mean_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one value per column"):
        bootstrap_intervals(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="at least one value per column"):
        bootstrap_intervals([[np.nan]])


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0], [2.0]]])
def test_refuses_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_interval(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_refuses_a_level_that_is_no_share(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval([1.0, 2.0], level=level)
