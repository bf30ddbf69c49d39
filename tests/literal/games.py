"""Shapley values by their definition: every subset, every permutation. For games of at most a dozen players."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, permutations

import torch
from torch import Tensor

from tests.literal.network import Hooked, LiteralMap

Value = Callable[[frozenset[int]], float]
"""The value of a coalition of players 0 … n − 1."""


def shapley_values(value: Value, players: int) -> Tensor:
    """phi_i = Σ over S without i of |S|! (n − |S| − 1)! / n! · (v(S and i) − v(S)) (Shapley 1953), shape (n,)."""
    worths = {s: value(s) for size in range(players + 1) for s in map(frozenset, combinations(range(players), size))}
    phi = torch.zeros(players, dtype=torch.float64)
    for i in range(players):
        for subset in (s for s in worths if i not in s):
            weight = math.factorial(len(subset)) * math.factorial(players - len(subset) - 1) / math.factorial(players)
            phi[i] += weight * (worths[subset | {i}] - worths[subset])
    return phi


def permutation_values(value: Value, players: int, orders: Iterable[Sequence[int]] | None = None) -> Tensor:
    """The mean marginal of each player over the given orders (default: all n!), shape (n,)."""
    phi, count = torch.zeros(players, dtype=torch.float64), 0
    for order in permutations(range(players)) if orders is None else orders:
        count += 1
        inside: frozenset[int] = frozenset()
        before = value(inside)
        for player in order:
            inside = inside | {player}
            after = value(inside)
            phi[player] += after - before
            before = after
    return phi / count


def channel_game(net: Hooked, x: Tensor, target: int) -> Value:
    """LIFT-CAM's game: v(S) = y_c with the channels outside S set to 0."""
    acts = net.activations(x)

    def value(inside: frozenset[int]) -> float:
        kept = torch.zeros_like(acts)
        for k in inside:
            kept[0, k] = acts[0, k]
        return float(net.logits_from(kept, x).detach()[0, target])

    return value


def position_game(
    net: Hooked, x: Tensor, target: int, baseline: str = "channel_mean", probability: bool = True
) -> Value:
    """Shap-CAM's game: positions (i, j) outside S, all channels together, take the baseline; player = i · w + j.

    Args:
        baseline: "channel_mean" (each channel's mean over positions), "global_mean" (one scalar), or "zero".
        probability: value = softmax probability; otherwise the logit.
    """
    acts = net.activations(x)
    absent = {
        "channel_mean": acts.mean(dim=(2, 3), keepdim=True).expand_as(acts),
        "global_mean": torch.full_like(acts, float(acts.mean())),
        "zero": torch.zeros_like(acts),
    }[baseline]
    width = acts.shape[3]

    def value(inside: frozenset[int]) -> float:
        kept = absent.clone()
        for player in inside:
            i, j = divmod(player, width)
            kept[0, :, i, j] = acts[0, :, i, j]
        logits = net.logits_from(kept, x).detach()
        return float((logits.softmax(dim=1) if probability else logits)[0, target])

    return value


def shap_cam(
    net: Hooked,
    x: Tensor,
    target: int,
    orders: Iterable[Sequence[int]] | None = None,
    baseline: str = "channel_mean",
    probability: bool = True,
) -> LiteralMap:
    """Shap-CAM (Zheng et al. 2022): map(i, j) = phi_ij of the position game; exact unless `orders` are given."""
    height, width = net.activations(x).shape[2:]
    game = position_game(net, x, target, baseline, probability)
    players = height * width
    phi = shapley_values(game, players) if orders is None else permutation_values(game, players, orders)
    return LiteralMap(phi.reshape(height, width))
