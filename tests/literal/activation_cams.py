"""CAMs without gradients: principal directions, masked inputs, ablated channels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tests.literal.network import Hooked, LiteralMap, min_max, upsample, weighted

CHUNK = 64  # masked images per forward pass: a loop of single images would only be slower

Masks = Callable[[Tensor, tuple[int, int]], Tensor]
"""Activations (K, h, w) and the input's size → one mask per channel (K, H, W) in [0, 1]."""

Blend = Callable[[Tensor, Tensor], Tensor]
"""Masks (M, H, W) and the image (3, H, W) → masked images (M, 3, H, W)."""


def eigen_cam(net: Hooked, x: Tensor) -> LiteralMap:
    """Eigen-CAM (2008.00299): A centred over positions, projected on its first principal direction."""
    return LiteralMap(principal_projection(net.activations(x)[0]))


def principal_projection(features: Tensor) -> Tensor:
    """(K, h, w) → (h, w): projection on the first eigenvector of the channels' K × K scatter matrix.

    The sign is the one that correlates positively with mean_k |features_k|. An eigenvector, not a singular one: the
    same direction by another algorithm.
    """
    rows = features.flatten(1).T
    rows = rows - rows.mean(dim=0, keepdim=True)
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    projection = (rows @ vectors[:, -1]).reshape(features.shape[1:])
    strength = features.abs().mean(dim=0)
    agreement = ((projection - projection.mean()) * (strength - strength.mean())).sum()
    return -projection if agreement < 0 else projection


def masks_after_upsampling(
    acts: Tensor, size: tuple[int, int], align_corners: bool = False, epsilon: float = 0.0
) -> Tensor:
    """u_k = n(up(A_k)), Score-CAM's eq. 4 and 5; PyPI grad-cam aligns the corners and adds 1e-8."""
    return torch.stack([min_max(upsample(a, size, align_corners), epsilon) for a in acts])


def masks_before_upsampling(acts: Tensor, size: tuple[int, int]) -> Tensor:
    """u_k = up(n(A_k)): torchcam's order, which differs because bilinear samples need not hit the extremes."""
    return torch.stack([upsample(min_max(a), size) for a in acts])


def blend_normalised(masks: Tensor, image: Tensor) -> Tensor:
    """x · u on the normalised image: a muted pixel takes the mean colour."""
    return masks[:, None] * image[None]


def blend_pixels(masks: Tensor, image: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The [0, 1] image times u, normalised afterwards: a muted pixel is black. mean, std: (3,)."""
    mean, std = mean.double()[:, None, None], std.double()[:, None, None]
    return (masks[:, None] * (image * std + mean)[None] - mean) / std


def masked_scores(
    net: Hooked, x: Tensor, target: int, masks: Tensor, blend: Blend = blend_normalised, probability: bool = False
) -> Tensor:
    """(M, H, W) → (M,): the class's logit, or probability, of the image under each mask."""
    scores = []
    for some in masks.split(CHUNK):
        logits = net.logits(blend(some, x[0].double()))
        scores.append((logits.softmax(dim=1) if probability else logits)[:, target])
    return torch.cat(scores)


def score_cam(
    net: Hooked,
    x: Tensor,
    target: int,
    masks: Masks = masks_after_upsampling,
    blend: Blend = blend_normalised,
    probability: bool = False,
) -> LiteralMap:
    """Score-CAM (1910.01279, eq. 3): w = softmax_k(s_k), s_k = score(x · u_k) − score(masked by 0)."""
    return _softmax_cam(net, x, target, [lambda u: u], masks, blend, probability)


def ss_cam(
    net: Hooked,
    x: Tensor,
    target: int,
    noise: Tensor,
    masks: Masks = masks_after_upsampling,
    blend: Blend = blend_normalised,
    probability: bool = False,
) -> LiteralMap:
    """SS-CAM (2006.14255): Score-CAM with s_k averaged over the noisy masks u_k + noise_i. noise: (n, K, H, W)."""
    return _softmax_cam(net, x, target, [partial(torch.add, one) for one in noise], masks, blend, probability)


def is_cam(
    net: Hooked,
    x: Tensor,
    target: int,
    factors: list[float],
    masks: Masks = masks_after_upsampling,
    blend: Blend = blend_normalised,
    probability: bool = False,
) -> LiteralMap:
    """IS-CAM (2010.03023): Score-CAM with s_k averaged over the path factor_i · u_k.

    The paper's factors are i/n, i = 1..n. torchcam adds them up on the way (1/n, 3/n, 6/n, …), far beyond 1.
    """
    path = [partial(torch.mul, torch.tensor(factor, dtype=torch.float64)) for factor in factors]
    return _softmax_cam(net, x, target, path, masks, blend, probability)


def _softmax_cam(
    net: Hooked,
    x: Tensor,
    target: int,
    variations: list[Callable[[Tensor], Tensor]],
    masks: Masks,
    blend: Blend,
    probability: bool,
) -> LiteralMap:
    acts = net.activations(x)[0]
    size = (x.shape[-2], x.shape[-1])
    plain = masks(acts, size)
    baseline = masked_scores(net, x, target, torch.zeros(1, *size, dtype=torch.float64), blend, probability)
    mean = sum(masked_scores(net, x, target, vary(plain), blend, probability) - baseline for vary in variations)
    return weighted((mean / len(variations)).softmax(dim=0), acts)


def ablation_cam(
    net: Hooked,
    x: Tensor,
    target: int,
    ablated: Callable[[Tensor, int], float] = lambda acts, k: 0.0,
    always_divide: bool = False,
) -> LiteralMap:
    """Ablation-CAM (Desai & Ramaswamy, WACV 2020, eq. 4): w_k = (y_c − y_c with A_k = 0) / y_c.

    Where y_c ≤ 0 the fraction would turn the sign of every weight: the numerator alone is kept.

    Args:
        ablated: the value that replaces channel k of the activations (K, h, w); 0 in the paper.
        always_divide: divide whatever the sign of y_c, as PyPI grad-cam does.
    """
    acts = net.activations(x)
    score = net.logits(x)[0, target]
    without = []
    for k in range(acts.shape[1]):
        changed = acts.clone()
        changed[0, k] = ablated(acts[0], k)
        without.append(net.logits_from(changed, x).detach()[0, target])
    drop = score - torch.stack(without)
    return weighted(drop / score if score > 0 or always_divide else drop, acts[0])
