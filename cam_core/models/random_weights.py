"""Seeded random weights that are of use: activations of order one in every layer, and logits that differ among images.

A network as its constructor leaves it yields logits of 1e-14 or 1e11, the same for every image. Here each convolution
and linear layer is rescaled on seeded noise to an output of unit variance (layer-sequential unit-variance
initialisation, Mishkin & Matas 2016, arXiv:1511.06422) and zero mean per channel, and each batch norm takes the
statistics of that noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_IMAGES: Final = 8  # noise images to calibrate on
_SCALES: Final = (1, 4, 16, 64)  # grids of noise, added up: like photos, smooth for the most part
_RESIDUAL_GAIN: Final = 0.5

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
_FILLS: Final = frozenset(
    "uniform_ normal_ trunc_normal_ bernoulli_ exponential_ random_ kaiming_uniform_ kaiming_normal_ "
    "xavier_uniform_ xavier_normal_".split()
)
_DRAWS: Final = frozenset("rand randn randint randperm normal bernoulli".split())


class PrivateRandomness(TorchFunctionMode):
    """While it is entered, what this thread draws at random comes from a generator of its own.

    So a network is built the same for the same seed, and the global random state, which other threads share, is left
    alone.

    Args:
        seed: None leaves tensors unfilled instead of filling them at random: for networks that get weights anyway.
    """

    def __init__(self, seed: int | None) -> None:
        super().__init__()
        self._fill = seed is not None
        self._generator = torch.Generator().manual_seed(seed or 0)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _FILLS:
            if not self._fill:
                return options["tensor"] if "tensor" in options else args[0]
            options["generator"] = self._generator
        elif name in _DRAWS:
            options["generator"] = self._generator
        return func(*args, **options)


def calibrate(module: nn.Module, input_size: tuple[int, int], seed: int) -> None:
    """Give `module`, in place, random norm weights and the scales described above. Leaves it in evaluation mode.

    The same seed gives the same weights on the same machine; on another one they may differ in the last digits.

    Args:
        module: freshly built, on the CPU; maps images (B, 3, H, W) to logits (B, C).
        input_size: (H, W).
    """
    generator = torch.Generator().manual_seed(seed)
    module.eval()
    handles = []
    with torch.no_grad():
        for part in module.modules():
            _draw_affine(part, generator)
        _open_residuals(module)
        try:
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    handles.append(part.register_forward_pre_hook(_take_statistics))
                # Subclasses that standardise their weight at every call cannot be scaled, and need not be.
                elif type(part) in (nn.Linear, nn.Conv2d) or type(part).__name__ == "Conv2dSame":
                    handles.append(part.register_forward_hook(_UnitVariance()))
            module(seeded_noise(_IMAGES, input_size, generator))
        finally:
            for handle in handles:
                handle.remove()


def seeded_noise(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, 3, H, W) of zero mean and unit variance per image: coarse and fine noise added up."""
    noise = 0.3 * torch.randn(count, 3, *size, generator=generator)
    for scale in _SCALES:
        coarse = torch.randn(count, 3, scale, scale, generator=generator)
        noise += functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    return (noise - noise.mean((1, 2, 3), keepdim=True)) / noise.std((1, 2, 3), keepdim=True)


def _draw_affine(part: nn.Module, generator: torch.Generator) -> None:
    """Norms start with scale 1 and shift 0, some of them with scale 0: both hide mistakes."""
    if isinstance(part, _NORMS) and isinstance(part.weight, Tensor):
        part.weight.uniform_(0.5, 1.5, generator=generator)
        if isinstance(part.bias, Tensor):
            part.bias.normal_(std=0.3, generator=generator)


def _open_residuals(module: nn.Module) -> None:
    """Layer scales and skip gains start near 0, so that a block begins as the identity: let them through by half."""
    known = (nn.Linear, nn.modules.conv._ConvNd, *_NORMS)
    for part in module.modules():
        if not isinstance(part, known):
            for gain in part.parameters(recurse=False):
                if gain.abs().max() < 0.01:
                    gain.fill_(_RESIDUAL_GAIN)


def _take_statistics(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    if norm.running_mean is not None and norm.running_var is not None:
        dims = [dim for dim in range(inputs[0].ndim) if dim != 1]
        norm.running_mean.copy_(inputs[0].mean(dims))
        norm.running_var.copy_(inputs[0].var(dims))


class _UnitVariance:
    """Forward hook: at its first call, scales and centres a layer's weights so that its output has unit variance."""

    def __init__(self) -> None:
        self._done = False

    def __call__(self, layer: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        if self._done:  # shared by two places: fitted to the first
            return None
        self._done = True
        channel = 1 if isinstance(layer, nn.Conv2d) else output.ndim - 1
        dims = [dim for dim in range(output.ndim) if dim != channel]
        mean = output.mean(dims, keepdim=True)
        spread = (output - mean).square().mean().sqrt()
        if not spread > 0:
            return None
        assert isinstance(layer.weight, Tensor)
        layer.weight /= spread
        if not isinstance(layer.bias, Tensor):
            return output / spread
        layer.bias.copy_((layer.bias - mean.flatten()) / spread)
        return (output - mean) / spread
