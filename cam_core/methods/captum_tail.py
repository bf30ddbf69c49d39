"""Captum as LIFT-CAM's siblings need it: its import, and a tail that it can own."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import torch
from torch import fx, nn

from cam_core.models.split.model import SplitModel
from cam_core.types import MethodError, UnsupportedOperation

# Functions that only rearrange values: relevance flows through them unchanged.
_REARRANGES = (torch.flatten, torch.squeeze, torch.reshape)
_REARRANGING_METHODS = ("flatten", "squeeze", "reshape", "contiguous")


def captum(module: str, method: str) -> Any:
    """A module of Captum, imported when `method` first needs it.

    Raises:
        MethodError: Captum, or the scikit-learn behind its linear models, is not installed.
    """
    try:
        return importlib.import_module(f"captum.{module}")
    except ImportError:
        raise MethodError(f"{method} needs the package captum: pip install captum scikit-learn") from None


def owned_tail(net: SplitModel, method: str) -> nn.Module:
    """A copy of the tail made of modules alone, for a library that works by hooks on modules.

    Raises:
        UnsupportedOperation: skip connections cross the cut, or an operation is not a module; it is named.
    """
    graph = net.halves.tail_graph
    if graph is None:
        raise UnsupportedOperation(f"{method} needs a network that can be traced")
    if net.context:
        raise UnsupportedOperation(f"{method} cannot follow the skip connections that cross this cut")
    for node in graph.graph.nodes:
        if not _is_module_or_rearranges(node):
            name = getattr(node.target, "__name__", str(node.target))
            raise UnsupportedOperation(f"{method} has no rule for the operation {name!r} in this tail")
    tail = copy.deepcopy(graph).to(net.dtype)
    for module in tail.modules():
        if hasattr(module, "inplace"):
            module.__dict__["inplace"] = False
    return tail


def _is_module_or_rearranges(node: fx.Node) -> bool:
    if node.op == "call_function":
        return node.target in _REARRANGES
    if node.op == "call_method":
        return node.target in _REARRANGING_METHODS
    return node.op in ("placeholder", "call_module", "output")
