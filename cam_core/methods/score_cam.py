"""Score-CAM: weight each channel by the score of the image masked with it."""

from __future__ import annotations

from cam_core.declarations.parameters import MaskSpace
from cam_core.methods.channel_shares import Score, channel_shares
from cam_core.methods.registry import Planned, method
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "score-cam",
    title="Score-CAM",
    plain=(
        "Shows the network the photo through each channel as a mask, and weights the channel by the score that this "
        "gets."
    ),
    family="Masks",
    paper=(
        "Wang et al., “Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks”, CVPRW 2020, "
        "arXiv:1910.01279, eq. 6–8"
    ),
    formula="w = softmax_k(score(x · u_k) − score(baseline)), u_k = n(up(A_k))",
    cost="one full pass per distinct channel",
    planned=lambda site, p: Planned(site.channels, site.channels),
    fails="Slow; the softmax over channels lets a handful of them decide.",
    score="logit, or probability",
    unit="share (sums to 1)",
    signed=False,
    expensive=True,
    claim="Better AD and AI than gradient methods, without gradients.",
)
def score_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    score: Score = "logit",
    mask_space: MaskSpace = "normalized",
) -> Coefficients:
    """w = softmax over k of s_k = score(x · u_k) − score(baseline), with u_k = n(up(A_k)).

    The baseline's score is the same for all k, so the softmax takes it out again: it is not computed. A constant
    channel masks everything and scores what the baseline scores.

    Returns:
        (B, K), not negative, summing to 1.
    """
    return channel_shares(net, image, acts, target, run, score=score, mask_space=mask_space)
