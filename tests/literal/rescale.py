"""DeepLIFT's Rescale rule written out layer by layer: forward twice, then multipliers backwards by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import Permute

from tests.literal.network import LiteralMap, weighted

AFFINE = (
    nn.Linear,
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Dropout,
    nn.Identity,
    Permute,
)
RESCALED = (nn.ReLU, nn.Sigmoid, nn.Tanh, nn.SiLU, nn.Hardswish, nn.ELU, nn.GELU)


def lift_cam(layers: Sequence[nn.Module], acts: Tensor, target: int) -> LiteralMap:
    """LIFT-CAM (2102.05228, eq. 9 and 10): alpha_k = Σ_ij of the DeepLIFT contribution of A_k(i, j), reference 0.

    Args:
        layers: the tail as a plain sequence of float64 modules; max-pool is not among them.
        acts: (K, h, w), the layer's output.
    """
    contributions = rescale_contributions(layers, acts, torch.zeros_like(acts), target)
    return weighted(torch.stack([c.sum() for c in contributions]), acts)


def rescale_contributions(layers: Sequence[nn.Module], acts: Tensor, reference: Tensor, target: int) -> Tensor:
    """(A − A⁰) · m with the multipliers m of DeepLIFT (Shrikumar et al. 2017, eq. 3 and 10), shape of `acts`.

    m(c ← c) = 1; through an affine layer m is carried back by its transpose; through a non-linearity it is multiplied
    by Δout/Δin, or by the derivative where Δin = 0.
    """
    inputs = [(acts[None], reference[None])]
    for layer in layers:
        inputs.append((layer(inputs[-1][0].clone()).detach(), layer(inputs[-1][1].clone()).detach()))
    multipliers = torch.zeros_like(inputs[-1][0])
    multipliers[0, target] = 1
    for layer, (x, x0), (y, y0) in zip(reversed(layers), inputs[-2::-1], inputs[:0:-1], strict=True):
        multipliers = _back(layer, multipliers, x, x0, y, y0)
    return (acts - reference) * multipliers[0]


def _back(layer: nn.Module, multipliers: Tensor, x: Tensor, x0: Tensor, y: Tensor, y0: Tensor) -> Tensor:
    if isinstance(layer, RESCALED):
        change = torch.where(x == x0, torch.ones_like(x), x - x0)
        slope = torch.autograd.functional.vjp(lambda t: layer(t.clone()), x, torch.ones_like(y))[1]
        return multipliers * torch.where(x == x0, slope, (y - y0) / change)
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        count = len(layer.normalized_shape)
        return _back_through_norm(layer, multipliers, x, x0, tuple(range(-count, 0)))
    if isinstance(layer, AFFINE):
        return torch.autograd.functional.vjp(layer, x, multipliers)[1]
    raise TypeError(f"no literal rule for {type(layer).__name__}")


def _back_through_norm(
    layer: nn.LayerNorm | nn.RMSNorm, multipliers: Tensor, x: Tensor, x0: Tensor, dims: tuple[int, ...]
) -> Tensor:
    """Back through out = c · r · weight + bias by the endpoint rule: Δ(c·r) = r·Δc + c⁰·Δr.

    c is x less its mean (RMS norm: x itself), v the mean of c² and r = 1/√(v + ε). Δr is Δr/Δv times Δv, and
    Δv the mean of (c + c⁰)·Δc.
    """
    centre = isinstance(layer, nn.LayerNorm)
    c, c0 = (t - t.mean(dims, keepdim=True) if centre else t for t in (x, x0))
    v, v0 = (t.square().mean(dims, keepdim=True) for t in (c, c0))
    r, r0 = (1 / (t + layer.eps).sqrt() for t in (v, v0))
    slope = torch.where(v == v0, -0.5 * r**3, (r - r0) / torch.where(v == v0, torch.ones_like(v), v - v0))
    of_product = multipliers * layer.weight
    of_r = (of_product * c0).sum(dims, keepdim=True)
    size = x[0].numel() // v[0].numel()
    of_c = of_product * r + of_r * slope * (c + c0) / size
    return of_c - of_c.mean(dims, keepdim=True) if centre else of_c
