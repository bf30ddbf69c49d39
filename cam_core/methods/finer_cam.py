"""Finer-CAM: explain what tells the class apart from the classes nearest to it."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.masked import class_score
from cam_core.methods.gradients import score_gradient
from cam_core.methods.registry import method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images, Logits, MethodError


@method(
    "finer-cam",
    title="Finer-CAM",
    plain="Grad-CAM of what sets the class apart from the classes that are most like it.",
    family="Gradients",
    paper=(
        "Zhang et al., “Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation”, 2025, "
        "arXiv:2501.11309, eq. 5"
    ),
    formula="Grad-CAM of y_c − γ · mean_j y_{d_j}, d_j the classes whose logits are nearest to y_c",
    cost="one forward and backward pass of the tail",
    planned=one_gradient,
    fails="Where the near classes look nothing alike, it subtracts what is irrelevant.",
    score="logit less γ times the mean of the nearest classes' logits",
    unit="logits per unit of activation",
    claim="Shows what discriminates look-alike classes.",
    check=lambda net, image, acts: _check_classes(net.tail(acts)),
)
def finer_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    gamma: Annotated[
        float, Parameter("how much of the other classes is subtracted", title="share subtracted, γ", low=0, high=2)
    ] = 0.6,
    others: Annotated[
        int, Parameter("how many nearest classes to compare with", title="classes compared", low=1, high=100)
    ] = 3,
) -> Coefficients:
    """w_k = mean_ij of the gradient of y_c − γ · mean_j y_{d_j}.

    Returns:
        (B, K), signed.
    """

    def contrast(logits: Logits) -> Tensor:
        _check_classes(logits)
        near = nearest_classes(logits.detach(), target, others)
        return class_score(logits, target) - gamma * logits.gather(1, near).mean(1)

    return score_gradient(net, acts, contrast).mean(dim=(2, 3))


def _check_classes(logits: Logits) -> None:
    if logits.shape[1] == 1:
        raise MethodError("finer-cam sets a class apart from those nearest to it: ask it about a class")


def nearest_classes(logits: Logits, target: ClassIndex, count: int) -> Tensor:
    """The `count` classes, fewer where there are fewer, whose logits are nearest to the target's: (B, count)."""
    distance = (logits - logits.gather(1, target[:, None])).abs()
    distance = distance.scatter(1, target[:, None], torch.inf)
    return distance.topk(min(count, logits.shape[1] - 1), dim=1, largest=False).indices
