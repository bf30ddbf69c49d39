"""Exact Shapley values: in closed form where the tail is pooling and one linear layer, or by every coalition."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cam_core.shapley.estimate import Estimate
from cam_core.shapley.games import Game
from cam_core.types import MethodError

MOST_PLAYERS = 12


def exact(game: Game) -> Estimate:
    """Shapley values without sampling.

    Behind pooling and one linear layer the game is additive, and phi_k = w_k · mean A_k: no passes but the two that
    give v(all) and v(∅). Else all 2ⁿ coalitions of the live players are evaluated.

    Raises:
        MethodError: more than `MOST_PLAYERS` live players and no closed form.
    """
    if game.contributions is not None:
        return game.estimate("exact", game.contributions.cpu()[game.live], exact=True)
    if game.size > MOST_PLAYERS:
        raise MethodError(
            f"exact values of {game.size} players take 2^{game.size} passes, more than 2^{MOST_PLAYERS}: estimate them"
        )
    return game.estimate("exact", _enumerate(game), exact=True)


def _enumerate(game: Game) -> Tensor:
    """phi_i = Σ over S without i of |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)), Shapley 1953; (n,)."""
    n = game.size
    masks = (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1
    values = torch.full((2**n,), game.v_empty, dtype=torch.float64)
    values[-1] = game.v_all
    if n > 1:
        values[1:-1] = game.values(masks[1:-1])
    # The last entry is met only where it is multiplied by nothing: S = all has no player to join it.
    weights = [math.factorial(s) * math.factorial(n - s - 1) / math.factorial(n) for s in range(n)] + [0.0]
    weight = torch.tensor(weights, dtype=torch.float64)
    size = masks.sum(1, keepdim=True)
    signed = torch.where(masks == 1, weight[(size - 1).clamp_min(0)], -weight[size])
    return values @ signed
