"""The learning rate over a run."""

from __future__ import annotations

import math

_WARM_UP = 0.05  # share of all steps
_DROPS = (0.5, 0.75)  # shares of the run at which a stepwise rate falls to a tenth


def learning_rate(highest: float, schedule: str, step: int, steps: int) -> float:
    """The rate of one optimiser step.

    Args:
        highest: what it warms up to, linearly.
        schedule: "cosine" (Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts) or "step" (He et al. 2016).
        step: from 0 to `steps` − 1.
    """
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return highest * (step + 1) / warm_up
    if schedule == "step":
        return highest * 0.1 ** sum(step >= share * steps for share in _DROPS)
    return highest * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2
