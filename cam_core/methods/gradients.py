"""The gradient of the class score with respect to the activations, shared by the gradient methods."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cam_core.masked import class_score
from cam_core.models.precision import computing_in
from cam_core.models.split.model import SplitModel
from cam_core.types import Activations, ClassIndex, Logits


def class_gradient(net: SplitModel, acts: Activations, target: ClassIndex) -> Activations:
    """g = d y_c / d A: (B, K, h, w), one forward and one backward pass of the tail."""
    return score_gradient(net, acts, lambda logits: class_score(logits, target))


def score_gradient(net: SplitModel, acts: Activations, score: Callable[[Logits], Tensor]) -> Activations:
    """The gradient (B, K, h, w) of any per-sample score (B,) of the logits (B, C)."""
    acts = acts.detach().requires_grad_()
    with torch.enable_grad():
        value = score(net.tail(acts)).sum()
    with computing_in(net.precision, acts.device):
        (gradient,) = torch.autograd.grad(value, acts)
    return gradient
