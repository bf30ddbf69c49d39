"""The tools that metrics share: scores of many pictures in float64, and the order in which pixels count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

import torch
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.masked import class_score, image_rows
from cam_core.models.batching import Rows, in_batches
from cam_core.models.devices import double
from cam_core.models.split.model import SplitModel
from cam_core.types import Images, Logits

Pictures: TypeAlias = Callable[[int, int], Images]
"""`pictures(start, stop)` → images (stop − start, channels, H, W), made when their batch comes."""

Score: TypeAlias = Annotated[Literal["probability", "logit"], Parameter("what a picture is scored by")]


def exact_logits(net: SplitModel, images: Images) -> Logits:
    """(B, channels, H, W) → (B, C) in float64 on the CPU: 1 − p(class) keeps its digits also where p is almost 1."""
    with torch.no_grad():
        return in_batches(lambda i, j: exactly(net.model(images[i:j])), len(images), image_rows(net, images))


def picture_scores(
    net: SplitModel,
    pictures: Pictures,
    target: Tensor,
    rows: Rows,
    *,
    score: str = "probability",
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Score as many pictures as `target` (N,) has entries, in batches of at most `rows`: (N,) float64, on the CPU.

    Args:
        target: the class that each picture is scored for.
        advance: told after each batch how many pictures it had; may raise to stop.
    """

    def batch_scores(start: int, stop: int) -> Tensor:
        return class_score(exactly(net.model(pictures(start, stop))), target[start:stop], score)

    with torch.no_grad():
        return in_batches(batch_scores, len(target), rows, advance)


def exactly(logits: Logits) -> Logits:
    """The same in float64, on the CPU."""
    return double(logits).cpu()


def descending_order(saliency: Tensor) -> Tensor:
    """Pixels of maps (…, H, W) from the most to the least salient, as indices (…, H·W) into the flattened plane.

    The sort is stable: of equal pixels, the one further up counts first, then the one further left. Upsampled maps have
    flat regions, where any other rule gives another curve.
    """
    return saliency.flatten(-2).argsort(dim=-1, descending=True, stable=True)


def ranks(order: Tensor) -> Tensor:
    """The inverse permutation: the place of each pixel in `order` (…, N)."""
    places = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places)
