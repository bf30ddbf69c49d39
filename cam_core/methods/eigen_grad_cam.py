"""Eigen-Grad-CAM: the first principal component of gradient times activation."""

from __future__ import annotations

from cam_core.methods.gradients import class_gradient
from cam_core.methods.principal import first_component
from cam_core.methods.registry import method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, RawMap


@method(
    "eigen-grad-cam",
    title="Eigen-Grad-CAM",
    plain="The pattern that most channels have in common once each point is weighted by its gradient for the class.",
    family="Gradients",
    paper=(
        "after Muhammad & Yeasin, “Eigen-CAM: Class Activation Map using Principal Components”, IJCNN 2020, "
        "arXiv:2008.00299; as in the PyPI package grad-cam"
    ),
    formula="map = projection of g · A on its first principal direction, centred over positions",
    cost="one forward and backward pass of the tail; one eigendecomposition",
    planned=one_gradient,
    fails="The direction of largest variance need not be the one that speaks for the class.",
    claim="Eigen-CAM's clean maps, told apart by class.",
)
def eigen_grad_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> RawMap:
    """The projection of the (hw × K) values g · A on their first principal direction: (B, h, w), signed.

    Its sign is chosen to correlate positively with mean_k |g_k A_k|.
    """
    weighted = class_gradient(net, acts, target) * acts
    return first_component(weighted, sign_from=weighted.abs().mean(dim=1))
