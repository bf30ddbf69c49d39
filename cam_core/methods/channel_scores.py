"""Scores of the image masked by each channel, shared by Score-CAM, SS-CAM and IS-CAM, and their parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cam_core import maps
from cam_core.masked import distinct_channels
from cam_core.methods.registry import Parameter
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

Vary = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`vary(masks, channels, variants)`: (n, H, W) masks, (n,) channel and variant of each → (n, H, W)."""


def channel_scores(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    *,
    score: str,
    mask_space: str,
    variants: int = 1,
    vary: Vary = lambda masks, channels, variants: masks,
) -> Coefficients:
    """Mean score of x · vary(n(up(A_k))) over the variants of each channel's mask: (B, K).

    Channels with the same mask are scored once.
    """
    kinds = [distinct_channels(sample) for sample in acts]
    run.expect(sum(len(first) for first, _ in kinds) * variants)
    size = (image.shape[-2], image.shape[-1])
    scores = []
    for index, (first, kind) in enumerate(kinds):
        rows = _mask_rows(acts[index], first, size, variants, vary)
        picture, count = image[index : index + 1], len(first) * variants
        each = run.masked(net, picture, rows, count, target[index], score=score, mask_space=mask_space)
        scores.append(each.view(len(first), variants).mean(1)[kind])
    return torch.stack(scores)


def _mask_rows(
    acts: Tensor, first: Tensor, size: tuple[int, int], variants: int, vary: Vary
) -> Callable[[int, int], Tensor]:
    """Rows ordered channel by channel, each channel's variants together; built when their batch comes."""

    def rows(start: int, stop: int) -> Tensor:
        index = torch.arange(start, stop, device=acts.device)
        channels = first[index // variants]
        masks = maps.normalise(maps.upsample(acts[channels], size))
        return vary(masks, channels, index % variants)

    return rows
