"""Permutation sampling: players enter one after the other in random order, and each gets what its entry changed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from cam_core.shapley.estimate import Estimate, Moments, repetitions_within
from cam_core.shapley.games import Game


def permutation_passes(players: int, *, antithetic: bool = True) -> int:
    """Tail passes of one repetition: the n − 1 coalitions between none and all of an order, and of its reverse."""
    return (1 + antithetic) * (players - 1)


def permutation(game: Game, generator: torch.Generator, budget: int, *, antithetic: bool = True) -> Iterator[Estimate]:
    """The mean marginal over random orders; yields after each repetition while the next one fits into the budget.

    Castro, Gómez & Tejada 2009, doi:10.1016/j.cor.2008.04.004. Unbiased, and efficient: every order's marginals sum to
    v(all) − v(∅), so the gap is rounding.

    Args:
        budget: tail passes; at least one repetition is made whatever it is.
        antithetic: each order is followed by its reverse, and the two are one repetition (Mitchell et al. 2022,
            arXiv:2104.12199).
    """
    moments = Moments(game.size)
    samples = repetitions(game, generator, antithetic=antithetic)
    count = repetitions_within(budget, permutation_passes(game.size, antithetic=antithetic))
    for sample in islice(samples, count):
        moments.add(sample)
        yield game.estimate("permutation", moments.mean, moments.stderr, repetitions=moments.count)


def repetitions(game: Game, generator: torch.Generator, *, antithetic: bool = True) -> Iterator[Tensor]:
    """Independent, unbiased samples (n,) of the live players' Shapley values, without end: see `permutation`."""
    while True:
        order = torch.randperm(game.size, generator=generator)
        orders = torch.stack([order, order.flip(0)]) if antithetic else order[None]
        yield marginals(game, orders).mean(0)


def marginals(game: Game, orders: Tensor) -> Tensor:
    """The marginal of each player when it enters: orders (R, n), player numbers from first to last → (R, n)."""
    count, n = orders.shape
    place = orders.argsort(1)
    inside = place[:, None] < torch.arange(1, max(1, n))[:, None]  # (R, n − 1, n): the coalitions of 1 … n − 1 players
    value = torch.empty(count, n + 1, dtype=torch.float64)
    value[:, 0], value[:, n] = game.v_empty, game.v_all
    if n > 1:
        value[:, 1:n] = game.values(inside.flatten(0, 1)).view(count, n - 1)
    return value.diff(dim=1).gather(1, place)
