"""Error bars that can be believed, estimates that stream, seeds that repeat; shapiq's samplers beside ours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapiq
import torch

from cam_core.shapley import ESTIMATORS, Estimate, Game, estimates, exact, exact_within, expected_passes, owen
from cam_core.shapley.estimate import Moments
from cam_core.shapley.owen import balanced_masks
from cam_core.types import Cancelled, MethodError
from tests.shapley.known import BY_DIFFERENCES, SAMPLING, network, product, run

SEEDS = range(60)


def smooth() -> Game:
    return Game(network(10, act=lambda x: torch.tanh(x / 2)), 10)


@pytest.mark.parametrize("estimator", SAMPLING)
def test_standard_errors_are_the_spread_over_seeds(estimator: str) -> None:
    found = [run(estimator, smooth(), 200, seed) for seed in SEEDS]
    spread = torch.stack([one.phi for one in found]).var(0).sum().sqrt()
    claimed = torch.stack([one.stderr**2 for one in found]).mean(0).sum().sqrt()
    assert 0.8 < float(claimed / spread) < 1.3


@pytest.mark.parametrize("estimator", SAMPLING)
def test_error_bars_cover_what_is_estimated(estimator: str) -> None:
    """About 95 % of intervals of two standard errors, fewer where few repetitions stand behind one."""
    found = [run(estimator, smooth(), 200, seed) for seed in SEEDS]
    # The Owen estimator's expectation is not the Shapley value: its bias is the gap's business.
    truth = exact(smooth()).phi if estimator != "owen" else torch.stack([one.phi for one in found]).mean(0)
    inside = torch.stack([(one.phi - truth).abs() <= 2 * one.stderr for one in found])
    assert 0.85 < float(inside.double().mean()) < 0.995


@pytest.mark.parametrize("estimator", BY_DIFFERENCES)
def test_differences_have_no_bias(estimator: str) -> None:
    truth = exact(smooth()).phi
    found = [run(estimator, smooth(), 200, seed) for seed in SEEDS]
    phi = torch.stack([one.phi for one in found])
    z = (phi.mean(0) - truth) / (phi.std(0) / math.sqrt(len(SEEDS)))
    assert float(z.abs().max()) < 4


def test_trapezoid_has_less_bias_than_plain_gradients() -> None:
    truth = exact(smooth()).phi

    def bias(rule: str) -> float:
        last = [list(owen(smooth(), torch.Generator().manual_seed(s), 1000, rule=rule))[-1].phi for s in range(10)]
        return float((torch.stack(last).mean(0) - truth).norm() / truth.norm())

    assert bias("trapezoid") < 0.75 * bias("plain")


def test_balanced_masks_have_less_noise() -> None:
    def spread(balanced: bool) -> float:
        game = Game(network(40, act=lambda x: torch.tanh(x / 8)), 40)
        last = [list(owen(game, torch.Generator().manual_seed(s), 256, balanced=balanced))[-1].phi for s in range(40)]
        return float(torch.stack(last).std(0).norm())

    assert spread(balanced=True) < 0.95 * spread(balanced=False)


def test_balanced_masks_share_out_the_players() -> None:
    """Everybody equally often, up to one, and each coalition with its own chance."""
    chances = torch.linspace(0.02, 0.25, 8)
    counts = torch.zeros(8)
    for seed in range(50):
        inside = balanced_masks(chances, 200, torch.Generator().manual_seed(seed)).double()
        assert inside.sum(0).min() >= float(chances.sum()) // 1
        assert inside.sum(0).max() <= float(chances.sum()) // 1 + 1
        counts += inside.mean(1) / 50
    torch.testing.assert_close(counts, chances, atol=0.01, rtol=0)


def test_moments_are_those_of_all_samples() -> None:
    samples = torch.randn(50, 3, dtype=torch.float64) * 1e-3 + 1e3
    moments = Moments(3)
    for sample in samples:
        moments.add(sample)
    torch.testing.assert_close(moments.mean, samples.mean(0))
    torch.testing.assert_close(moments.stderr, samples.std(0) / math.sqrt(50), rtol=1e-6, atol=0)


@pytest.mark.parametrize("antithetic", [True, False])
def test_no_error_bar_from_one_repetition(antithetic: bool) -> None:
    found = run("permutation" if antithetic else "independent-permutation", smooth(), budget=0)
    assert found.repetitions == 1
    assert torch.isinf(found.stderr).all()
    assert not found.converged
    assert found.noise == math.inf


@pytest.mark.parametrize("estimator", SAMPLING)
@pytest.mark.parametrize("budget", [0, 64, 333])
def test_passes_are_counted_and_foretold(estimator: str, budget: int) -> None:
    calls: list[int] = []
    inner = network(14)

    def value(coalitions: torch.Tensor) -> torch.Tensor:
        calls.append(len(coalitions))
        return inner(coalitions)

    told: list[int] = []
    game = Game(value, 14, rows=7, advance=told.append)
    stream = list(estimates(game, estimator, torch.Generator().manual_seed(0), budget))
    assert stream[-1].passes == sum(calls) == sum(told) == expected_passes(game, estimator, budget)
    one = ESTIMATORS[estimator].passes(14)
    assert sum(calls) <= max(budget, 2 + one)
    assert [found.passes for found in stream] == sorted({found.passes for found in stream})


@pytest.mark.parametrize("estimator", SAMPLING)
def test_streams_and_can_be_stopped(estimator: str) -> None:
    game = smooth()
    stream = ESTIMATORS[estimator].run(game, torch.Generator().manual_seed(0), 1000)
    early = [next(stream), next(stream)]
    assert early[0].passes < early[1].passes == game.passes < 300
    stream.close()
    assert game.passes == early[1].passes
    rest = list(ESTIMATORS[estimator].run(smooth(), torch.Generator().manual_seed(0), 1000))
    torch.testing.assert_close(rest[1].phi, early[1].phi, rtol=0, atol=0)
    assert rest[-1].noise < early[1].noise


def test_cancelling_ends_it() -> None:
    def stop(done: int) -> None:
        raise Cancelled

    game = Game(network(10), 10, advance=stop)
    with pytest.raises(Cancelled):
        run("owen", game)


@pytest.mark.parametrize("estimator", SAMPLING)
def test_seed_decides(estimator: str) -> None:
    one, again, other = (run(estimator, smooth(), 100, seed) for seed in (3, 3, 4))
    assert torch.equal(one.phi, again.phi) and torch.equal(one.stderr, again.stderr)
    assert not torch.equal(one.phi, other.phi)


@pytest.mark.parametrize("estimator", SAMPLING)
@pytest.mark.parametrize("players", [0, 1, 2])
def test_hardly_any_players(estimator: str, players: int) -> None:
    found = run(estimator, Game(lambda z: 3 * z.sum(1) + 1, players), 40)
    assert found.phi.tolist() == pytest.approx([3.0] * players)
    assert torch.isfinite(found.stderr).all()


def test_exact_is_preferred_where_it_costs_no_more() -> None:
    game = Game(network(6), 6)
    assert exact_within(game, 64) and not exact_within(game, 63)
    generator = torch.Generator().manual_seed(0)
    (found,) = estimates(game, "permutation", generator, 64)
    assert (found.name, found.exact, found.passes) == ("exact", True, 64)
    assert expected_passes(game, "permutation", 64) == 64
    sampled = list(estimates(Game(network(6), 6), "permutation", generator, 63))[-1]
    assert (sampled.name, sampled.exact) == ("permutation", False)


def test_unknown_estimator_is_refused_by_name() -> None:
    with pytest.raises(MethodError, match="unknown estimator 'magic'; there are: exact, owen"):
        next(estimates(smooth(), "magic", torch.Generator(), 10))


def test_relative_gap_and_noise_have_defined_zeros() -> None:
    zero = torch.zeros(2, dtype=torch.float64)
    idle = Estimate("owen", zero, zero, 4, False, 1.0, 1.0)
    assert (idle.gap, idle.relative_gap, idle.noise, idle.converged) == (0, 0, 0, True)
    drifting = Estimate("owen", zero + 1, zero, 4, False, 1.0, 1.0)
    assert (drifting.gap, drifting.relative_gap, drifting.converged) == (2, math.inf, False)


def peer_error(approximator: type, budget: int, **options: bool) -> float:
    """Mean distance of shapiq's estimates from the truth."""
    value, truth = network(10, act=lambda x: torch.tanh(x / 2)), exact(smooth()).phi.numpy()

    def game(masks: np.ndarray) -> np.ndarray:
        # shapiq takes the empty coalition to be worth 0.
        return (value(torch.tensor(masks).double()) - value(torch.zeros(1, 10))).numpy()

    errors = []
    for seed in range(12):
        found = approximator(n=10, random_state=seed, **options).approximate(budget, game)
        errors.append(np.linalg.norm(found.get_n_order_values(1) - truth))
    return float(np.mean(errors))


@pytest.mark.parametrize(
    ("estimator", "peer", "options"),
    [
        ("independent-permutation", shapiq.PermutationSamplingSV, {}),
        ("kernel", shapiq.KernelSHAP, {"pairing_trick": True}),
    ],
)
def test_as_good_as_shapiq_for_equal_passes(estimator: str, peer: type, options: dict[str, bool]) -> None:
    truth = exact(smooth()).phi
    ours = np.mean([float((run(estimator, smooth(), 200, seed).phi - truth).norm()) for seed in range(12)])
    assert ours < 1.5 * peer_error(peer, 200, **options)


def test_unanimity_of_two_among_many() -> None:
    found = run("permutation", Game(product(3, 4), 12), 2000)
    expected = torch.zeros(12, dtype=torch.float64)
    expected[[3, 4]] = 0.5
    torch.testing.assert_close(found.phi, expected)
