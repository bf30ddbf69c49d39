"""At which layers the patches still decide: of a class-token network, those before its last attention."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cam_core.models.noise import InputSize, noise_with_gradients
from cam_core.models.split.views import View


def deciding(duplicate: nn.Module, input_size: InputSize, views: Mapping[str, View]) -> list[str]:
    """The names among `views` at which the logits depend on the activations (B, D, h, w), in their order.

    Behind a class token's last attention the patches are still there, but nothing reads them: their gradient is zero.
    None where gradients cannot be had.

    Args:
        duplicate: the caller gives it away; run forwards and backwards once on noise, with its weights.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        outputs[name] = output

    for name in views:
        duplicate.get_submodule(name).register_forward_hook(partial(keep, name))
    duplicate.requires_grad_(False)
    with torch.inference_mode(False), torch.enable_grad():
        logits = duplicate(noise_with_gradients(duplicate, input_size))
        # Not their plain sum: behind a softmax it would be constant.
        weights = torch.linspace(1, 2, logits.shape[-1], dtype=logits.dtype, device=logits.device)
        try:
            gradients = torch.autograd.grad((logits * weights).sum(), list(outputs.values()), allow_unused=True)
        except RuntimeError:  # torch's for an operation without a derivative, or a value that was written into
            return []
    known = dict(zip(outputs, gradients, strict=True))
    return [name for name, view in views.items() if _matters(view, known.get(name))]


def _matters(view: View, gradient: Tensor | None) -> bool:
    return gradient is not None and bool((view.maps(gradient) != 0).any())
