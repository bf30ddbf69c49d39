"""Shares by the scores of masked images, one mask a channel, for Score-CAM, SS-CAM and IS-CAM; their parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cam_core import maps
from cam_core.masked import distinct_channels
from cam_core.methods.registry import Parameter
from cam_core.methods.rescoring import rescored
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


def channel_shares(
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
    """Softmax over the channels of the mean score of x · vary(n(up(A_k))) over each mask's variants: (B, K).

    Channels with the same mask are scored once. In bfloat16, those that decide about the map are scored again in
    float32: see `rescored`.
    """
    shares = []
    for index, sample in enumerate(acts):
        masked = _Masked(image[index : index + 1], sample, target[index], run, score, mask_space, variants, vary)
        first, kind = distinct_channels(sample)
        scores = masked.scores(net, first)
        exact = net.exact()
        if exact is not None:
            scores, certain = rescored(scores, _summed(sample, kind), partial(_scores_of, masked, exact, first))
            _warn_if_most(certain, run, index)
        shares.append(scores[kind].softmax(0))
    return torch.stack(shares)


@dataclass(frozen=True)
class _Masked:
    """One image (1, 3, H, W), and its activations (K, h, w) to mask it with."""

    image: Images
    acts: Tensor
    target: Tensor
    run: Run
    score: str
    mask_space: str
    variants: int
    vary: Vary

    def scores(self, net: SplitModel, channels: Tensor) -> Tensor:
        """(n,) mean score over the variants of the masks of `channels` (n,)."""
        count = len(channels) * self.variants
        self.run.expect(count)
        rows = partial(self._masks, channels)
        each = self.run.masked(net, self.image, rows, count, self.target, score=self.score, mask_space=self.mask_space)
        return each.view(len(channels), self.variants).mean(1)

    def _masks(self, channels: Tensor, start: int, stop: int) -> Tensor:
        """Rows ordered channel by channel, each channel's variants together; built when their batch comes."""
        index = torch.arange(start, stop, device=self.acts.device)
        wanted = channels[index // self.variants]
        masks = maps.normalise(maps.upsample(self.acts[wanted], (self.image.shape[-2], self.image.shape[-1])))
        return self.vary(masks, wanted, index % self.variants)


def _summed(acts: Tensor, kind: Tensor) -> Tensor:
    """What the share of one kind of channels is multiplied by: their sum, (D, h, w)."""
    return acts.new_zeros(int(kind.max()) + 1, *acts.shape[1:]).index_add_(0, kind, acts)


def _scores_of(masked: _Masked, net: SplitModel, first: Tensor, kinds: Tensor) -> Tensor:
    return masked.scores(net, first[kinds])


def _warn_if_most(certain: Tensor, run: Run, sample: int) -> None:
    count = int(certain.sum())
    if 2 * count > len(certain):
        run.warn(sample, f"bfloat16 is too coarse here: {count} of {len(certain)} masks were scored again in float32.")
