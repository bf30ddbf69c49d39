"""Every estimator by name, behind one call that prefers exact values wherever they cost no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from cam_core.shapley.estimate import Estimate, repetitions_within
from cam_core.shapley.exact import MOST_PLAYERS, exact
from cam_core.shapley.games import Game
from cam_core.shapley.kernel import KERNEL_PASSES, kernel
from cam_core.shapley.owen import OWEN_PASSES, owen
from cam_core.shapley.permutation import permutation, permutation_passes
from cam_core.types import MethodError


@dataclass(frozen=True)
class Estimator:
    """`passes` is what one repetition costs for so many live players; `title` is plain language."""

    title: str
    run: Callable[[Game, torch.Generator, int], Iterator[Estimate]]
    passes: Callable[[int], int]


ESTIMATORS: Mapping[str, Estimator] = {
    "owen": Estimator("Owen (gradients of the multilinear extension)", owen, lambda players: OWEN_PASSES),
    "permutation": Estimator("Permutations (antithetic)", permutation, permutation_passes),
    "independent-permutation": Estimator(
        "Permutations (independent)",
        partial(permutation, antithetic=False),
        partial(permutation_passes, antithetic=False),
    ),
    "kernel": Estimator("KernelSHAP (paired)", kernel, lambda players: KERNEL_PASSES),
}


def estimates(game: Game, estimator: str, generator: torch.Generator, budget: int) -> Iterator[Estimate]:
    """Ever better estimates of the game's Shapley values; a single, exact one where that costs no more than `budget`.

    Args:
        estimator: a key of `ESTIMATORS`, or "exact".
        budget: tail passes; at least one repetition is made, whatever it costs.
    Raises:
        MethodError: no such estimator; or "exact" for too many players without a closed form.
    """
    sampled = None if estimator == "exact" else _named(estimator).run
    if sampled is None or exact_within(game, budget):
        yield exact(game)
        return
    yield from sampled(game, generator, budget)


def expected_passes(game: Game, estimator: str, budget: int) -> int:
    """Tail passes that `estimates` will make, v(∅) and v(all) among them: what to announce as the total of progress."""
    if estimator == "exact" or exact_within(game, budget):
        return 2 if game.contributions is not None else max(2, 2**game.size)
    each = passes_each(game, estimator)
    return 2 + each * repetitions_within(budget, each)


def passes_each(game: Game, estimator: str) -> int:
    """Tail passes of one repetition."""
    return _named(estimator).passes(game.size)


def exact_within(game: Game, budget: int) -> bool:
    """Whether exact values cost no more than `budget`: a closed form, or no more coalitions than that."""
    return game.contributions is not None or game.size < 2 or (game.size <= MOST_PLAYERS and 2**game.size <= budget)


def _named(estimator: str) -> Estimator:
    if estimator not in ESTIMATORS:
        raise MethodError(f"unknown estimator {estimator!r}; there are: exact, {', '.join(ESTIMATORS)}")
    return ESTIMATORS[estimator]
