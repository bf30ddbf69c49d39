"""What attention is made of: the multipliers of bilinear products and of softmax, and attention taken apart into them.

Each rule is complete on its own: Σ multiplier · Δinput = Δoutput. Its closed forms are those of Shrikumar et al. 2017
for one nonlinear step after another; products of two moving operands share their change equally.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cam_core.types import UnsupportedOperation


class Bilinear(torch.autograd.Function):
    """A product XY, of any kind that is linear in X and in Y, by the midpoint rule: Δ(XY) = ΔX·Ȳ + X̄·ΔY."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        operation: Callable[[Tensor, Tensor], Tensor],
        x_reference: Tensor,
        y_reference: Tensor,
    ) -> Tensor:
        ctx.save_for_backward((x + x_reference) / 2, (y + y_reference) / 2)
        ctx.operation, ctx.shapes = operation, (x.shape, y.shape)
        return operation(x, y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, y = (mean.detach().requires_grad_() for mean in ctx.saved_tensors)
        with torch.enable_grad():
            product = ctx.operation(x, y)
        of_x, of_y = torch.autograd.grad(product, (x, y), grads[0])
        return of_x.sum_to_size(ctx.shapes[0]), of_y.sum_to_size(ctx.shapes[1]), None, None, None


class Softmax(torch.autograd.Function):
    """softmax(x) = exp(x − L), L = log Σ exp x, by secants: of the outer exp, of the log, and of the inner exp.

    Both rows are shifted by the larger of their maxima, so no exponential overflows and Σ exp is at least 1 in one of
    them: multipliers stay bounded. As exp · 1/Σ exp the rule would divide by what underflows where attention peaks.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, reference: Tensor, dim: int) -> Tensor:
        reference = reference.expand_as(value)
        log_sum, log_sum_reference = (x.logsumexp(dim, keepdim=True) for x in (value, reference))
        highest = torch.maximum(value, reference).amax(dim, keepdim=True)
        inner = _secant_of_exp(value - highest, reference - highest)
        outer = _secant_of_exp(value - log_sum, reference - log_sum_reference)
        end, start = ((log - highest).exp() for log in (log_sum, log_sum_reference))
        ctx.save_for_backward(outer, inner * _secant_of_log(end, start, log_sum - log_sum_reference))
        ctx.dim = dim
        return value.softmax(dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        outer, share = ctx.saved_tensors
        of_difference = grads[0] * outer
        return of_difference - of_difference.sum(ctx.dim, keepdim=True) * share, None, None


def _secant_of_exp(end: Tensor, start: Tensor) -> Tensor:
    """(eᵃ − eᵇ) / (a − b), which is eᵃ where a = b, also of two −∞; without loss of digits where they are close."""
    half = torch.where(end == start, torch.zeros_like(end), (end - start) / 2)
    close = half.abs() < 0.5
    safe = torch.where(close & (half != 0), half, torch.ones_like(half))
    ratio = torch.where(half == 0, torch.ones_like(half), torch.sinh(safe) / safe)
    quotient = (end.exp() - start.exp()) / torch.where(close, torch.ones_like(half), 2 * half)
    # Halfway by hand: of two −∞ there is no difference to halve.
    middle = torch.where(end == start, end, (end + start) / 2)
    return torch.where(close, middle.exp() * ratio, quotient)


def _secant_of_log(end: Tensor, start: Tensor, change: Tensor) -> Tensor:
    """(log a − log b) / (a − b), the change in the logarithm being given; the slope halfway where a is nearly b."""
    delta = end - start
    tiny = delta.abs() <= torch.finfo(end.dtype).eps ** 0.5 * torch.maximum(end, start)
    quotient = change / torch.where(tiny, torch.ones_like(delta), delta)
    return torch.where(tiny, 2 / (end + start), quotient)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(QKᵀ · scale + mask) V, as torch documents it, in evaluation mode: two products and a softmax."""
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    return torch.matmul(_weights(query, key, attn_mask, is_causal, scale), value)


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None = None) -> Tensor:
    """How much each query takes of each key."""
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return functional.softmax(scores, dim=-1)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """`torch.nn.MultiheadAttention` (sequence, batch, width) in evaluation mode, without masks of padding.

    Raises:
        UnsupportedOperation: one of its rarer options is in use.
    """
    rare = (bias_k, bias_v, key_padding_mask, static_k, static_v)
    if any(option is not None for option in rare) or add_zero_attn or query.ndim != 3:
        raise UnsupportedOperation(
            "there is a rule for multi-head attention only without masks of padding and without added keys or values, "
            "over a batch"
        )
    weights: Sequence[Tensor | None] = (q_proj_weight, k_proj_weight, v_proj_weight)
    if not use_separate_proj_weight:
        assert in_proj_weight is not None
        weights = in_proj_weight.chunk(3)
    biases: Sequence[Tensor | None] = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)

    def heads(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """(L, B, D) → (B, heads, L, D / heads)."""
        assert weight is not None
        projected = functional.linear(x, weight, bias)
        return projected.reshape(*projected.shape[:2], num_heads, -1).permute(1, 2, 0, 3)

    q, k, v = (heads(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    if attn_mask is not None and attn_mask.ndim == 3:  # one for each image and head
        attn_mask = attn_mask.reshape(-1, num_heads, *attn_mask.shape[1:])
    shares = _weights(q, k, attn_mask, is_causal=False)
    out = torch.matmul(shares, v).permute(2, 0, 1, 3).flatten(2)
    told = (shares.mean(1) if average_attn_weights else shares) if need_weights else None
    return functional.linear(out, out_proj_weight, out_proj_bias), told
