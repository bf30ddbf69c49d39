"""Torch functions that are made of others which have rules: norms, variances, gated units, attention, LSTM, maxima.

Each is written with the same arguments as torch's own, and carried out while the rules are in force.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cam_core.deeplift.attention import multi_head_attention_forward, scaled_dot_product_attention
from cam_core.deeplift.recurrence import lstm
from cam_core.types import UnsupportedOperation


def _layer_norm(
    value: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Mean, product with itself, 1/√ and product: each has a rule, so the whole is complete."""
    centred = value - value.mean(_last(normalized_shape), keepdim=True)
    out = _rms_norm(centred, normalized_shape, weight, eps)
    return out if bias is None else out + bias


def _rms_norm(value: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    square = (value * value).mean(_last(normalized_shape), keepdim=True)
    out = value * torch.rsqrt(square + (torch.finfo(value.dtype).eps if eps is None else eps))
    return out if weight is None else out * weight


def _last(normalized_shape: Any) -> tuple[int, ...]:
    return tuple(range(-len(tuple(normalized_shape)), 0))


def _group_norm(
    value: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    grouped = value.reshape(len(value), num_groups, -1)
    out = _layer_norm(grouped, grouped.shape[2:], eps=eps).reshape(value.shape)
    shape = (1, -1) + (1,) * (value.ndim - 2)
    out = out if weight is None else out * weight.view(shape)
    return out if bias is None else out + bias.view(shape)


def _norm(value: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
    if options.get("ord", p) not in (2, 2.0, None, "fro"):
        raise UnsupportedOperation(f"DeepLIFT has no rule for the 'norm' of order {options.get('ord', p)}, only for 2")
    return torch.sqrt((value * value).sum(_dims(dim), keepdim=keepdim))


def _normalize(value: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, **_: Any) -> Tensor:
    return value / _norm(value, p, dim, keepdim=True).clamp_min(eps)


def _var_mean(
    value: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: int | None = None
) -> tuple[Tensor, Tensor]:
    dims = _dims(dim)
    centred = value - value.mean(dims, keepdim=True)
    freedom = int(unbiased) if correction is None else correction
    count = math.prod(value.shape[d] for d in dims) - freedom
    return (centred * centred).sum(dims, keepdim=keepdim) / count, value.mean(dims, keepdim=keepdim)


def _var(*args: Any, **kwargs: Any) -> Tensor:
    return _var_mean(*args, **kwargs)[0]


def _std(*args: Any, **kwargs: Any) -> Tensor:
    return torch.sqrt(_var(*args, **kwargs))


def _dims(dim: Any) -> tuple[int, ...]:
    if dim is None or isinstance(dim, bool):
        raise UnsupportedOperation("DeepLIFT has no rule for a norm or variance over the whole batch")
    return (dim,) if isinstance(dim, int) else tuple(dim)


def _glu(value: Tensor, dim: int = -1) -> Tensor:
    a, b = value.chunk(2, dim)
    return a * torch.sigmoid(b)


def _add_product(
    product: Callable[[Tensor, Tensor], Tensor],
    value: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Tensor:
    return beta * value + alpha * product(x, y)


def _addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + value * (tensor1 * tensor2)


def _max(value: Tensor, dim: int, keepdim: bool = False) -> Any:
    highest = _amax(value, dim, keepdim)
    return torch.return_types.max((highest, value.detach().argmax(dim, keepdim=keepdim)))


def _amax(value: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """Over one dimension: a pooling with a window as long as that."""
    rows = value.movedim(dim, -1)
    columns = rows.reshape(len(rows), -1, 1, rows.shape[-1])
    highest = torch.nn.functional.max_pool2d(columns, (1, rows.shape[-1])).reshape(rows.shape[:-1])
    return highest.unsqueeze(dim) if keepdim else highest


def _adaptive_max_pool2d(value: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
    height, width = (output_size, output_size) if isinstance(output_size, int) else output_size
    if return_indices or value.shape[2] % height or value.shape[3] % width:
        raise UnsupportedOperation("there is a rule for adaptive max-pooling only where its windows are all alike")
    return torch.nn.functional.max_pool2d(value, (value.shape[2] // height, value.shape[3] // width))


COMPOSITES: dict[str, Callable[..., Any]] = {
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "rms_norm": _rms_norm,
    "norm": _norm,
    "linalg_vector_norm": _norm,
    "normalize": _normalize,
    "var": _var,
    "std": _std,
    "var_mean": _var_mean,
    "glu": _glu,
    "addmm": partial(_add_product, torch.matmul),
    "baddbmm": partial(_add_product, torch.bmm),
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention_forward": multi_head_attention_forward,
    "lstm": lstm,
    "addcmul": _addcmul,
    "max": _max,
    "amax": _amax,
    "adaptive_max_pool2d": _adaptive_max_pool2d,
}
