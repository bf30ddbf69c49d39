"""A float64 copy of a network that is read and rewritten at one layer by forward hooks, and the common map steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Score = Callable[[Tensor], Tensor]
"""Logits (1, C) → a scalar to be explained."""


class LiteralMap(NamedTuple):
    """What a literal method says of one image: the raw signed map (h, w), and the coefficients (K,) if it has any."""

    map: Tensor
    coefficients: Tensor | None = None


class Hooked:
    """The network in float64, eval mode, frozen, on a private copy; `layer` is the module whose output is explained."""

    def __init__(self, module: nn.Module, layer: str) -> None:
        self.module = copy.deepcopy(module).cpu().double().eval().requires_grad_(False)
        self.layer = self.module.get_submodule(layer)
        self._calls = 0  # of the layer in one forward pass; unknown as yet

    def at(self, layer: str) -> Hooked:
        """The same copy read at another layer."""
        other = copy.copy(self)
        other.layer, other._calls = self.module.get_submodule(layer), 0
        return other

    def logits(self, x: Tensor) -> Tensor:
        """(M, 3, H, W) → (M, C), without gradient."""
        with torch.no_grad():
            return self.run(x)

    def activations(self, x: Tensor) -> Tensor:
        """(M, 3, H, W) → (M, K, h, w), a copy that later in-place operations cannot reach."""
        seen: list[Tensor] = []
        with torch.no_grad():
            self.run(x, lambda output: seen.append(output.clone()))
        return seen[-1]

    def logits_from(self, acts: Tensor, x: Tensor) -> Tensor:
        """Logits (M, C) of a full forward pass of `x` (1, 3, H, W) whose layer output is replaced by `acts` (M, …).

        The clone guards `acts` from in-place operations behind the layer, which autograd would refuse on a leaf.
        """
        return self.run(x.expand(len(acts), *x.shape[1:]), lambda _: acts.clone())

    def gradient(self, x: Tensor, score: Score) -> tuple[Tensor, Tensor]:
        """Activations of one image (1, 3, H, W) and the gradient of its score by them, both (K, h, w)."""
        acts = self.activations(x).requires_grad_()
        (gradient,) = torch.autograd.grad(score(self.logits_from(acts, x)), acts)
        return acts.detach()[0], gradient[0]

    def run(self, x: Tensor, rewrite: Callable[[Tensor], Tensor | None] | None = None) -> Tensor:
        """A full forward pass, with gradients. `rewrite` sees the layer's output and may return another instead.

        Of a layer that is called several times, the last call counts.
        """
        if rewrite is None:
            return self.module(x.double())
        self._calls = self._calls or self._count_calls(x[:1])
        remaining = self._calls

        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
            nonlocal remaining
            remaining -= 1
            return rewrite(output) if remaining == 0 else None

        return self._run_with(hook, x)

    def _count_calls(self, x: Tensor) -> int:
        outputs: list[Tensor] = []
        with torch.no_grad():
            self._run_with(lambda _module, _inputs, output: outputs.append(output), x)
        return len(outputs)

    def _run_with(self, hook: Callable[..., Tensor | None], x: Tensor) -> Tensor:
        handle = self.layer.register_forward_hook(hook)
        try:
            return self.module(x.double())
        finally:
            handle.remove()


def logit(target: int) -> Score:
    """The raw logit y_c of one image."""
    return lambda logits: logits[0, target]


def weighted(coefficients: Tensor, acts: Tensor) -> LiteralMap:
    """map(i, j) = Σ_k w_k · A_k(i, j), channel by channel."""
    total = torch.zeros_like(acts[0])
    for weight, channel in zip(coefficients, acts, strict=True):
        total += weight * channel
    return LiteralMap(total, coefficients)


def min_max(array: Tensor, epsilon: float = 0.0) -> Tensor:
    """n(S) = (S − min S) / (max S − min S + epsilon) over the whole array; a constant gives 0."""
    span = array.max() - array.min()
    if span == 0:
        return torch.zeros_like(array)
    return (array - array.min()) / (span + epsilon)


def upsample(array: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bilinear, (h, w) → size."""
    return functional.interpolate(array[None, None], size, mode="bilinear", align_corners=align_corners)[0, 0]


def saliency(raw: Tensor, size: tuple[int, int]) -> Tensor:
    """n(up(ReLU(map))): the picture that a user sees."""
    return min_max(upsample(raw.clamp(min=0), size))
