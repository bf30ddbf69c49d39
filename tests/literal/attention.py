"""DeepLIFT's rules for attention written out: softmax number by number, and one layer of self-attention in matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def softmax_multipliers(x: Sequence[float], reference: Sequence[float], upstream: Sequence[float]) -> list[float]:
    """Multipliers of x for Σ_j upstream_j · softmax(x)_j, with softmax(x)_j = exp(x_j − L) and L = log Σ_i exp(x_i).

    Each of exp, log and the inner exp has the secant between reference and input, its derivative where nothing moves:
    m_i = Σ_j u_j · e_j · (δ_ij − l · s_i). Both rows are shifted by the larger maximum, so that no exp overflows.
    """
    highest = max(*x, *reference)
    total, total_reference = (sum(math.exp(v - highest) for v in row) for row in (x, reference))
    level, level_reference = (_log_sum(row) for row in (x, reference))
    same = total == total_reference
    of_log = 1 / total if same else (level - level_reference) / (total - total_reference)
    outer = [_secant(a - level, b - level_reference) for a, b in zip(x, reference, strict=True)]
    inner = [_secant(a - highest, b - highest) for a, b in zip(x, reference, strict=True)]
    together = sum(u * e for u, e in zip(upstream, outer, strict=True))
    return [u * e - together * of_log * s for u, e, s in zip(upstream, outer, inner, strict=True)]


def _log_sum(row: Sequence[float]) -> float:
    return max(row) + math.log(sum(math.exp(v - max(row)) for v in row))


def _secant(a: float, b: float) -> float:
    """Of exp; written by expm1, which keeps the digits where a is close to b."""
    if a == b:
        return math.exp(a)
    low, high = min(a, b), max(a, b)
    return math.exp(high) * -math.expm1(low - high) / (high - low)


def attention_multipliers(attention: nn.MultiheadAttention, x: Tensor, reference: Tensor, upstream: Tensor) -> Tensor:
    """Multipliers of x (N, D) for Σ upstream · self-attention(x), head by head: products by the midpoint rule.

    Args:
        upstream: (N, D), of the output after the projection.
    """
    heads, size = attention.num_heads, x.shape[1] // attention.num_heads
    weights = attention.in_proj_weight.detach().split(x.shape[1])
    biases = attention.in_proj_bias.detach().split(x.shape[1])
    of_x = torch.zeros_like(x)
    before_projection = upstream @ attention.out_proj.weight.detach()
    for head in range(heads):
        rows = slice(head * size, (head + 1) * size)
        (q, q0), (k, k0), (v, v0) = (
            tuple(t @ w[rows].T + b[rows] for t in (x, reference)) for w, b in zip(weights, biases, strict=True)
        )
        scores, scores0 = q @ k.T / math.sqrt(size), q0 @ k0.T / math.sqrt(size)
        p, p0 = scores.softmax(1), scores0.softmax(1)
        of_out = before_projection[:, rows]
        of_p, of_v = of_out @ ((v + v0) / 2).T, ((p + p0) / 2).T @ of_out
        of_scores = torch.tensor(
            [
                softmax_multipliers(s.tolist(), s0.tolist(), u.tolist())
                for s, s0, u in zip(scores, scores0, of_p, strict=True)
            ],
            dtype=x.dtype,
        ) / math.sqrt(size)
        of_q, of_k = of_scores @ (k + k0) / 2, of_scores.T @ (q + q0) / 2
        for of_part, w in zip((of_q, of_k, of_v), weights, strict=True):
            of_x += of_part @ w[rows]
    return of_x


def class_token_rows(block: nn.Module, tokens: Tensor, extra: int) -> Tensor:
    """How much the first of the tokens takes from each patch, head by head (heads, N − extra), number by number.

    Args:
        block: a block of timm's vision transformers.
        tokens: (N, D), what the block's norm before its attention returns.
        extra: tokens ahead of the patches.
    """
    attention = block.attn
    size = tokens.shape[1] // attention.num_heads
    q, k, _ = (tokens @ attention.qkv.weight.detach().T + attention.qkv.bias.detach()).split(tokens.shape[1], dim=1)
    rows = []
    for head in range(attention.num_heads):
        part = slice(head * size, (head + 1) * size)
        scores = [sum((q[0, part] * key[part]).tolist()) / math.sqrt(size) for key in k]
        level = _log_sum(scores)
        rows.append([math.exp(score - level) for score in scores][extra:])
    return torch.tensor(rows, dtype=tokens.dtype)
