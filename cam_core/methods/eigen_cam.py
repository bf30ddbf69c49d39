"""Eigen-CAM: the first principal component of the activations; knows no class."""

from __future__ import annotations

from cam_core.methods.principal import first_component
from cam_core.methods.registry import method, no_pass
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, RawMap


@method(
    "eigen-cam",
    title="Eigen-CAM",
    plain="Shows the pattern that most channels have in common, whatever the class.",
    family="Forward pass",
    paper=(
        "Muhammad & Yeasin, “Eigen-CAM: Class Activation Map using Principal Components”, IJCNN 2020, "
        "arXiv:2008.00299, eq. 4"
    ),
    formula="map = projection of A on its first principal direction, centred over positions",
    cost="no pass beyond the prediction; one eigendecomposition",
    planned=no_pass,
    fails="Knows no class: every class gets the same map.",
    score="none",
    class_specific=False,
    claim="Needs no gradient and no class to find the object.",
)
def eigen_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> RawMap:
    """The projection of the (hw × K) activations on their first principal direction: (B, h, w), signed.

    Its sign is chosen to correlate positively with mean_k |A_k|.
    """
    return first_component(acts, sign_from=acts.abs().mean(dim=1))
