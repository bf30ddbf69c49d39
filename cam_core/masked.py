"""The masked-input engine: score one image under many masks, in batches that fit, no mask twice.

Shared by every method and metric that scores masked images. Memory is bounded by the batch, not by the number of masks:
masks are built when their batch comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from cam_core import maps
from cam_core.models.batching import Rows, batch_rows, in_batches, remembered_rows
from cam_core.models.devices import device_for
from cam_core.models.split.model import SplitModel
from cam_core.types import Images

Score = Literal["logit", "probability"]
MaskRows = Callable[[int, int], Tensor]
"""`rows(start, stop)` → masks (stop − start, H, W) in [0, 1]."""

# A network's widest tensor is some multiple of its input plane: ResNet-50's first stage holds 16 planes of it.
_PLANES = 16


def class_score(logits: Tensor, target: Tensor | int, score: str = "logit") -> Tensor:
    """(B, C) → (B,): logit or softmax probability of the target class, one for all rows or one per row.

    One column, C = 1, is the value of a `TargetScore`: it competes with nothing, and is its own score of either kind.
    """
    index = torch.as_tensor(target, device=logits.device).expand(len(logits))
    values = logits.softmax(1) if score == "probability" and logits.shape[1] > 1 else logits
    return values.gather(1, index[:, None])[:, 0]


def masked_scores(
    net: SplitModel,
    image: Images,
    rows: MaskRows,
    count: int,
    target: Tensor | int,
    *,
    fill: Tensor | float = 0.0,
    score: str = "logit",
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Score `image` under each mask: f(fill + (image − fill) · mask).

    Args:
        image: (1, channels, H, W).
        count: number of masks that `rows` can build.
        fill: what a masked pixel becomes, broadcastable to the image; 0 is the mean colour of the normalised input.
    Returns:
        (count,) logits or probabilities of the target.
    """
    background = torch.as_tensor(fill, dtype=image.dtype, device=image.device)
    difference = image - background

    def evaluate(start: int, stop: int) -> Tensor:
        masks = rows(start, stop)[:, None].to(image.dtype)
        return class_score(net.model(background + difference * masks), target, score)

    with torch.no_grad():
        return in_batches(evaluate, count, image_rows(net, image), advance)


def image_rows(net: SplitModel, image: Tensor) -> Rows:
    """How many images of this size to push through the whole network at once."""
    elements = _PLANES * image.shape[-2] * image.shape[-1]
    return remembered_rows(net.halves, ("image", elements), batch_rows(elements, image.device))


def tail_rows(net: SplitModel, acts: Tensor) -> Rows:
    """How many activation tensors (·, K, h, w) of this size to push through the tail at once."""
    elements = acts[0].numel()
    return remembered_rows(net.halves, ("tail", elements), batch_rows(elements, acts.device))


def distinct_channels(acts: Tensor) -> tuple[Tensor, Tensor]:
    """Channels that yield different masks: all constant channels, which mask everything, count as one.

    Args:
        acts: (K, h, w).
    Returns:
        (D,) the first channel of each kind, ascending, and (K,) the position of each channel's kind among them.
    """
    constant = maps.is_constant(acts)[:, None, None]
    canonical = torch.where(constant, torch.zeros_like(acts), acts).flatten(1)
    kinds, kind = torch.unique(canonical.to(device_for("unique", acts.device)), dim=0, return_inverse=True)
    kind = kind.to(acts.device)
    # `unique` sorts by value; order by first appearance instead, which rounding cannot change.
    count = len(kinds)
    indices = torch.arange(len(kind), device=acts.device)
    first = torch.full((count,), len(kind), device=acts.device).scatter_reduce(0, kind, indices, "amin")
    first, order = first.sort()
    return first, order.argsort()[kind]
