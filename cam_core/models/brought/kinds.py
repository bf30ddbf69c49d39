"""Kinds of model that no class-activation map can be made of as they are, and what to bring instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from cam_core.types import ModelError

_QUANTISED: Final = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torchao", "bitsandbytes")


def check_kind(module: object) -> None:
    """Refuse what can be seen to be no network to explain, without running it.

    Raises:
        ModelError: no `nn.Module`; a part that is TorchScript; a quantised network; weights that are not there.
    """
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"a classifier is made of an nn.Module, not of {_article(type(module).__name__)}; an ONNX file is "
            "opened by load_model(path)"
        )
    for refused, words in _REFUSED.items():
        if refused(module):
            raise ModelError(words)


def check_scores(module: nn.Module) -> None:
    """Refuse a network whose own words say that it returns features.

    Raises:
        ModelError: it was built for no classes, or its head is an identity.
    """
    reason = _why_features(module)
    if reason:
        raise ModelError(
            f"this network returns features, not class scores: {reason}. Bring it with its classifier, or say by "
            "logits=… which of its outputs are class scores"
        )


def _why_features(module: nn.Module) -> str:
    classes = getattr(module, "num_classes", None)
    if isinstance(classes, int) and classes == 0:
        return "num_classes=0"
    name, head = _head(module)
    return f"its {name} is an nn.Identity" if isinstance(head, nn.Identity) else ""


def _head(module: nn.Module) -> tuple[str, object]:
    """The last part, under the name that timm or torchvision gives it."""
    if callable(getattr(module, "get_classifier", None)):
        return "classifier", module.get_classifier()  # type: ignore[operator]
    children = dict(module.named_children())
    name = next((name for name in ("fc", "classifier", "head", "heads") if name in children), "")
    head = children.get(name)
    return name, list(head)[-1] if isinstance(head, nn.Sequential) and len(head) else head


def _values(module: nn.Module) -> Iterator[torch.Tensor]:
    return chain(module.parameters(), module.buffers())


def _is_quantised(module: nn.Module) -> bool:
    stored = any(not (value.is_floating_point() or value.is_complex()) for value in module.parameters())
    kinds = map(type, chain(module.modules(), module.parameters()))
    return stored or any(kind.__module__.startswith(_QUANTISED) for kind in kinds)


def _has_script(module: nn.Module) -> bool:
    """Whether it holds a part with weights that is TorchScript."""
    parts = [part for part in module.modules() if isinstance(part, torch.jit.ScriptModule)]
    return any(next(part.parameters(), None) is not None for part in parts)


_REFUSED: dict[Callable[[Any], bool], str] = {
    _has_script: (
        "a part of the network is TorchScript, whose layers cannot be reached from outside: bring the Python module "
        "that it was made from, or that part alone"
    ),
    lambda module: any(is_lazy(value) for value in _values(module)): (
        "the network has lazy layers that have not seen an image yet: run it once on one"
    ),
    lambda module: any(value.is_meta for value in _values(module)): (
        "the network's weights are on torch's meta device, where there are shapes alone: load the weights"
    ),
    _is_quantised: (
        "the network is quantised, and no gradient passes through integers: bring the float network that it was made "
        "from"
    ),
}


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
