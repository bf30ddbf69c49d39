"""What tests of the whole registry of methods share: where a method applies, on which images, with how little work."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cam_core import METHODS
from cam_core.methods import Method
from tests.tiny import TINY, tiny_images

REAL = "resnet18"
REAL_LAYER = "layer1"
FEW = 3  # of whatever a method samples: the contract does not depend on how many

# Parameters that say how much work a method does, by the names in use.
COUNTS = ("samples", "steps", "permutations", "iterations", "budget", "orderings", "passes")


def quick(method: Method) -> dict[str, Any]:
    """Parameters with which an expensive method is cheap."""
    return {p.name: max(FEW, int(p.low or 0)) for p in method.parameters if p.name in COUNTS and p.kind == "int"}


def images(network: str, count: int = 1) -> Tensor:
    """(count, 3, H, W); the real network sees 32 × 32."""
    small = tiny_images(count, seed=3)
    return small if network != REAL else nn.functional.interpolate(small, (32, 32), mode="bilinear")


def layers_for(key: str, network: str, layer: str) -> str | list[str] | None:
    """Methods over several layers get all of a tiny network's, and choose for themselves on the real one."""
    if not METHODS[key].multi_layer:
        return layer
    return None if network == REAL else list(TINY[network].layers)


def refuses(key: str, network: str, layer: str) -> bool:
    """Which methods do not apply where: all others apply everywhere."""
    if key == "cam":
        return network == REAL or layer not in TINY[network].pooled_linear or not TINY[network].traceable
    if key == "lfi-cam":
        return network != "lfi"
    if (network, layer) == ("lfi", "features"):  # the attention behind it takes minima, has sums of products, …
        return key in ("lift-cam", "lrp-cam")
    return (key, network, layer) == ("lrp-cam", "squeeze-excite", "stem")  # LRP has no rule for a gate
