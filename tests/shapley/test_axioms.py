"""Efficiency, symmetry, dummy and additivity: what makes a Shapley value one, asked of every estimator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch

from cam_core.shapley import Estimate, Game, exact, owen, permutation
from tests.shapley.known import BY_DIFFERENCES, SAMPLING, additive, network, pairwise, run

EVERY = ("exact", *SAMPLING)


@pytest.mark.parametrize("estimator", ["exact", *BY_DIFFERENCES])
@pytest.mark.parametrize("budget", [2, 50, 700])
def test_efficiency_holds_at_every_budget(estimator: str, budget: int) -> None:
    found = run(estimator, Game(network(9), 9), budget)
    assert abs(found.gap) < 1e-9
    assert found.relative_gap < 1e-9


def test_gap_of_gradients_is_reported_and_goes_with_curvature() -> None:
    """Not forced to 0; 0 where the game is multilinear of degree two, larger the more it is bent."""
    straight = run("owen", Game(pairwise(9)[0], 9), 200)
    bent = run("owen", Game(network(9, act=torch.tanh), 9), 200)
    bent_more = run("owen", Game(network(9, act=lambda x: torch.tanh(3 * x)), 9), 200)
    assert abs(straight.gap) < 1e-9 < abs(bent.gap) < abs(bent_more.gap)
    assert bent_more.gap == pytest.approx(float(bent_more.phi.sum()) - (bent_more.v_all - bent_more.v_empty))


@pytest.mark.parametrize("estimator", EVERY)
def test_symmetric_players_get_the_same(estimator: str) -> None:
    inner = network(8)

    def value(coalitions: torch.Tensor) -> torch.Tensor:
        """Players 0 and 1 only count together."""
        return inner(torch.cat([coalitions[:, :1] + coalitions[:, 1:2], coalitions[:, 2:]], dim=1))

    found = run(estimator, Game(value, 9), 4000)
    error = float(found.stderr[:2].norm())
    assert abs(float(found.phi[0] - found.phi[1])) <= 4 * error + 1e-9
    assert abs(float(found.phi[0])) > 8 * error, "the test would pass for any estimate"


@pytest.mark.parametrize("estimator", EVERY)
def test_dummy_gets_what_it_brings_and_an_idler_nothing(estimator: str) -> None:
    inner = network(7)
    found = run(estimator, Game(lambda z: inner(z[:, :7]) + 2.5 * z[:, 7] + 0 * z[:, 8], 9), 400)
    # KernelSHAP fits all players at once, so their noise is his too.
    bound = 4 * float(found.stderr[7:].max()) if estimator == "kernel" else 1e-9
    assert float(found.phi[7]) == pytest.approx(2.5, abs=bound)
    assert float(found.phi[8]) == pytest.approx(0, abs=bound)


@pytest.mark.parametrize("estimator", EVERY)
def test_additivity_to_the_last_digit_for_equal_seeds(estimator: str) -> None:
    one, other = network(9, seed=1), network(9, seed=2)
    both = run(estimator, Game(lambda z: one(z) - 3 * other(z), 9))
    apart = run(estimator, Game(one, 9)).phi - 3 * run(estimator, Game(other, 9)).phi
    torch.testing.assert_close(both.phi, apart)


@pytest.mark.parametrize("estimator", EVERY)
def test_additive_game_has_no_error(estimator: str) -> None:
    weights = [1.0, -2.0, 0.0, 0.25, 5.0]
    found = run(estimator, Game(additive(weights, constant=3.0), 5), 60)
    torch.testing.assert_close(found.phi, torch.tensor(weights, dtype=torch.float64))
    assert float(found.stderr.max()) < 1e-9
    assert found.converged


@pytest.mark.parametrize("estimate", [partial(owen, rule="plain"), permutation])
def test_one_antithetic_pair_has_no_error_with_pairwise_interactions(
    estimate: Callable[..., Iterator[Estimate]],
) -> None:
    """An order and its reverse, or a coalition and its complement, see each interaction from both sides."""
    value, values = pairwise(30)
    found = next(estimate(Game(value, 30), torch.Generator().manual_seed(0), 2))
    torch.testing.assert_close(found.phi, values)


@pytest.mark.parametrize("estimator", SAMPLING)
def test_more_passes_come_closer(estimator: str) -> None:
    value = network(10, act=lambda x: torch.tanh(x / 2))
    truth = exact(Game(value, 10)).phi

    def error(budget: int) -> float:
        return sum(float((run(estimator, Game(value, 10), budget, seed).phi - truth).norm()) for seed in range(8))

    assert error(1500) < 0.75 * error(60)
