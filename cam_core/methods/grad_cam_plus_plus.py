"""Grad-CAM++: positive gradients, weighted so that several instances of a class count alike."""

from __future__ import annotations

from cam_core.maps import divide
from cam_core.methods.gradients import class_gradient
from cam_core.methods.registry import method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "grad-cam++",
    title="Grad-CAM++",
    plain=(
        "Grad-CAM that counts only where raising a channel helps the class, and lets small regions count as much as "
        "large."
    ),
    family="Gradients",
    paper=(
        "Chattopadhyay et al., “Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks”, WACV 2018, "
        "arXiv:1710.11063, eq. 19"
    ),
    formula="w_k = Σ_ij a · ReLU(g), a = g² / (2g² + (Σ A_k) g³)",
    cost="one forward and backward pass of the tail",
    planned=one_gradient,
    fails="The closed form takes exp(logit) for the score; its denominator can vanish or change sign.",
    score="logit; the weights a assume its exponential",
    unit="logits per unit of activation",
    signed=False,
    claim="Covers several instances of a class where Grad-CAM finds one.",
)
def grad_cam_plus_plus(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """w_k = Σ_ij a_k · ReLU(g_k), with a_k = g_k² / (2 g_k² + (Σ_ab A_k) g_k³), and a_k = 0 where the denominator is 0.

    Returns:
        (B, K), not negative where the weights a are not.
    """
    gradient = class_gradient(net, acts, target)
    squared = gradient**2
    denominator = 2 * squared + acts.sum(dim=(2, 3), keepdim=True) * squared * gradient
    return (divide(squared, denominator) * gradient.relu()).sum(dim=(2, 3))
