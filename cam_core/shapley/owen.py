"""Shapley values by gradients of the multilinear extension: one backward pass says something of every player at once.

Owen 1972, doi:10.1287/mnsc.18.5.64: phi_i = ∫₀¹ E[v(S ∪ i) − v(S)] dq, where S holds every other player with
probability q. Here the difference is a gradient by the presence of i, taken with i outside (0) or inside (1). Either
way what is inside is a random coalition: one pass gives a sample to each of n players, a permutation needs n passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from cam_core.shapley.estimate import Estimate, repetitions_within
from cam_core.shapley.games import Game

Rule = Literal["trapezoid", "plain"]

# Of one repetition: a coalition and its complement.
OWEN_PASSES = 2

# Pairs of coalitions in one sweep over q, and how many neighbours in q share out the players evenly among them.
_SWEEP, _BLOCK = 16, 8

# Successive fractions of its multiples fill the unit interval evenly, however many there are: the golden ratio.
_GOLDEN = (math.sqrt(5) - 1) / 2


def owen(
    game: Game, generator: torch.Generator, budget: int, *, rule: Rule = "trapezoid", balanced: bool = True
) -> Iterator[Estimate]:
    """Estimates from antithetic pairs, S at q and its complement at 1 − q; yields after each sweep over q.

    Antithetic pairs: Okhrati & Lipani 2021, arXiv:2010.12082. A gradient is a difference only where v is a straight
    line from outside to inside: there is a bias, and the gap shows it. `rule` says how gradients at 0 and at 1 are
    averaged:

    - "plain": as they come, in shares 1 − q and q. At small q nearly all players are outside, at large q nearly
      all are inside, so the state of a player goes together with the company it is in.
    - "trapezoid": in equal shares at every q, by weights 1/(1 − q) and 1/q, normalised for each player: the trapezoid
      rule in the presence. Weights are cut off at q = ½/√pairs. Below it a rare state would bring more noise than it
      takes away bias; with more pairs both go.

    Args:
        budget: passes, each forward and backward, but for v(∅) and v(all); at least one pair is made.
        balanced: among neighbours in q every player is inside equally often, up to rounding; else independently.
    """
    pairs = repetitions_within(budget, OWEN_PASSES)
    sweeps = max(1, round(pairs / _SWEEP))
    moments = _RatioMoments(game.size, 2 if rule == "trapezoid" else 1)
    start = float(torch.rand((), generator=generator))
    for sweep in range(sweeps):
        count = pairs // sweeps + (sweep < pairs % sweeps)
        # Evenly spaced in (0, ½], each sweep between the points of the ones before.
        q = (torch.arange(count, dtype=torch.float64) + 1 - (start + sweep * _GOLDEN) % 1) / (2 * count)
        inside = _masks(q, game.size, generator, balanced)
        states = torch.stack([inside, ~inside])
        gradients = game.gradients(states.flatten(0, 1)).view(2, count, game.size)
        chances = torch.stack([q, 1 - q])[:, :, None]
        moments.add(_weights(states, chances, rule, cut=0.5 / math.sqrt(pairs)), gradients)
        yield game.estimate("owen", moments.mean, moments.stderr, repetitions=moments.count)


def _masks(q: Tensor, players: int, generator: torch.Generator, balanced: bool) -> Tensor:
    """Coalitions (m, players) bool, player i in coalition j with probability q_j."""
    if not balanced:
        return torch.rand(len(q), players, generator=generator) < q[:, None]
    blocks = q.tensor_split(max(1, round(len(q) / _BLOCK)))
    return torch.cat([balanced_masks(block, players, generator) for block in blocks])


def balanced_masks(q: Tensor, players: int, generator: torch.Generator) -> Tensor:
    """Coalitions (m, players) bool, player i in coalition j with probability q_j and in ⌊Σ q⌋ or ⌈Σ q⌉ of them.

    Systematic sampling (Madow 1949, doi:10.1214/aoms/1177729988) for each player, in a random order of the coalitions.
    """
    order = torch.rand(len(q), players, generator=generator).argsort(0)
    chance = q[order]
    reached = chance.cumsum(0) + torch.rand(players, generator=generator)
    hit = reached.floor() > (reached - chance).floor()
    return torch.zeros_like(hit).scatter_(0, order, hit)


def _weights(states: Tensor, chances: Tensor, rule: Rule, cut: float) -> list[Tensor]:
    """One (2, m, n) tensor of weights for each average that is to be taken; phi is the mean of the averages."""
    if rule == "plain":
        return [torch.ones_like(states, dtype=torch.float64)]
    return [states / chances.clamp_min(cut), ~states / (1 - chances).clamp_min(cut)]


class _RatioMoments:
    """A mean of weighted averages, and its standard error, from a running sum over pairs.

    Each average is a ratio of sums over pairs, so its error is to first order a sum over pairs too. Neighbours in q are
    compared with each other (Wolter 1984, JASA 79:781): what varies smoothly with q is covered
    evenly and is no error.
    """

    def __init__(self, size: int, averages: int) -> None:
        self.count = 0
        self._sums = torch.zeros(size, 2 * averages, dtype=torch.float64)
        self._products = torch.zeros(size, 2 * averages, 2 * averages, dtype=torch.float64)
        self._neighbours = 0

    def add(self, weights: Sequence[Tensor], gradients: Tensor) -> None:
        """Take in one sweep, sorted by q: weights and gradients (2, m, n), the two members of each pair first."""
        terms = [(weight * factor).mean(0) for weight in weights for factor in (gradients, torch.ones_like(gradients))]
        pairs = torch.stack(terms, dim=-1)  # (m, n, 2 · averages): numerator and denominator of each average
        steps = pairs.diff(dim=0)
        self.count += len(pairs)
        self._sums += pairs.sum(0)
        self._products += torch.einsum("mna,mnb->nab", steps, steps) / 2
        self._neighbours += len(steps)

    @property
    def mean(self) -> Tensor:
        """(n,)"""
        return self._averages.mean(1)

    @property
    def stderr(self) -> Tensor:
        """(n,), infinite before there are two pairs."""
        if not self._neighbours:
            return torch.full((len(self._sums),), math.inf, dtype=torch.float64)
        denominator = self._sums[:, 1::2]
        slopes = torch.stack([1 / denominator, -self._averages / denominator], dim=-1).flatten(1)
        slopes = slopes / denominator.shape[1]
        variance = torch.einsum("na,nab,nb->n", slopes, self._products, slopes)
        return (variance.clamp_min(0) * self.count / self._neighbours).sqrt()

    @property
    def _averages(self) -> Tensor:
        return self._sums[:, ::2] / self._sums[:, 1::2]
