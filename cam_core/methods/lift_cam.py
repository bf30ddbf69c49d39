"""LIFT-CAM: one DeepLIFT pass approximates each channel's Shapley value."""

from __future__ import annotations

from cam_core.deeplift import RuleMode, check_rules, contributions
from cam_core.methods.registry import SAME_SHARES, Planned, Pooled, method
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images, Passes


@method(
    "lift-cam",
    title="LIFT-CAM",
    plain="Splits the score among the channels in one backward pass: an estimate of each channel's fair share.",
    family="Fair shares",
    paper="Jung & Oh, “Towards Better Explanations of Class Activation Mapping”, ICCV 2021, arXiv:2102.05228",
    formula="α_k = Σ_ij of the DeepLIFT (Rescale) contribution of A_k to y_c, reference 0",
    cost="one forward and backward pass of the tail; one more forward pass where skip connections cross the cut",
    planned=lambda site, p: Planned(tail=2 if site.skipped else 1, backward=Passes(0, 2)),
    pooled=Pooled(SAME_SHARES),
    fails="At tails far from linear, one pass along one path can be far from the Shapley value.",
    unit="logits",
    exact=False,
    check=lambda net, image, acts: check_rules(net, acts, RuleMode),
    claim="Its coefficients are closer to the SHAP values than those of other CAMs, at Grad-CAM's speed.",
)
def lift_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """α_k = Σ_ij of the DeepLIFT-Rescale contribution of A_k(i, j), reference 0.

    Returns:
        (B, K) in logits; they sum to y_c(A) − y_c(0), and equal the exact Shapley values if the tail is affine.
    Raises:
        UnsupportedOperation: the tail contains an operation without a Rescale rule; it is named.
    """
    result = contributions(net, acts, None, target)
    for index, sentences in enumerate(result.warnings):
        for sentence in sentences:
            run.warn(index, sentence)
    return result.values.sum(dim=(2, 3))
