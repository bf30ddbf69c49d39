"""Noise in place of an image, for passes that only look at what a network is: unlike zeros, it tells two apart."""

from __future__ import annotations

from itertools import chain
from typing import TypeAlias

import torch
from torch import Tensor, nn

InputSize: TypeAlias = tuple[int, int] | tuple[int, int, int]
"""(channels, H, W), or (H, W) of three channels."""


def image_shape(input_size: InputSize) -> tuple[int, int, int]:
    """(channels, H, W)."""
    return (3, *input_size) if len(input_size) == 2 else input_size


def noise(input_size: InputSize, seed: int = 0, images: int = 1) -> Tensor:
    """(images, channels, H, W) float32 on the CPU, standard normal."""
    return torch.randn(images, *image_shape(input_size), generator=torch.Generator().manual_seed(seed))


def noise_for(module: nn.Module, input_size: InputSize, seed: int = 0, images: int = 1) -> Tensor:
    """The same where the weights of `module` are, in the dtype that they have."""
    values = list(chain(module.parameters(), module.buffers()))
    like = next((value for value in values if value.is_floating_point()), torch.empty(0))
    return noise(input_size, seed, images).to(like.device, like.dtype)


def noise_with_gradients(module: nn.Module, input_size: InputSize, seed: int = 0) -> Tensor:
    """The same for one image, of whose pixels gradients can be had."""
    # Cloned: the network may write into its image, which a tensor that gathers gradients does not allow.
    return noise_for(module, input_size, seed).requires_grad_().clone()
