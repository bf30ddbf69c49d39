"""SS-CAM: Score-CAM with each mask's score averaged over noise on the mask."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from cam_core.declarations.parameters import MaskSpace, Parameter
from cam_core.methods.channel_shares import Score, channel_shares
from cam_core.methods.registry import Planned, method
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "ss-cam",
    title="SS-CAM",
    plain="Score-CAM with every mask shown many times, under noise.",
    family="Masks",
    paper=(
        "Wang et al., “SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization”, 2020, arXiv:2006.14255, "
        "eq. 6"
    ),
    formula="w = softmax_k(mean over n of score(x · (u_k + noise)))",
    cost="n full passes per distinct channel",
    planned=lambda site, p: Planned(p["samples"] * site.channels, p["samples"] * site.channels),
    fails="Very slow; at σ = 2 the noise is larger than the mask.",
    score="logit, or probability",
    unit="share (sums to 1)",
    signed=False,
    stochastic=True,
    expensive=True,
    claim="Smoothing makes Score-CAM's maps more stable.",
)
def ss_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    samples: Annotated[int, Parameter("noisy copies of each mask", low=1, high=256)] = 35,
    sigma: Annotated[
        float, Parameter("standard deviation of the noise on the mask", title="noise, σ", low=0, high=10)
    ] = 2.0,
    score: Score = "logit",
    mask_space: MaskSpace = "normalized",
) -> Coefficients:
    """Score-CAM with s_k averaged over `samples` masks u_k + N(0, σ²), noise drawn per pixel.

    Returns:
        (B, K), not negative, summing to 1.
    """

    def noisy(masks: Tensor, channels: Tensor, variants: Tensor) -> Tensor:
        streams = (channels * samples + variants + 1).tolist()
        draws = [torch.randn(masks.shape[1:], generator=run.generator(stream)) for stream in streams]
        return masks + sigma * torch.stack(draws).to(masks)

    return channel_shares(
        net, image, acts, target, run, score=score, mask_space=mask_space, variants=samples, vary=noisy
    )
