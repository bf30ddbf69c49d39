"""Score-CAM: weight each channel by the score of the image masked with it."""

from __future__ import annotations

import torch

from cam_core.masked import channel_masks, distinct_channels
from cam_core.methods.registry import Parameter, method
from cam_core.models.split import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images

SCORE = Parameter("score", "logit", "what the masked image is scored by", choices=("logit", "probability"))
MASK_SPACE = Parameter(
    "mask_space",
    "normalized",
    "what a masked pixel becomes: the mean colour (normalized) or black (pixel)",
    choices=("normalized", "pixel"),
)


@method(
    "score-cam",
    title="Score-CAM",
    paper="Wang et al. 2020, arXiv:1910.01279, eq. 6–8",
    formula="w = softmax_k(score(x · n(up(A_k))) − score(0))",
    cost="one full pass per distinct channel",
    fails="Slow; the softmax over channels lets a handful of them decide.",
    unit="share (sums to 1)",
    signed=False,
    expensive=True,
    claim="Better AD and AI than gradient methods, without gradients.",
    parameters=(SCORE, MASK_SPACE),
)
def score_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    score: str,
    mask_space: str,
) -> Coefficients:
    """w = softmax over k of s_k = score(x · u_k) − score(baseline), with u_k = n(up(A_k)).

    The baseline's score is the same for all k, so the softmax takes it out again: it is not computed. A constant
    channel
    masks everything and scores what the baseline scores.

    Returns:
        (B, K), not negative, summing to 1.
    """
    channels = [distinct_channels(sample) for sample in acts]
    run.expect(sum(len(distinct) for distinct, _ in channels))
    weights = []
    for index, (distinct, inverse) in enumerate(channels):
        picture = image[index : index + 1]
        masks = channel_masks(distinct, (picture.shape[-2], picture.shape[-1]))
        scores = run.masked(net, picture, masks, len(distinct), target[index], score=score, mask_space=mask_space)
        weights.append(scores[inverse].softmax(0))
    return torch.stack(weights)
