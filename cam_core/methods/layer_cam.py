"""LayerCAM: positive gradients times activation at every position, usable at early layers."""

from __future__ import annotations

from cam_core.methods.gradients import class_gradient
from cam_core.methods.registry import method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, RawMap


@method(
    "layer-cam",
    title="LayerCAM",
    plain="Weights every point of every channel by how much raising it there helps the class.",
    family="Gradients",
    paper=(
        "Jiang et al., “LayerCAM: Exploring Hierarchical Class Activation Maps for Localization”, 2021, "
        "doi:10.1109/TIP.2021.3089943, eq. 5"
    ),
    formula="map = Σ_k ReLU(g_k) · A_k",
    cost="one forward and backward pass of the tail",
    planned=one_gradient,
    fails="Ignores all evidence against the class, so it tells similar classes apart poorly.",
    claim="Gives fine-grained maps at shallow layers.",
)
def layer_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> RawMap:
    """map = Σ_k ReLU(g_k) · A_k, elementwise: (B, h, w), logits; negative only where activations are."""
    return (class_gradient(net, acts, target).relu() * acts).sum(dim=1)
