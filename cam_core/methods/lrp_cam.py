"""LRP-CAM: each channel's relevance by layer-wise relevance propagation, LIFT-CAM's sibling."""

from __future__ import annotations

from cam_core.deeplift import RelevanceMode, check_rules, relevance
from cam_core.methods.registry import method, one_gradient
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "lrp-cam",
    title="LRP-CAM",
    plain="Hands the score back through the network, layer by layer: each channel gets what it gave.",
    family="Fair shares",
    paper="Jung & Oh 2021, arXiv:2102.05228, section 4; relevance by the ε-rule of Bach et al. 2015",
    formula="α_k = Σ_ij of the relevance of A_k(i, j) for y_c",
    cost="one forward and backward pass of the tail",
    planned=one_gradient,
    fails="Biases absorb relevance. Not before a gate (squeeze-and-excitation), a softmax or a layer norm.",
    unit="logits",
    exact=False,
    check=lambda net, image, acts: check_rules(net, acts, RelevanceMode),
    claim="Another one-pass approximation of SHAP values, less close than LIFT-CAM's.",
)
def lrp_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """α_k = Σ_ij R_k(i, j), R the relevance of the activations for the class logit.

    Returns:
        (B, K), logits, signed.
    Raises:
        UnsupportedOperation: the tail contains an operation without a rule; it is named.
    """
    return relevance(net, acts, target).to(acts.dtype).sum(dim=(2, 3))
