"""The common part of the Shapley methods: one game per sample, the last estimate of each, and its warning."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from cam_core.methods.registry import Result
from cam_core.numbers import significant
from cam_core.run import Run
from cam_core.shapley import Estimate, Game, estimates, expected_passes, passes_each

# One repetition has no standard error.
_FEWEST = 2


def shapley_values(
    games: Sequence[Game], run: Run, estimator: str, budget: int = 0, repetitions: int = _FEWEST
) -> list[Estimate]:
    """The best estimate of each sample's game within `budget` tail passes; exact where that costs no more.

    Args:
        repetitions: at least this many are made whatever they cost.
    """
    budgets = [max(budget, 2 + repetitions * passes_each(game, estimator)) for game in games]
    run.expect(sum(expected_passes(game, estimator, most) for game, most in zip(games, budgets, strict=True)))
    per_sample = []
    for index, (game, most) in enumerate(zip(games, budgets, strict=True)):
        # Every sample draws the same numbers, so that a result does not depend on the batch around it.
        estimate = deque(estimates(game, estimator, run.generator(), most), maxlen=1)[0]
        _warn(run, index, estimate)
        per_sample.append(estimate)
    return per_sample


def _warn(run: Run, index: int, estimate: Estimate) -> None:
    if estimate.converged:
        return
    run.warn(
        index,
        f"Not converged after {estimate.passes} tail passes: the standard error is {estimate.noise:.0%} of the values, "
        f"and they sum to {significant(float(estimate.phi.sum()), 3)} where the score changes by "
        f"{significant(estimate.v_all - estimate.v_empty, 3)}. Spend more passes for surer values.",
    )


def coefficients(per_sample: Sequence[Estimate], like: Tensor) -> Result:
    """Channels' values and their standard errors, (B, K) each."""
    return Result(
        coefficients=torch.stack([estimate.phi for estimate in per_sample]).to(like),
        stderr=torch.stack([estimate.stderr for estimate in per_sample]).to(like),
    )
