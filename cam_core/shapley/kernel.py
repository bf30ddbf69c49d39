"""KernelSHAP: Shapley values as the weighted least-squares fit of an additive game, from coalitions in pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from cam_core.shapley.estimate import Estimate, repetitions_within
from cam_core.shapley.games import Game

# Of one repetition: a coalition and its complement.
KERNEL_PASSES = 2

# How often the least-squares problem is solved on the way, each time in n³ operations.
_SOLUTIONS = 16
_FEWEST_PAIRS = 16


def kernel(game: Game, generator: torch.Generator, budget: int) -> Iterator[Estimate]:
    """Fit v(S) ≈ v(∅) + Σ over S of phi, under Σ phi = v(all) − v(∅); yields at most 16 times.

    Lundberg & Lee 2017, arXiv:1705.07874; in pairs of complements, Covert & Lee 2021, arXiv:2012.01536. Coalitions are
    drawn by the Shapley kernel, so that they weigh alike. With fewer pairs than players many games fit; the fit nearest
    to equal shares is taken, and there is no standard error yet. The gap is rounding whatever the error.

    Args:
        budget: tail passes; at least one pair of coalitions is evaluated.
    """
    pairs = repetitions_within(budget, KERNEL_PASSES)
    at_once = max(_FEWEST_PAIRS, -(-pairs // _SOLUTIONS))
    change = game.v_all - game.v_empty
    signs = torch.zeros(0, game.size, dtype=torch.float64)
    halves = torch.zeros(0, dtype=torch.float64)
    while len(signs) < pairs:
        drawn = _coalitions(min(at_once, pairs - len(signs)), game.size, generator)
        values = game.values(torch.cat([drawn, ~drawn])).view(2, len(drawn))
        signs = torch.cat([signs, drawn.double() - 0.5])
        halves = torch.cat([halves, (values[0] - values[1]) / 2])
        phi, stderr = _solve(signs, halves, change)
        yield game.estimate("kernel", phi, stderr, repetitions=len(signs))


def _coalitions(count: int, players: int, generator: torch.Generator) -> Tensor:
    """(count, players) bool: size s with a chance proportional to 1 / (s (n − s)), then any s players."""
    if players < 2:
        return torch.ones(count, players, dtype=torch.bool)
    sizes = torch.arange(1, players)
    drawn = torch.multinomial(1.0 / (sizes * (players - sizes)), count, replacement=True, generator=generator) + 1
    rank = torch.rand(count, players, generator=generator).argsort(1).argsort(1)
    return rank < drawn[:, None]


def _solve(signs: Tensor, halves: Tensor, change: float) -> tuple[Tensor, Tensor]:
    """The constrained fit (n,) and its standard error (n,).

    Under the constraint, phi = change / n + u with Σ u = 0. In a pair the constant cancels: half the difference of the
    two values is Σ ±½ phi, one equation for u per pair, and pairs are independent of each other.

    Args:
        signs: (P, n), ½ for players in the first coalition of the pair and −½ for those in the second.
        halves: (P,), half of v(first) − v(second).
    """
    pairs, n = signs.shape
    equal = torch.full((n,), change / max(1, n), dtype=torch.float64)
    design = signs - signs.mean(1, keepdim=True)
    inverse = torch.linalg.pinv(design)
    residual = halves - signs @ equal
    u = inverse @ residual
    freedom = pairs - (n - 1)
    if freedom <= 0:
        return equal + u, torch.full((n,), math.inf if n > 1 else 0.0, dtype=torch.float64)
    # White's standard error, valid although the game is no more additive for one pair than for another.
    error = (residual - design @ u) ** 2 * pairs / freedom
    return equal + u, (inverse**2 @ error).sqrt()
