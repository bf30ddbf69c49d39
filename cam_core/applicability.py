"""Which methods work at a layer, and which of them must give the same map there, known before one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from cam_core.explain import last_per_resolution
from cam_core.methods import METHODS
from cam_core.models.classifier import Classifier
from cam_core.models.noise import noise
from cam_core.models.tails import is_pooled_linear
from cam_core.types import MethodError, TargetError


def methods_at(clf: Classifier, layer: str | None = None) -> dict[str, str]:
    """Every method's key, with the reason why it cannot work at that layer: "" where it can.

    It depends on how the network is made and not on its weights; of a classifier that is asked about a target, on what
    kind of target that is. Costs a pass of the network, and one more behind the layer for each method that needs a rule
    for every operation there, or classes at the end.

    Args:
        layer: a module name; the classifier's default where omitted. Methods over several layers choose their own.
    Raises:
        LayerError: no such layer, or one that yields no feature map.
    Examples:
        >>> from cam_core import load_model, methods_at
        >>> reasons = methods_at(load_model("efficientnet_lite0"), "blocks.6")
        >>> reasons["grad-cam"], reasons["cam"]
        ('', 'the tail is not pooling and one linear layer: conv_head (Conv2d) stands in the way')
    """
    net = clf.split(layer)
    image = noise(clf.input_shape).to(clf.device)
    with torch.no_grad():
        acts = net.head(image)
    reasons = dict.fromkeys(METHODS, "")
    for key, method in METHODS.items():
        try:
            if method.multi_layer and len(last_per_resolution(clf)) < 2:
                raise MethodError(f"{key} combines layers of several resolutions, and this network has one")
            if method.check:
                method.check(net, image, acts)
        except (MethodError, TargetError) as error:
            reasons[key] = str(error)
    return reasons


def coinciding(clf: Classifier, layer: str, chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Of the chosen methods those that give the same map at that layer by theory, by the reason why; up to a factor.

    Decided by how the network is made: they coincide where all that is behind the layer is average pooling and one
    linear layer. Other methods may happen to agree. Costs no pass.

    Args:
        chosen: values of parameters by the method's key; defaults where omitted.
    Returns:
        Keys of two methods or more for each reason: a clause that goes on after "pooling and one linear layer:".
    """
    if not is_pooled_linear(clf.split(layer).halves):
        return {}
    by_reason: dict[str, list[str]] = {}
    for key, params in chosen.items():
        if why := _becomes(key, params):
            by_reason.setdefault(why, []).append(key)
    return {why: keys for why, keys in by_reason.items() if len(keys) > 1}


def _becomes(key: str, params: Mapping[str, Any]) -> str:
    """What a method with these parameters becomes before pooling and one linear layer; "" where that is not known."""
    pooled, values = METHODS[key].pooled, METHODS[key].validate(params)
    return pooled.why if pooled and all(values[name] == value for name, value in pooled.where.items()) else ""
