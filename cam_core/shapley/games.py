"""Games: players, and the value of any coalition of them, evaluated in batches of tail passes.

A coalition is a row of numbers, 1 for a player inside and 0 for one outside. A player may also be inside in part: the
value is a function of real numbers, so it has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from cam_core.declarations.lazy import lazy
from cam_core.masked import class_score, tail_rows
from cam_core.models.batching import Rows, in_batches
from cam_core.models.precision import computing_in
from cam_core.models.split.model import SplitModel
from cam_core.models.tails import is_pooled_linear, pooled_linear
from cam_core.shapley.estimate import Estimate
from cam_core.types import Activations, MethodError

ValueFunction = Callable[[Tensor], Tensor]
"""Coalitions (M, players) → their values (M,)."""

Baseline: TypeAlias = Literal["channel_mean", "global_mean", "zero"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

# A backward pass keeps what a forward pass may forget.
_FORWARD_ROWS_PER_BACKWARD_ROW = 8


class Game:
    """Players 0 … n − 1 and a value. Estimators see the live players only, and `estimate` puts the dead ones back.

    Args:
        value: coalitions (M, players) → (M,), differentiable if `gradients` is to be used.
        players: how many there are.
        live: (players,) bool; a player that is not live changes nothing, whatever the others do.
        contributions: (players,) the exact Shapley values where they are known in closed form.
        rows: how many coalitions to evaluate at once.
        like: the dtype and device that `value` computes on, and `precision` how.
        advance: told after each batch how many coalitions it had; may raise `Cancelled`.
    """

    def __init__(
        self,
        value: ValueFunction,
        players: int,
        *,
        live: Tensor | None = None,
        contributions: Tensor | None = None,
        rows: Rows | int = 512,
        like: Tensor | None = None,
        precision: str = "float32",
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.players = players
        self.live = torch.arange(players) if live is None else live.cpu().nonzero()[:, 0]
        self.contributions = contributions
        self.passes = 0
        self._value = value
        self._rows = rows if isinstance(rows, Rows) else Rows(rows)
        self._like = torch.zeros((), dtype=torch.float64) if like is None else like
        self._precision = precision
        self._advance = advance

    @property
    def size(self) -> int:
        """Number of live players, those that an estimator's masks have a column for."""
        return len(self.live)

    @lazy
    def v_empty(self) -> float:
        """Value of the empty coalition: one pass, once."""
        return float(self.values(torch.zeros(1, self.size)))

    @lazy
    def v_all(self) -> float:
        """Value of all players together: one pass, once."""
        return float(self.values(torch.ones(1, self.size)))

    def values(self, coalitions: Tensor) -> Tensor:
        """Values (M,) float64 on the CPU of coalitions (M, size): M forward passes."""

        def evaluate(start: int, stop: int) -> Tensor:
            return self._value(self._all_players(coalitions[start:stop])).cpu().double()

        with torch.no_grad():
            return self._in_batches(evaluate, len(coalitions), self._rows)

    def gradients(self, coalitions: Tensor) -> Tensor:
        """d value / d coalition (M, size), float64 on the CPU: M forward and backward passes."""

        def evaluate(start: int, stop: int) -> Tensor:
            rows = self._all_players(coalitions[start:stop]).requires_grad_()
            with torch.enable_grad():
                value = self._value(rows).sum()
            with computing_in(self._precision, rows.device):
                (gradient,) = torch.autograd.grad(value, rows)
            return gradient.cpu().double()[:, self.live]

        return self._in_batches(evaluate, len(coalitions), self._rows.heavier(_FORWARD_ROWS_PER_BACKWARD_ROW))

    def estimate(
        self, name: str, phi: Tensor, stderr: Tensor | None = None, *, exact: bool = False, repetitions: int = 0
    ) -> Estimate:
        """`phi` and `stderr` (size,) of the live players as an estimate for all of them; no `stderr` means 0."""
        # Read before counting: each may still cost its pass.
        v_all, v_empty = self.v_all, self.v_empty
        everyone = torch.zeros(2, self.players, dtype=torch.float64)
        everyone[0, self.live] = phi.double()
        if stderr is not None:
            everyone[1, self.live] = stderr.double()
        dead = self.players - self.size
        return Estimate(name, everyone[0], everyone[1], self.passes, exact, v_all, v_empty, dead, repetitions)

    def _all_players(self, coalitions: Tensor) -> Tensor:
        rows = torch.zeros(len(coalitions), self.players, dtype=self._like.dtype)
        rows[:, self.live] = coalitions.to(rows.dtype)
        return rows.to(self._like.device)

    def _in_batches(self, evaluate: Callable[[int, int], Tensor], count: int, rows: Rows) -> Tensor:
        self.passes += count
        return in_batches(evaluate, count, rows, self._advance)


class TailGame(Game):
    """A game over the activations of one image: what is outside a coalition takes the value of a reference.

    Args:
        net: a view whose context is that of this image alone (`SplitModel.sample`); only its tail is run.
        acts: (1, K, h, w).
        reference: broadcastable to `acts`.
        shape: of one coalition, broadcastable to (K, h, w); every entry is a player.
        score: "logit" or "probability" of the target class.
    """

    def __init__(
        self,
        net: SplitModel,
        acts: Activations,
        target: Tensor | int,
        *,
        reference: Tensor,
        shape: tuple[int, int, int],
        score: str,
        advance: Callable[[int], None],
    ) -> None:
        acts = acts.detach()
        difference = acts - reference
        shared = tuple(dim for dim in (0, 1, 2) if shape[dim] == 1)

        def value(coalitions: Tensor) -> Tensor:
            return class_score(net.tail(reference + difference * coalitions.view(-1, *shape)), target, score)

        def gather(values: Tensor) -> Tensor:
            return values.sum(shared).flatten() if shared else values.flatten()

        contributions = None
        if score == "logit" and is_pooled_linear(net.halves):
            weight = pooled_linear(net.halves).weight[target].to(acts.dtype).view(-1, 1, 1)
            contributions = gather(weight * difference[0]) / difference[0, 0].numel()
        super().__init__(
            value,
            shape[0] * shape[1] * shape[2],
            live=gather((difference[0] != 0).int()) > 0,
            contributions=contributions,
            rows=tail_rows(net, acts),
            like=acts,
            precision=net.precision,
            advance=advance,
        )


class ChannelGame(TailGame):
    """LIFT-CAM's game: players are the K channels, v(S) = y_c with the channels outside S set to 0.

    Jung & Oh 2021, arXiv:2102.05228. A channel that is 0 everywhere is dead.
    """

    def __init__(
        self,
        net: SplitModel,
        acts: Activations,
        target: Tensor | int,
        *,
        score: str = "logit",
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        super().__init__(
            net,
            acts,
            target,
            reference=torch.zeros_like(acts[:, :1, :1, :1]),
            shape=(acts.shape[1], 1, 1),
            score=score,
            advance=advance,
        )


class PositionGame(TailGame):
    """Shap-CAM's game: players are the h·w positions, all channels together; player i·w + j is position (i, j).

    Zheng et al. 2022, doi:10.1007/978-3-031-19775-8_27. Positions outside S take the baseline: each channel's mean over
    positions ("channel_mean"), one mean over everything ("global_mean"), or 0 ("zero").
    """

    def __init__(
        self,
        net: SplitModel,
        acts: Activations,
        target: Tensor | int,
        *,
        baseline: str = "channel_mean",
        score: str = "probability",
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        if baseline not in BASELINES:
            raise MethodError(f"unknown baseline {baseline!r}; there are: {', '.join(BASELINES)}")
        means = {"channel_mean": acts.mean((2, 3), keepdim=True), "global_mean": acts.mean((1, 2, 3), keepdim=True)}
        super().__init__(
            net,
            acts,
            target,
            reference=means.get(baseline, torch.zeros_like(acts[:, :1, :1, :1])).detach(),
            shape=(1, acts.shape[2], acts.shape[3]),
            score=score,
            advance=advance,
        )
