"""Shares by the scores of masked images, one mask per channel, for Score-CAM, SS-CAM and IS-CAM; their parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, TypeAlias

import torch
from torch import Tensor

from cam_core import maps
from cam_core.declarations.parameters import Parameter
from cam_core.masked import distinct_channels
from cam_core.methods.rescoring import rescored
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images

Score: TypeAlias = Annotated[Literal["logit", "probability"], Parameter("what the masked image is scored by")]

Vary = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`vary(masks, channels, variants)`: (n, H, W) masks, (n,) channel and variant of each, on the CPU → (n, H, W)."""


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

    Channels with the same mask are scored once. In a coarse precision, those that decide about the map are scored again
    in float32: see `rescored`.
    """
    scores = []
    for index, sample in enumerate(acts):
        masked = _Masked(image[index : index + 1], sample, target[index], run, score, mask_space, variants, vary)
        row, again = _scores(net, masked)
        scores.append(row)
        if 2 * sum(again) > len(again):
            counts = f"{sum(again)} of {len(again)}"
            run.warn(index, f"{net.precision} is too coarse here: {counts} masks were scored again in float32.")
    return torch.stack(scores).softmax(1)


def _scores(net: SplitModel, masked: _Masked) -> tuple[Tensor, list[bool]]:
    """(K,) scores, and which of the distinct masks were scored again."""
    first, kind = distinct_channels(masked.acts)
    scores = masked.scores(net, first)
    exact = net.exact()
    if exact is None:
        return scores[kind], []
    # What the share of one kind of channels is multiplied by: their sum.
    parts = torch.zeros_like(masked.acts[first]).index_add_(0, kind, masked.acts)
    scores, certain = rescored(scores, parts, lambda kinds: masked.scores(exact, first[kinds]))
    return scores[kind], certain.tolist()


@dataclass(frozen=True)
class _Masked:
    """One image (1, channels, H, W), and its activations (K, h, w) to mask it with."""

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
        rows = partial(self._masks, channels, channels.cpu())
        each = self.run.masked(net, self.image, rows, count, self.target, score=self.score, mask_space=self.mask_space)
        return each.view(len(channels), self.variants).mean(1)

    def _masks(self, channels: Tensor, on_cpu: Tensor, start: int, stop: int) -> Tensor:
        """Rows ordered channel by channel, each channel's variants together; built when their batch comes.

        Args:
            on_cpu: `channels` once more, for `vary` not to ask the device for them.
        """
        place = torch.arange(start, stop, device=self.acts.device) // self.variants
        size = (self.image.shape[-2], self.image.shape[-1])
        masks = maps.normalise(maps.upsample(self.acts[channels[place]], size))
        index = torch.arange(start, stop)
        return self.vary(masks, on_cpu[index // self.variants], index % self.variants)
