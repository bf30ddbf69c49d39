"""XGrad-CAM: gradients averaged with each channel's own activation as weight."""

from __future__ import annotations

from cam_core.maps import divide
from cam_core.methods.gradients import class_gradient
from cam_core.methods.registry import SAME_GRADIENT, Pooled, method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "xgrad-cam",
    title="XGrad-CAM",
    plain="Grad-CAM that asks for each channel mainly where that channel is active.",
    family="Gradients",
    paper=(
        "Fu et al., “Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs”, BMVC 2020, "
        "arXiv:2008.02312, eq. 8"
    ),
    formula="w_k = Σ_ij (A_k / Σ_ab A_k) g_k",
    cost="one forward and backward pass of the tail",
    planned=one_gradient,
    pooled=Pooled(SAME_GRADIENT),
    fails="Channels whose activations sum to nearly zero get huge weights where activations are signed.",
    unit="logits per unit of activation",
    claim="Satisfies sensitivity and conservation more closely than Grad-CAM.",
)
def xgrad_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """w_k = Σ_ij (A_k(i, j) / Σ_ab A_k) · g_k(i, j); a channel that sums to 0 gets 0.

    Returns:
        (B, K), logits per unit of activation, signed.
    """
    gradient = class_gradient(net, acts, target)
    return divide((acts * gradient).sum(dim=(2, 3)), acts.sum(dim=(2, 3)))
