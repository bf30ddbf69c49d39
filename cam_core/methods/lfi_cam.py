"""LFI-CAM: the map by which an LFI network weighs its own features; it comes with the prediction."""

from __future__ import annotations

from torch import Tensor

from cam_core.methods.registry import Planned, Result, method
from cam_core.models.split.model import SplitModel
from cam_core.models.trainable.lfi import MAP_MODULE, WEIGHTS_MODULE
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, MethodError


def _outputs(net: SplitModel, image: Images, acts: Activations) -> tuple[Tensor, ...]:
    """The network's channel weights (B, K) and weighted map (B, h, w).

    Raises:
        MethodError: the network is no LFI network, or the layer is neither its features nor its attended features.
    """
    outputs = net.outputs_of(image, acts, (WEIGHTS_MODULE, MAP_MODULE))
    if outputs is None:
        raise MethodError(
            "lfi-cam is the attention of an LFI network, and this is none: take lfi_digits, or an LFI network that you "
            "have trained"
        )
    weights, weighted = outputs
    if acts.shape[1:] != (weights.shape[1], *weighted.shape[1:]):
        expected, given = (weights.shape[1], *weighted.shape[1:]), acts.shape[1:]
        raise MethodError(
            f"lfi-cam weighs the LFI network's last features ({_size(expected)}), not this layer ({_size(given)}): "
            "choose the layer 'features' or 'attended'"
        )
    return outputs


@method(
    "lfi-cam",
    title="LFI-CAM",
    plain="The map by which this network itself weights its features: a part of its prediction, not an afterthought.",
    family="Forward pass",
    paper=(
        "Lee et al., “LFI-CAM: Learning Feature Importance for Better Visual Explanation”, ICCV 2021, "
        "arXiv:2105.00937, section 3"
    ),
    formula="w = softmax(GAP(FIN(n(A_k) · grey image))), map = Σ_k w_k A_k",
    cost="a forward pass, the one that predicts",
    planned=lambda site, p: Planned(head=1),
    fails="Only on a network built and trained as LFI-CAM; its map is the same for every class.",
    score="none",
    unit="share (sums to 1)",
    signed=False,
    class_specific=False,
    check=_outputs,
    claim="Accurate as the plain network, with maps that differ half as much from training to training as ABN's.",
)
def lfi_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Result:
    """The network's own channel weights, and Σ_k w_k A_k before ReLU, A the features that its attention is made of.

    At the attended features A' = A · (1 + att) the weights and the map are still those of A.

    Returns:
        (B, K), positive, summing to 1, and the map (B, h, w).
    Raises:
        MethodError: the network is no LFI network, or the layer is neither its features nor its attended features.
    """
    weights, weighted = _outputs(net, image, acts)
    return Result(coefficients=weights, map=weighted)


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
