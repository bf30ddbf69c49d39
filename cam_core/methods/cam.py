"""CAM: the classifier's own weights, where the tail is global average pooling and one linear layer."""

from __future__ import annotations

from cam_core.methods.registry import SAME_GRADIENT, Pooled, method, no_pass
from cam_core.models.split.model import SplitModel
from cam_core.models.tails import pooled_linear
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "cam",
    title="CAM",
    plain="Adds the channels up, each weighted as the network's last layer weights it for the class.",
    family="Forward pass",
    paper="Zhou et al., “Learning Deep Features for Discriminative Localization”, CVPR 2016, arXiv:1512.04150, eq. 2",
    formula="w_k = W[c, k] of the linear layer",
    cost="no pass beyond the prediction",
    planned=no_pass,
    pooled=Pooled(SAME_GRADIENT),
    fails="Only where the tail is global average pooling and one linear layer: the end of ResNets and kin.",
    unit="logits per unit of mean activation",
    check=lambda net, image, acts: pooled_linear(net.halves),
    claim="Pooled linear networks localise without being told where.",
)
def cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """w_k = W[c, k].

    Returns:
        (B, K), logits per unit of mean activation, signed.
    Raises:
        MethodError: another tail; what stands in the way is named.
    """
    return pooled_linear(net.halves).weight[target].to(acts.dtype)
