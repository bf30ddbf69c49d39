"""Which methods work at a layer, known before one is chosen."""

from __future__ import annotations

import torch

from cam_core.explain import last_per_resolution
from cam_core.methods import METHODS
from cam_core.models.classifier import Classifier
from cam_core.models.noise import noise
from cam_core.types import MethodError


def methods_at(clf: Classifier, layer: str | None = None) -> dict[str, str]:
    """Every method's key, with the reason why it cannot work at that layer: "" where it can.

    It depends on how the network is made and not on its weights. Costs a pass of the network, and one more behind the
    layer for each method that needs a rule for every operation there.

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
        except MethodError as error:
            reasons[key] = str(error)
    return reasons
