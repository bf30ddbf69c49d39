"""The class token's attention: where a transformer takes from what it decides, head by head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cam_core.deeplift.attention import multi_head_attention_forward, scaled_dot_product_attention
from cam_core.models.split.model import SplitModel
from cam_core.types import Activations, Logits, MethodError

# Attention in one call says nothing of its weights: taken apart, it has a softmax.
_TAKEN_APART: Final[dict[str, Callable[..., Any]]] = {
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention_forward": multi_head_attention_forward,
}


def class_attention(net: SplitModel, acts: Activations) -> Tensor:
    """The class token's row of the first attention behind the layer, without what it takes from tokens like itself.

    Costs a pass of the tail, and the way back from the logits to its last attention.

    Returns:
        (B, heads, h, w), shares of the patches: not negative, at most 1 in sum.
    Raises:
        MethodError: behind the layer no class token attends to its patches, or the decision is not a class token's.
    """
    watch = _Watch(acts)
    with torch.enable_grad(), watch:
        logits = net.tail(acts.detach().requires_grad_())
    if not watch.weights:
        raise _refusal("no token attends to them there beside themselves")
    if not _decides(logits, watch.weights[-1], acts):
        raise _refusal("the network decides by its patches")
    patches = acts.shape[2] * acts.shape[3]
    row = watch.weights[0][:, :, 0, -patches:]
    return row.detach().to(acts.dtype).reshape(*row.shape[:2], *acts.shape[2:])


def _decides(logits: Logits, last: Tensor, acts: Activations) -> bool:
    """Whether what patches take in the last attention is nothing to the logits: they are read off the token ahead."""
    of_classes = torch.linspace(1, 2, logits.shape[1], dtype=logits.dtype, device=logits.device)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad((logits * of_classes).sum(), last, allow_unused=True)
    extra = last.shape[-1] - acts.shape[2] * acts.shape[3]
    return gradient is not None and bool((gradient[:, :, 0] != 0).any()) and not bool(gradient[:, :, extra:].any())


def _refusal(reason: str) -> MethodError:
    return MethodError(
        "channels='class-attention' needs a class token that decides, and an attention behind the layer in which it "
        f"takes from the patches, but {reason}: choose channels='activations', or a layer before the last attention of "
        "a network with a class token"
    )


class _Watch(TorchFunctionMode):
    """Keeps the weights of every attention that depends on the activations and knows more tokens than their patches.

    Attributes:
        weights: (B, heads, N or 1, N) each, in the order of the network; N = h · w and the tokens ahead of these.
    """

    def __init__(self, acts: Activations) -> None:
        super().__init__()
        self.weights: list[Tensor] = []
        self._images, self._patches = len(acts), acts.shape[2] * acts.shape[3]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in _TAKEN_APART:
            with self:
                return _TAKEN_APART[name](*args, **(kwargs or {}))
        out = func(*args, **(kwargs or {}))
        if name == "softmax" and self._attends(out):
            self.weights.append(out)
        return out

    def _attends(self, weights: Tensor) -> bool:
        if weights.ndim != 4 or not weights.requires_grad:
            return False
        images, _, queries, keys = weights.shape
        return images == self._images and keys > self._patches and queries in (1, keys)
