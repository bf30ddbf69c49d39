"""The estimate that an estimator of Shapley values returns, and the running mean and variance behind its error bars."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The rule of `Estimate.converged`, for pages to state.
CONVERGED_NOISE = 0.1
CONVERGED_GAP = 0.1

BUDGET = 320
"""Tail passes where none are named: with these, Owen's estimate of every photo of the gallery converges."""


@dataclass(frozen=True)
class Estimate:
    """Shapley values of one game, how sure they are, and what they cost.

    Attributes:
        name: the estimator, such as "permutation".
        phi: (n,) float64 on the CPU, in the unit of the value; exactly 0 for dead players.
        stderr: (n,) standard error of `phi`: 0 where exact, infinite before there are two repetitions. It says nothing
            of bias: see `gap` for that.
        passes: rows pushed through the tail so far; for estimators by gradients each is a forward and a backward pass.
        exact: whether `phi` is exact up to rounding.
        v_all, v_empty: value of the full and of the empty coalition.
        dead: players that change nothing whatever the others do (a channel that is 0 everywhere), left out of the game.
        repetitions: independent repetitions behind `stderr`; 0 where exact.
    """

    name: str
    phi: Tensor
    stderr: Tensor
    passes: int
    exact: bool
    v_all: float
    v_empty: float
    dead: int = 0
    repetitions: int = 0

    @property
    def gap(self) -> float:
        """Σ phi − (v(all) − v(∅)), the failure of efficiency: reported, never forced to 0."""
        return float(self.phi.sum()) - (self.v_all - self.v_empty)

    @property
    def relative_gap(self) -> float:
        """|gap| / |v(all) − v(∅)|; infinite where only the denominator is 0."""
        change = abs(self.v_all - self.v_empty)
        return 0.0 if self.gap == 0 else math.inf if change == 0 else abs(self.gap) / change

    @property
    def noise(self) -> float:
        """‖stderr‖ / ‖phi‖; 0 where there is no error, infinite where it is unknown."""
        error, size = float(self.stderr.norm()), float(self.phi.norm())
        return 0.0 if error == 0 else math.inf if size == 0 else error / size

    @property
    def expected_cosine(self) -> float:
        """About what cosine to expect between this estimate and what it estimates: √(1 − noise²), at least 0.

        Of ‖phi‖² the errors make up ‖stderr‖² on average. No coefficients, not even the true ones, can be expected to
        have a larger cosine to this estimate.
        """
        return math.sqrt(max(0.0, 1 - self.noise**2))

    @property
    def converged(self) -> bool:
        """Noise below a tenth (an expected cosine of 0.995), and a gap of at most a tenth of Σ |phi|."""
        return self.noise < CONVERGED_NOISE and abs(self.gap) <= CONVERGED_GAP * float(self.phi.abs().sum())


def repetitions_within(budget: int, each: int) -> int:
    """How many repetitions of `each` passes fit into `budget` beside v(∅) and v(all); at least one."""
    return max(1, (budget - 2) // max(1, each))


class Moments:
    """Running mean and variance of independent repetitions (Welford 1962, doi:10.1080/00401706.1962.10490022)."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean = torch.zeros(size, dtype=torch.float64)
        self._squares = torch.zeros(size, dtype=torch.float64)

    def add(self, sample: Tensor) -> None:
        """Take in one repetition, (size,)."""
        self.count += 1
        deviation = sample - self.mean
        self.mean = self.mean + deviation / self.count
        self._squares = self._squares + deviation * (sample - self.mean)

    @property
    def stderr(self) -> Tensor:
        """Standard error of the mean, (size,); infinite before there are two repetitions."""
        if self.count < 2:
            return torch.full_like(self.mean, math.inf)
        return (self._squares / (self.count - 1) / self.count).sqrt()
