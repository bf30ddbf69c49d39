"""Small games with known Shapley values, and estimators to try on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from cam_core.shapley import ESTIMATORS, Estimate, Game, exact
from cam_core.shapley.games import ValueFunction

SAMPLING = tuple(ESTIMATORS)
# Those whose samples are differences, not gradients: unbiased or efficient whatever the game.
BY_DIFFERENCES = tuple(key for key in SAMPLING if key != "owen")


def run(estimator: str, game: Game, budget: int = 400, seed: int = 0) -> Estimate:
    """The last estimate; `estimator` may be "exact"."""
    if estimator == "exact":
        return exact(game)
    generator = torch.Generator().manual_seed(seed)
    return deque(ESTIMATORS[estimator].run(game, generator, budget), maxlen=1)[0]


def additive(weights: list[float], constant: float = 0.0) -> ValueFunction:
    """phi = weights."""
    return lambda coalitions: coalitions @ torch.tensor(weights, dtype=coalitions.dtype) + constant


def product(*players: int) -> ValueFunction:
    """Value 1 if all of `players` are inside: each has 1 / number of them, everybody else 0."""
    return lambda coalitions: coalitions[:, list(players)].prod(1)


def pairwise(players: int, seed: int = 0) -> tuple[ValueFunction, Tensor]:
    """v = Σ_i a_i z_i + Σ_{i<j} B_ij z_i z_j, and its values phi_i = a_i + ½ Σ_j B_ij.

    Multilinear of degree two: a gradient is a difference, and a pair of complements has no error, so that estimators
    should be exact, or nearly so.
    """
    generator = torch.Generator().manual_seed(seed)
    single = torch.randn(players, generator=generator, dtype=torch.float64)
    both = torch.randn(players, players, generator=generator, dtype=torch.float64).triu(1)
    return lambda z: z @ single + torch.einsum("mi,ij,mj->m", z, both, z), single + (both + both.T).sum(1) / 2


def network(
    players: int, seed: int = 0, hidden: int = 16, act: Callable[[Tensor], Tensor] = torch.sigmoid
) -> ValueFunction:
    """A random layer of units: interactions of every order."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(players, hidden, generator=generator, dtype=torch.float64)
    last = torch.randn(hidden, generator=generator, dtype=torch.float64)
    return lambda coalitions: act(coalitions.double() @ first) @ last


def literal_value(value: ValueFunction, players: int) -> Callable[[frozenset[int]], float]:
    """The same game as `tests.literal.games` wants it: sets in, floats out."""

    def of_set(inside: frozenset[int]) -> float:
        coalitions = torch.zeros(1, players, dtype=torch.float64)
        coalitions[0, list(inside)] = 1
        return float(value(coalitions))

    return of_set
