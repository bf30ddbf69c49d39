"""LRP-CAM: each channel's relevance by layer-wise relevance propagation, LIFT-CAM's sibling."""

from __future__ import annotations

import torch

from cam_core.methods.captum_tail import captum, owned_tail
from cam_core.methods.registry import method
from cam_core.models.precision import computing_in
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images, UnsupportedOperation


@method(
    "lrp-cam",
    title="LRP-CAM",
    paper="Jung & Oh 2021, arXiv:2102.05228, section 4; relevance by Captum's LRP (ε-rule)",
    formula="α_k = Σ_ij of the relevance of A_k(i, j) for y_c",
    cost="one forward and backward pass of the tail",
    fails="Only for tails made of plain modules (linear, pooling, ReLU, batch norm); biases absorb relevance.",
    unit="logits",
    exact=False,
    claim="Another one-pass approximation of SHAP values, less close than LIFT-CAM's.",
)
def lrp_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """α_k = Σ_ij R_k(i, j), R the relevance of the activations for the class logit.

    Returns:
        (B, K), logits, signed.
    Raises:
        UnsupportedOperation: Captum has no rule for an operation of the tail; it is named.
        MethodError: Captum is not installed.
    """
    lrp = captum("attr", "lrp-cam").LRP
    tail = owned_tail(net, "lrp-cam")
    with torch.enable_grad(), computing_in(net.precision, acts.device):
        try:
            relevance = lrp(tail).attribute(acts.detach().clone().requires_grad_(), target=target)
        except TypeError as error:
            raise UnsupportedOperation(f"lrp-cam cannot propagate relevance through this tail: {error}") from None
    summed: Coefficients = relevance.detach().sum(dim=(2, 3))
    return summed
