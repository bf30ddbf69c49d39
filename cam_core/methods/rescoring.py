"""Scores from a coarse network, put right by an exact one where the map would notice.

A softmax over channels turns an error in a score into an error of the same size in that channel's share. Coarse
precisions have such errors; most channels have so small a share, or so flat an activation, that nobody sees them. The
others are scored again, until the map is expected to be what the exact network gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cam_core.models.devices import double

# 1 − correlation with the exact map that may remain, as expected; the map itself may turn out some way off it.
TOLERANCE = 4e-4
# Channels from which the errors of the coarse scores are first learned, and the fewest to score again at a time.
SAMPLE = 24

# Errors of this variance say nothing about the score; that of e^ε still is a number.
_HOPELESS = 20.0


def rescored(
    coarse: Tensor, parts: Tensor, again: Callable[[Tensor], Tensor], tolerance: float = TOLERANCE
) -> tuple[Tensor, Tensor]:
    """Scores whose softmax, as weights of `parts`, gives the exact scores' map up to `tolerance`.

    Exact scores are taken to be a line in the coarse ones plus independent normal errors ε. The line is fitted to the
    channels that were scored again: fitting on the coarse score makes up for having chosen them by it. With shares
    w = softmax(s) and centred parts C_k the map Σ w_k C_k is then off by Σ w_k (e^ε_k − 1) C_k and by the line's own
    uncertainty, and 1 − correlation ≈ ½ · the expected square of that / ‖Σ w_k C_k‖². The worst channels are scored
    again until this is small.

    Args:
        coarse: (K,) scores.
        parts: (K, h, w), what each share is multiplied by.
        again: exact scores (n,) of the channels (n,).
    Returns:
        (K,) scores, the coarse ones on the fitted line, and (K,) bool, those that are exact.
    """
    if not bool(torch.isfinite(coarse).all()):
        everything = torch.arange(len(coarse), device=coarse.device)
        return again(everything), torch.ones_like(coarse, dtype=torch.bool)
    flat, given = double(parts).flatten(1), double(coarse)
    centred = flat - flat.mean(1, keepdim=True)
    size = centred.norm(dim=1)
    scores, exact = given.clone(), torch.zeros_like(given, dtype=torch.bool)
    order = (given.softmax(0) * size).argsort(descending=True)
    # The first channels cover the whole range of shares.
    channels = order[torch.linspace(0, len(order) - 1, min(SAMPLE, len(order)), device=order.device).long()]
    while len(channels):
        scores[channels], exact[channels] = double(again(channels.to(coarse.device))), True
        if not bool(torch.isfinite(scores).all()):
            break
        line = _fit(given[exact], scores[exact])
        scores[~exact] = line.at(given[~exact])
        channels = _worst(scores.softmax(0), given, exact, centred, size, line, tolerance)
    return scores.to(coarse), exact.to(coarse.device)


@dataclass(frozen=True)
class _Line:
    """Exact score ≈ intercept + slope · coarse score, with errors of this variance."""

    coefficients: Tensor  # (2,)
    covariance: Tensor  # (2, 2), of the coefficients
    variance: Tensor

    def at(self, coarse: Tensor) -> Tensor:
        return _design(coarse) @ self.coefficients


def _design(coarse: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(coarse), coarse], 1)


def _fit(coarse: Tensor, exact: Tensor) -> _Line:
    """Least squares; the variance is at the upper end of what so few errors allow, two standard errors above."""
    design = _design(coarse)
    inverse = torch.linalg.pinv(design.T @ design, hermitian=True)
    coefficients = inverse @ (design.T @ exact)
    degrees = max(1, len(exact) - 2)
    variance = (exact - design @ coefficients).square().sum() / degrees * (1 + 2 * (2 / degrees) ** 0.5)
    return _Line(coefficients, inverse * variance, variance)


def _worst(
    share: Tensor, coarse: Tensor, exact: Tensor, centred: Tensor, size: Tensor, line: _Line, tolerance: float
) -> Tensor:
    """The channels to score again next, none where the map is good enough."""
    bound = 2 * tolerance * (share @ centred).square().sum()
    harm = torch.where(exact, 0.0, line.variance.clamp_max(_HOPELESS).expm1() * (share * size).square())
    doubtful = torch.where(exact, 0.0, share)[:, None] * _design(coarse)
    moved = doubtful.T @ centred  # (2, h·w), how the map moves with the line's intercept and slope
    if not bool(harm.sum() + ((line.covariance @ moved) * moved).sum() > bound):
        return exact.new_empty(0, dtype=torch.long)
    worst, order = harm.sort(descending=True)
    # What remains if the first n are exact is to be half of the bound; the other half is for the line.
    enough = int((worst.sum() - worst.cumsum(0) > bound / 2).sum()) + 1
    first = order[: max(enough, SAMPLE)]
    return first[~exact[first]]
