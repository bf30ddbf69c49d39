"""Grad-CAM: weight each channel by the mean gradient of the class score."""

from __future__ import annotations

from cam_core.methods.gradients import class_gradient
from cam_core.methods.registry import SAME_GRADIENT, Pooled, method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "grad-cam",
    title="Grad-CAM",
    plain="Asks how strongly each channel would raise the class's score, and adds the channels up by that.",
    family="Gradients",
    paper=(
        "Selvaraju et al., “Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization”, ICCV "
        "2017, arXiv:1610.02391, eq. 1"
    ),
    formula="w_k = mean_ij g_k",
    cost="one forward and backward pass of the tail",
    planned=one_gradient,
    pooled=Pooled(SAME_GRADIENT),
    fails="Averaging gradients over positions loses where they act; misleading at early layers.",
    unit="logits per unit of activation",
    claim="Generalises CAM to any differentiable tail.",
)
def grad_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """w_k = mean over (i, j) of d y_c / d A_k(i, j).

    Args:
        net: its tail `tail` maps activations (B, K, h, w) to logits (B, C).
        acts: (B, K, h, w), the layer's output.
        target: (B,) int64, the explained class.
    Returns:
        (B, K), logits per unit of activation, signed.
    """
    return class_gradient(net, acts, target).mean(dim=(2, 3))
