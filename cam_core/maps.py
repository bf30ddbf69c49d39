"""From a raw map to a picture's worth of numbers: ReLU, bilinear, min-max. Done once, here, per sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from cam_core.types import Picture


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, align_corners=False: (B, h, w) → (B, H, W)."""
    return functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def normalise(maps: Tensor) -> Tensor:
    """Min-max to [0, 1] per sample over all but the first dimension; a constant map becomes zeros.

    Constant means up to rounding: upsampling a constant map may change its last bits, and dividing by their difference
    would make a picture of noise.
    """
    dims = tuple(range(1, maps.ndim))
    low, high = maps.amin(dims, keepdim=True), maps.amax(dims, keepdim=True)
    constant = is_constant(maps).view(low.shape)
    scale = torch.where(constant, torch.ones_like(high), high - low)
    return torch.where(constant, torch.zeros_like(maps), (maps - low) / scale)


def is_constant(maps: Tensor) -> Tensor:
    """(B,) bool: whether each sample has one value only, up to rounding in its dtype."""
    dims = tuple(range(1, maps.ndim))
    low, high = maps.amin(dims), maps.amax(dims)
    rounding = 8 * torch.finfo(maps.dtype).eps * torch.maximum(low.abs(), high.abs())
    return high - low <= rounding


def saliency(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, h, w) signed → (B, H, W) in [0, 1]."""
    return normalise(upsample(maps.relu(), size))


def saliency_within(maps: Tensor, size: tuple[int, int], picture: Picture) -> Tensor:
    """`saliency` of a part (left, top, right, bottom) of the input alone, in its pixels; 0 outside."""
    left, top, right, bottom = picture
    values = normalise(within(upsample(maps.relu(), size), picture))
    return functional.pad(values, (left, size[1] - right, top, size[0] - bottom))


def within(planes: Tensor, picture: Picture | None) -> Tensor:
    """The part of (…, H, W) that is no padding, as a view; all of it for None."""
    if picture is None:
        return planes
    left, top, right, bottom = picture
    return planes[..., top:bottom, left:right]


def weighted_sum(coefficients: Tensor, acts: Tensor) -> Tensor:
    """Σ_k w_k A_k: (B, K), (B, K, h, w) → (B, h, w)."""
    return torch.einsum("bk,bkhw->bhw", coefficients, acts)


def divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Elementwise quotient in which anything over 0 is 0: the project's convention for dead channels."""
    zero = denominator == 0
    return torch.where(zero, torch.zeros_like(numerator), numerator / torch.where(zero, 1.0, denominator))
