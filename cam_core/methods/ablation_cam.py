"""Ablation-CAM: weight each channel by the share of the class score that is lost without it."""

from __future__ import annotations

import torch
from torch import Tensor

from cam_core.masked import class_score, tail_rows
from cam_core.methods.registry import SAME_SHARES, Planned, Pooled, method
from cam_core.models.batching import in_batches
from cam_core.models.split.model import SplitModel
from cam_core.models.tails import is_pooled_linear, pooled_linear
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images


@method(
    "ablation-cam",
    title="Ablation-CAM",
    plain="Switches one channel off at a time, and weights it by how far the score falls.",
    family="Masks",
    paper=(
        "Desai & Ramaswamy, “Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free "
        "Localization”, WACV 2020, doi:10.1109/WACV45572.2020.9093360, eq. 5"
    ),
    formula="w_k = (y_c − y_c without A_k) / y_c",
    cost="one tail pass per live channel; none where the tail is pooling and a linear layer",
    planned=lambda site, p: Planned(tail=1 if site.pooled else site.channels + 1),
    pooled=Pooled(SAME_SHARES),
    fails="Removes one channel at a time, so channels that stand in for each other look unimportant.",
    unit="fraction of the logit",
    expensive=True,
    claim="Needs no gradient, so saturation does not hide a channel.",
)
def ablation_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> Coefficients:
    """w_k = (y_c − y_c with A_k = 0) / y_c; the numerator alone, with a warning, where y_c ≤ 0.

    Where the tail is pooling and one linear layer the numerator is W[c, k] · mean A_k, without a pass.

    Returns:
        (B, K), fractions of the logit, signed.
    """
    score = class_score(net.tail(acts), target)
    if is_pooled_linear(net.halves):
        drops = pooled_linear(net.halves).weight[target].to(acts.dtype) * acts.mean(dim=(2, 3))
    else:
        live = [sample.flatten(1).any(1).nonzero()[:, 0] for sample in acts]
        run.expect(sum(map(len, live)))
        drops = torch.stack([_drops(net, acts, target, score, live[b], b, run) for b in range(len(acts))])
    for index in (score <= 0).nonzero()[:, 0].tolist():
        run.warn(index, "The class has a logit of 0 or less: coefficients are drops in logit, not fractions of it.")
    return drops / torch.where(score > 0, score, 1.0)[:, None]


def _drops(
    net: SplitModel, acts: Activations, target: ClassIndex, score: Tensor, live: Tensor, index: int, run: Run
) -> Tensor:
    """y_c − y_c without each live channel of one sample: (K,); a channel that is zero everywhere changes nothing."""
    view, sample = net.sample(index), acts[index : index + 1]

    def without(start: int, stop: int) -> Tensor:
        rows = sample.repeat(stop - start, 1, 1, 1)
        rows[torch.arange(stop - start, device=live.device), live[start:stop]] = 0
        return class_score(view.tail(rows), target[index])

    drops = torch.zeros_like(sample[0, :, 0, 0])
    if len(live):
        drops[live] = score[index] - in_batches(without, len(live), tail_rows(view, sample), run.advance)
    return drops
