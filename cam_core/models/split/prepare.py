"""Making half of a network fast to run many times: folded, frozen, channels-last."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import torch
from torch import Tensor, fx, nn

from cam_core.models.devices import layout
from cam_core.models.precision import dtype_of


def prepare(half: fx.GraphModule, device: torch.device, precision: str) -> fx.GraphModule:
    """Fold, move and lay out one half of a private copy, in place. Call it after the cut, so that the cut never moves.

    Batch norms that found no convolution to fold into keep float32 parameters in bfloat16: their statistics lose too
    much otherwise.

    Args:
        half: on the CPU, which alone is sure to have the float64 that folding takes.
    """
    if precision == "float64":
        half.double()  # first: folding rounds to the weights' own precision
    fold_batch_norms(half)
    half.to(device=device, dtype=dtype_of(precision))
    if precision == "bfloat16":
        _keep_norms_in_float32(half, device)
    for tensor in chain(half.parameters(), half.buffers()):
        if tensor.ndim == 4:  # those of five dimensions `Module.to` would lay out too, and fail
            tensor.data = tensor.data.contiguous(memory_format=layout(device))
    return half


def _keep_norms_in_float32(half: fx.GraphModule, device: torch.device) -> None:
    for name, module in list(half.named_modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.float()
            if device.type == "mps":
                half.set_submodule(name, _InOwnDtype(module))


class _InOwnDtype(nn.Module):
    """A batch norm that is given its own dtype: where two meet in one, Apple's GPU may abort the process."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        own = next(chain(self.norm.parameters(), self.norm.buffers()), x).dtype
        normed: Tensor = self.norm(x.to(own))
        return normed.to(x.dtype)


def fold_batch_norms(half: fx.GraphModule) -> None:
    """Fold every batch norm that directly follows a convolution of which it is the only reader, in place.

    Weights are multiplied in float64 and rounded once. A convolution or batch norm that is called more than once stays
    as it is.
    """
    calls = Counter(str(node.target) for node in half.graph.nodes if node.op == "call_module")
    for node in list(half.graph.nodes):
        pair = _foldable(half, node, calls)
        if pair is None:
            continue
        conv, norm = pair
        source = node.args[0]
        _fold(conv, norm)
        activation = _what_follows(norm)
        if activation is None:
            node.replace_all_uses_with(source)
            half.graph.erase_node(node)
        else:
            half.set_submodule(str(node.target), activation)
    half.graph.lint()
    half.recompile()


def _foldable(
    half: fx.GraphModule, node: fx.Node, calls: Counter[str]
) -> tuple[nn.Conv2d, nn.modules.batchnorm._BatchNorm] | None:
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs or calls[str(node.target)] > 1:
        return None
    norm = half.get_submodule(str(node.target))
    source = node.args[0]
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        return None
    if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
        return None
    conv = half.get_submodule(str(source.target))
    # Weight-standardised convolutions recompute their weight at every call: folding would be undone.
    if type(conv).__name__ not in ("Conv2d", "Conv2dSame") or not isinstance(conv, nn.Conv2d):
        return None
    return None if calls[str(source.target)] > 1 else (conv, norm)


def _fold(conv: nn.Conv2d, norm: nn.modules.batchnorm._BatchNorm) -> None:
    assert norm.running_mean is not None and norm.running_var is not None
    gamma = torch.ones_like(norm.running_var) if norm.weight is None else norm.weight
    beta = torch.zeros_like(norm.running_mean) if norm.bias is None else norm.bias
    scale = gamma.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    offset = 0.0 if conv.bias is None else conv.bias.double()
    weight = conv.weight.double() * scale[:, None, None, None]
    bias = beta.double() + (offset - norm.running_mean.double()) * scale
    conv.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
    conv.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=False)


def _what_follows(norm: nn.Module) -> nn.Module | None:
    """The activation built into a batch norm (timm's `BatchNormAct2d`): all that is left of it once it is folded."""
    activation = getattr(norm, "act", None)
    if not isinstance(activation, nn.Module) or isinstance(activation, nn.Identity):
        return None
    return activation
