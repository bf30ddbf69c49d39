"""HiResCAM: gradient times activation at every position, summed over channels."""

from __future__ import annotations

from cam_core.methods.gradients import class_gradient
from cam_core.methods.registry import SAME_GRADIENT, Pooled, method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, RawMap


@method(
    "hires-cam",
    title="HiResCAM",
    plain="Grad-CAM point by point: a channel may speak for the class at one place and against it at another.",
    family="Gradients",
    paper=(
        "Draelos & Carin, “Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural "
        "networks”, 2020, arXiv:2011.08891, eq. 5"
    ),
    formula="map = Σ_k g_k · A_k",
    cost="one forward and backward pass of the tail",
    planned=one_gradient,
    pooled=Pooled(SAME_GRADIENT),
    fails="Gradients of deep nonlinear tails are noisy position by position.",
    claim="Reflects exactly where a linear tail looked, which Grad-CAM blurs.",
)
def hires_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> RawMap:
    """map = Σ_k g_k · A_k, elementwise: (B, h, w), logits, signed."""
    return (class_gradient(net, acts, target) * acts).sum(dim=1)
