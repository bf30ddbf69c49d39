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

from cam_core.models.zoo.weights import classifier_name

_IMAGES: Final = 8  # noise images to calibrate on
_RESIDUAL_GAIN: Final = 0.5
# Deviation of convolutions over a single position. They make the gates of squeeze-and-excitation; at full size these
# products of an image with itself let one image of the batch grow, block after block, until all others look the same.
_GATE_DEVIATION: Final = 0.25

# Below this share of an output its deviation is rounding: of a class token before it has seen an image, say.
_CONSTANT: Final = 1e-4

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
        seed: None fills with zeros instead, which is faster: for networks that get their weights from a file.
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
                with torch.no_grad():
                    return (options["tensor"] if "tensor" in options else args[0]).zero_()
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
            _draw_where_zero(part, generator)
        _open_residuals(module)
        try:
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    handles.append(part.register_forward_pre_hook(_take_statistics))
                # Subclasses that standardise their weight at every call cannot be scaled, and need not be.
                elif type(part) in (nn.Linear, nn.Conv2d) or type(part).__name__ == "Conv2dSame":
                    handles.append(part.register_forward_hook(_UnitVariance()))
            logits = module(seeded_noise(_IMAGES, input_size, generator))
        finally:
            for handle in handles:
                handle.remove()
        _scale_logits(module, logits)


def seeded_noise(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(count, 3, H, W): noise with what photos have in common, and in which they differ.

    The same energy in every octave, colours that go together, and from image to image another mixture of octaves,
    another brightness and another contrast. On noise that is all of one kind a deep network learns nothing of how
    different two images can be, and photos then drive its logits into the hundreds.
    """
    noise = torch.zeros(count, 3, *size)
    scale = 1
    while scale <= max(size):
        grey, colour = (torch.randn(count, maps, scale, scale, generator=generator) for maps in (1, 3))
        share = torch.empty(count, 1, 1, 1).uniform_(0.25, 1.75, generator=generator)
        noise += share * functional.interpolate(grey + 0.3 * colour, size, mode="bicubic", align_corners=False)
        scale *= 2
    noise = (noise - noise.mean((1, 2, 3), keepdim=True)) / noise.std((1, 2, 3), keepdim=True)
    contrast = torch.empty(count, 1, 1, 1).uniform_(0.5, 1.5, generator=generator)
    brightness = 0.5 * torch.randn(count, 3, 1, 1, generator=generator)
    return contrast * noise + brightness


def _draw_affine(part: nn.Module, generator: torch.Generator) -> None:
    """Norms start with scale 1 and shift 0, some of them with scale 0: both hide mistakes.

    The shift is positive on average: a ReLU that cuts off half of everything makes rounding errors (and any other small
    difference) grow by 21 % per layer, and a network of a hundred layers loses half of its digits.
    """
    if isinstance(part, _NORMS) and isinstance(part.weight, Tensor):
        part.weight.uniform_(0.5, 1.5, generator=generator)
        if isinstance(part.bias, Tensor):
            part.bias.normal_(0.5, 0.3, generator=generator)


def _draw_where_zero(part: nn.Module, generator: torch.Generator) -> None:
    """Classifiers that start with weights of 0, as MLP-Mixer's do, would give every image the same logits."""
    if isinstance(part, nn.Linear | nn.Conv2d) and not bool(part.weight.any()):
        part.weight.normal_(0, part.weight[0].numel() ** -0.5, generator=generator)


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


def _scale_logits(module: nn.Module, logits: Tensor) -> None:
    """Behind the last layer there may be a pooling, which averages most of its variance away."""
    head = classifier_name(module, logits.shape[1])
    spread = (logits - logits.mean(0)).square().mean().sqrt()
    if head is not None and spread > 0:
        for parameter in module.get_submodule(head).parameters(recurse=False):
            parameter.div_(spread)


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
        if not spread > _CONSTANT * output.abs().max():
            return None
        if output.ndim == 4 and max(output.shape[2:]) == 1:
            spread = spread / _GATE_DEVIATION
        assert isinstance(layer.weight, Tensor)
        layer.weight /= spread
        if not isinstance(layer.bias, Tensor):
            return output / spread
        layer.bias.copy_((layer.bias - mean.flatten()) / spread)
        return (output - mean) / spread
