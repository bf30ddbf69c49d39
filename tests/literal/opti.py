"""Opti-CAM: the authors' loop, for one image, with Adam written out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.literal.activation_cams import Blend
from tests.literal.network import Hooked, LiteralMap, upsample

NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "min-max": lambda s: (s - s.min()) / (s.max() - s.min()),
    "max": lambda s: s / s.max(),
    "sigmoid": torch.sigmoid,
}


def opti_cam(
    net: Hooked,
    x: Tensor,
    target: int,
    blend: Blend,
    iterations: int = 100,
    rate: float = 0.1,
    normalisation: str = "min-max",
    difference: bool = False,
    mixed: Tensor | None = None,
) -> tuple[LiteralMap, list[float]]:
    """Opti-CAM (2301.07002, eq. 8 to 11) and the objective F at each step.

    S = Σ_k softmax(u)_k · ReLU(A_k); F = y_c(x · n(up(S))), or −|y_c(x) − F| if `difference`; u starts at 0.5 and
    climbs F by Adam. Every iterations // 10 steps the climb stops if F fell since the last such check; what is returned
    is the map before the last step, as in the authors' code. A constant map has no n: the climb stops there.

    Args:
        blend: masks (M, H, W) and image (3, H, W) → masked images.
        mixed: maps (K, h, w) in place of the layer's channels.
    """
    acts = net.activations(x)[0].clamp(min=0) if mixed is None else mixed
    plain = net.logits(x)[0, target]
    u = torch.full((len(acts),), 0.5, dtype=torch.float64)
    first, second = torch.zeros_like(u), torch.zeros_like(u)
    trace: list[float] = []
    checked = -float("inf")
    judged = u
    for step in range(iterations):
        judged = u.clone().requires_grad_()
        large = upsample(_combine(judged, acts), (x.shape[-2], x.shape[-1]))
        if large.max() == large.min():
            break
        mask = NORMALISATIONS[normalisation](large)
        worth = net.run(blend(mask[None], x[0].double()))[0, target]
        objective = -(plain - worth).abs() if difference else worth
        trace.append(float(objective.detach()))
        if step % max(iterations // 10, 1) == 0:
            if trace[-1] < checked:
                break
            checked = trace[-1]
        (gradient,) = torch.autograd.grad(objective, judged)
        u, first, second = adam(u, -gradient, first, second, step + 1, rate)
    judged = judged.detach()
    return LiteralMap(_combine(judged, acts), judged.softmax(dim=0)), trace


def _combine(u: Tensor, acts: Tensor) -> Tensor:
    return (u.softmax(dim=0)[:, None, None] * acts).sum(dim=0)


def adam(
    u: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of Adam (Kingma & Ba 2015, algorithm 1), betas 0.9 and 0.999, epsilon 1e-8."""
    first = 0.9 * first + 0.1 * gradient
    second = 0.999 * second + 0.001 * gradient**2
    corrected, spread = first / (1 - 0.9**step), second / (1 - 0.999**step)
    return u - rate * corrected / (spread.sqrt() + 1e-8), first, second
