"""IS-CAM: Score-CAM with each mask's score averaged along the path from nothing to the whole mask."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from cam_core.declarations.parameters import MaskSpace, Parameter
from cam_core.methods.channel_shares import Score, channel_shares
from cam_core.methods.registry import Planned, method
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "is-cam",
    title="IS-CAM",
    plain="Score-CAM with every mask shown at several strengths, from faint to full.",
    family="Masks",
    paper=(
        "Naidu et al., “IS-CAM: Integrated Score-CAM for axiomatic-based explanations”, 2020, arXiv:2010.03023, eq. 7"
    ),
    formula="w = softmax_k(mean over i = 1 … n of score(x · (i/n) u_k))",
    cost="n full passes per distinct channel",
    planned=lambda site, p: Planned(p["steps"] * site.channels, p["steps"] * site.channels),
    fails="Very slow; the faint masks of the path score images the network never saw.",
    score="logit, or probability",
    unit="share (sums to 1)",
    signed=False,
    expensive=True,
    claim="Integrating over the mask's strength sharpens Score-CAM.",
)
def is_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    steps: Annotated[int, Parameter("points on the path", low=1, high=256)] = 10,
    score: Score = "logit",
    mask_space: MaskSpace = "normalized",
) -> Coefficients:
    """Score-CAM with s_k averaged over the masks (i/n) · u_k, i = 1 … n.

    Returns:
        (B, K), not negative, summing to 1.
    """

    def scaled(masks: Tensor, channels: Tensor, variants: Tensor) -> Tensor:
        return masks * ((variants + 1) / steps).to(masks)[:, None, None]

    return channel_shares(
        net, image, acts, target, run, score=score, mask_space=mask_space, variants=steps, vary=scaled
    )
