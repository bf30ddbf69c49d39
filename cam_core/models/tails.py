"""The kind of tail that a cut network has: whether it is pooling and one linear layer, for which closed forms exist."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Final, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from cam_core.models.classifier import Classifier
from cam_core.models.split.halves import Halves
from cam_core.models.split.views import FromMaps, View
from cam_core.types import MethodError

_POOLS = (functional.adaptive_avg_pool2d, torch.mean)
_PASSIVE = (torch.flatten, functional.dropout, torch.squeeze)
_MAPS: Final[tuple[int, ...]] = (2, 3)
# The dimensions of the positions in a layer's output, by its layout.
_PLACES = {"maps": _MAPS, "tokens": (1,), "channels last": (1, 2)}
_PASSIVE_METHODS = ("flatten", "squeeze", "contiguous", "reshape")


@dataclass(frozen=True)
class PooledLinear:
    """y = W · mean(A) + b."""

    weight: Tensor  # (C, K)
    bias: Tensor | None  # (C,)


def pooled_linear(halves: Halves) -> PooledLinear:
    """The weights of a tail that is global average pooling and one linear layer.

    Raises:
        MethodError: the tail is something else; the message names the first thing that stands in the way.
    """
    tail = halves.tail_graph
    if tail is None:
        raise MethodError("the network cannot be traced, so its tail cannot be shown to be pooling and a linear layer")
    pooled, linears, dims = False, list[nn.Linear](), _MAPS
    for node in tail.graph.nodes:
        if node.op in ("placeholder", "output", "get_attr"):
            continue
        view = _view(tail, node)
        if view is not None and not view.extra and not pooled:
            dims = _PLACES[view.layout]
            continue
        kind = _kind(tail, node, dims)
        if kind == "pool" and not pooled and not linears:
            pooled = True
        elif kind == "linear" and pooled:
            linears.append(cast(nn.Linear, tail.get_submodule(str(node.target))))
        elif kind != "passive":
            raise MethodError(f"the tail is not pooling and one linear layer: {_name(tail, node)} stands in the way")
    if not linears:
        raise MethodError("the tail is not pooling and one linear layer: it has no linear layer after a pooling")
    return reduce(_followed_by, linears[1:], PooledLinear(linears[0].weight, linears[0].bias))


def _followed_by(first: PooledLinear, last: nn.Linear) -> PooledLinear:
    """Two linear layers one after the other are one: W₂(W₁x + b₁) + b₂."""
    bias = None if first.bias is None else last.weight @ first.bias
    if last.bias is not None:
        bias = last.bias if bias is None else bias + last.bias
    return PooledLinear(last.weight @ first.weight, bias)


def pooled_linear_or_none(halves: Halves) -> PooledLinear | None:
    """The same, or None where the tail is something else."""
    try:
        return pooled_linear(halves)
    except MethodError:
        return None


def is_pooled_linear(halves: Halves) -> bool:
    """Whether `pooled_linear` would succeed."""
    return pooled_linear_or_none(halves) is not None


def _view(tail: fx.GraphModule, node: fx.Node) -> View | None:
    """The view by which the activations become the layer's output, where this node is its."""
    part = tail.get_submodule(str(node.target)) if node.op == "call_module" else None
    return part.view if isinstance(part, FromMaps) else None


def _kind(tail: fx.GraphModule, node: fx.Node, dims: tuple[int, ...]) -> str:
    if node.op == "call_module":
        return _module_kind(tail.get_submodule(str(node.target)), dims)
    if (node.op == "call_function" and node.target in _POOLS) or (node.op == "call_method" and node.target == "mean"):
        return "pool" if _pools_everything(node, dims) else "other"
    if node.op == "call_function" and node.target in _PASSIVE:
        return "passive"
    return "passive" if node.op == "call_method" and node.target in _PASSIVE_METHODS else "other"


def _module_kind(module: nn.Module, dims: tuple[int, ...]) -> str:
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return "pool" if module.output_size in (1, (1, 1)) and dims == _MAPS else "other"
    if type(module).__name__ == "SelectAdaptivePool2d":  # timm: pooling of a chosen kind, and a flatten
        average = str(getattr(module, "pool_type", "")) in ("avg", "fast")
        return "pool" if average and getattr(module.pool, "dim", _MAPS) == dims else "other"
    return "passive" if isinstance(module, nn.Dropout | nn.Identity | nn.Flatten) else "other"


def _pools_everything(node: fx.Node, dims: tuple[int, ...]) -> bool:
    if node.target is functional.adaptive_avg_pool2d:
        size = node.args[1] if len(node.args) > 1 else node.kwargs.get("output_size")
        return size in (1, (1, 1), [1, 1]) and dims == _MAPS
    over = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    ndim = len(dims) + 2  # images, positions, channels
    listed = [over] if isinstance(over, int) else over
    return isinstance(listed, list | tuple) and tuple(sorted(int(str(d)) % ndim for d in listed)) == dims


def _name(tail: fx.GraphModule, node: fx.Node) -> str:
    if node.op == "call_module":
        return f"{node.target} ({type(tail.get_submodule(str(node.target))).__name__})"
    return getattr(node.target, "__name__", str(node.target))


def nonlinear_layer(clf: Classifier) -> str:
    """A late layer at which Shapley values are worth estimating: more than pooling and a linear layer is behind it.

    The first of the listed layers with the coarsest feature map, where the last stage of the network begins; or the one
    before it, where that is the default layer and its tail is pooling and linear. Only the cut that every prediction
    makes is looked at, so this costs nothing.

    Where every layer has the same grid, as in most transformers, it is the default layer, or the one before it.
    """
    names = [layer.name for layer in clf.layers]
    sizes = [layer.height * layer.width for layer in clf.layers]
    spatial = [size for size in sizes if size > 1]
    if not spatial:
        return clf.default_layer
    first = names.index(clf.default_layer) if len(set(spatial)) == 1 else sizes.index(min(spatial))
    plain = names[first] == clf.default_layer and is_pooled_linear(clf.split(clf.default_layer).halves)
    return names[max(0, first - 1)] if plain else names[first]
