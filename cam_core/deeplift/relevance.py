"""Layer-wise relevance propagation with the ε-rule, by the same walk through the tail as DeepLIFT's.

Bach et al. 2015, doi:10.1371/journal.pone.0130140. With the ε-rule, relevance is the activation times a gradient in
which each activation function has the slope f(z)/z (Ancona et al. 2018, arXiv:1711.06104, proposition 1): that hands
its relevance on unchanged, and sums, concatenations, pooling and all that only rearranges share it by contribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cam_core.deeplift.decompositions import COMPOSITES
from cam_core.deeplift.dispatch import ELEMENTWISE, SOFTMAX, RuleMode, plain_name, varying
from cam_core.deeplift.rules import PoolWindow
from cam_core.masked import class_score
from cam_core.models.precision import COARSE, computing_in
from cam_core.models.split.model import SplitModel
from cam_core.types import Activations, ClassIndex

_EPSILON = 1e-9  # as in Captum and Zennit

_ACTIVATION_FUNCTIONS = frozenset(
    "relu relu6 leaky_relu elu celu selu silu gelu sigmoid logsigmoid tanh hardtanh hardswish hardsigmoid softplus "
    "hardshrink softshrink softsign mish prelu clamp clip clamp_min clamp_max tanhshrink threshold".split()
)
# Made of what has a rule here; where two activations are multiplied, the product itself is refused.
_OF_PLAIN_STEPS = frozenset("adaptive_max_pool2d addmm baddbmm addcmul".split())
_WITHOUT_RULE = (ELEMENTWISE - _ACTIVATION_FUNCTIONS) | (frozenset(COMPOSITES) - _OF_PLAIN_STEPS) | SOFTMAX


class _Pass(torch.autograd.Function):
    """An activation function whose relevance is that of its argument: the gradient f(z) / z."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, operation: Callable[[Tensor], Tensor]) -> Tensor:
        out = operation(value)
        ctx.save_for_backward(out / (value + torch.where(value < 0, -_EPSILON, _EPSILON)))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grads[0] * slope, None


class RelevanceMode(RuleMode):
    """Runs the tail with the ε-rule's slopes in place of those of activation functions.

    Max-pooling gives all to the largest, as its gradient does.
    """

    theory = "LRP"

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if plain_name(func) in _WITHOUT_RULE and varying(args, kwargs or {}):
            raise self.no_rule_for(plain_name(func))
        return super().__torch_function__(func, types, args, kwargs)

    def _ruled(self, value: Tensor, operation: Callable[[Tensor], Tensor]) -> Tensor:
        result: Tensor = _Pass.apply(value, operation) if value.requires_grad else operation(value)
        return result

    def _product(self, a: Tensor, b: Tensor) -> Tensor:
        if a.requires_grad and b.requires_grad:
            raise self.no_rule_for("mul", " of two values of the network (a gate, or attention)")
        return a * b

    def _quotient(self, a: Tensor, b: Tensor) -> Tensor:
        if b.requires_grad:
            raise self.no_rule_for("div", " by a value of the network (a norm, or attention)")
        return a / b

    def _bilinear(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        if varying(args, kwargs) > 1:
            raise self.no_rule_for(plain_name(func), " of two values of the network (attention)")
        out: Tensor = func(*args, **kwargs)
        return out

    def _max_pooled(self, value: Tensor, window: PoolWindow) -> Tensor:
        return window.pool(value)


def relevance(net: SplitModel, acts: Activations, target: ClassIndex) -> Activations:
    """Relevance of each activation for the class logit: (B, K, h, w), logits, signed.

    Args:
        net: only its tail is run, with the context of the images that `acts` (B, K, h, w) come from.
        target: (B,) int64.
    Raises:
        UnsupportedOperation: the tail holds an operation without a rule; it is named.
    """
    tail = net.tail_in(torch.float32) if net.precision in COARSE else net
    leaf = acts.detach().to(tail.dtype).clone().requires_grad_()
    with torch.enable_grad():
        with RelevanceMode(write_back=tail.halves.tail_graph is None):
            logits = tail.tail(leaf)
        with computing_in(tail.precision, leaf.device):
            (gradient,) = torch.autograd.grad(class_score(logits, target).sum(), leaf)
    return gradient * leaf.detach()
