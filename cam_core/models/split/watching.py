"""One forward pass of a network, watched: which of its modules return feature maps or tokens, and of which shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from cam_core.models.noise import InputSize, image_shape, noise_for
from cam_core.models.split.views import MAPS, Grids, View
from cam_core.types import ModelError

LayerShape: TypeAlias = tuple[str, int, int, int]
"""(module name, channels, height, width)."""

_POOLING = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
)

# What sets the size of the maps that follow it. An output whose last two dimensions no such module has produced is no
# feature map: it may hold tokens, attention weights, or channels in the last place.
_SPATIAL = (nn.modules.conv._ConvNd, *_POOLING)


@dataclass
class Seen:
    """The shapes and names that one forward pass showed.

    Attributes:
        grids: what they say of the network's grids.
        views: of every module that returned one tensor that can be seen as channels × height × width.
        shapes: of every module that returned one tensor, in the order in which they finished.
        maps: names of those that returned a feature map of their own, behind a convolution.
        called: names of all that were called, whatever they returned.
        before: names of all that had finished when the last feature map was there.
        tokens: names of the blocks and norms that returned tokens of their own.
    """

    grids: Grids
    shapes: dict[str, torch.Size] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    maps: dict[str, None] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)
    tokens: dict[str, None] = field(default_factory=dict)
    _sizes: set[tuple[int, ...]] = field(default_factory=set)
    _convolved: bool = False
    _last: tuple[str, Tensor, int] | None = None
    _blocks: frozenset[str] = frozenset()
    _softmaxes: frozenset[str] = frozenset()
    _last_block: tuple[str, Tensor] | None = None

    def note(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.called.add(name)
        self.grids.ask(module)
        if not isinstance(output, Tensor):
            return
        self.shapes.pop(name, None)
        self.shapes[name] = output.shape
        self._convolved |= isinstance(module, nn.modules.conv._ConvNd)
        if isinstance(module, _SPATIAL):
            self._sizes.add(output.shape[2:])
        self._note_view(name, module, output)
        if self._convolved and self.is_map(name):
            self._note_map(name, module, output, passed_on=bool(inputs) and output is inputs[0])

    def _note_view(self, name: str, module: nn.Module, output: Tensor) -> None:
        self.grids.learn(output.shape, spatial=isinstance(module, _SPATIAL))
        self.views.pop(name, None)
        self.tokens.pop(name, None)
        if not self.grids.fits(output.shape):
            return
        self.views[name] = view = self.grids.view(output.shape)
        if view == MAPS or not (name in self._blocks or is_norm(module)):
            return
        if self._last_block is not None and output is self._last_block[1]:
            self.tokens.pop(self._last_block[0], None)  # a stage stands for its last block
        self.tokens[name] = None
        self._last_block = (name, output)

    def _note_map(self, name: str, module: nn.Module, output: Tensor, passed_on: bool) -> None:
        if passed_on and not getattr(module, "inplace", False) and not any(module.children()):
            return  # an identity, a dropout
        if self._last is not None and output is self._last[1] and output._version == self._last[2]:
            inner = self._last[0]
            if inner not in self.maps or not inner.startswith(f"{name}."):
                return  # a block that ends in pooling
            del self.maps[inner]
        self.maps.pop(name, None)
        if not isinstance(module, _POOLING):
            self.maps[name] = None
            self.before = set(self.called)
        self._last = (name, output, output._version)

    def is_map(self, name: str) -> bool:
        shape = self.shapes[name]
        # Of one image: windows are more. Attention weights (1, heads, n, n) are what softmax returns.
        one = len(shape) == 4 and shape[0] == 1 and name not in self._softmaxes
        return one and shape[2:] in self._sizes and max(shape[2:]) > 1

    def layer_shape(self, name: str) -> LayerShape:
        return (name, *self.views[name].shape(self.shapes[name]))

    def feature_maps(self) -> list[LayerShape]:
        return [self.layer_shape(name) for name in self.maps]

    def blocks(self) -> list[LayerShape]:
        """Feature maps, and what blocks of a token network return, in the order in which they finished.

        Its norms instead, where blocks return several tensors together.
        """
        blocks = {name for name in self.tokens if name in self._blocks} or set(self.tokens)
        return [self.layer_shape(name) for name in self.shapes if name in self.maps or name in blocks]


def watch(duplicate: nn.Module, input_size: InputSize) -> Seen:
    """Run `duplicate`, which the caller gives away, once on noise."""
    softmaxes = frozenset(name for name, part in duplicate.named_modules() if isinstance(part, nn.Softmax))
    seen = Seen(Grids.of(duplicate, image_shape(input_size)[1:]), _blocks=_blocks(duplicate), _softmaxes=softmaxes)
    for name, part in duplicate.named_modules():
        if name:
            part.register_forward_hook(partial(seen.note, name))
    try:
        # Also for a caller in inference mode, whose tensors do not tell when they are written to.
        with torch.inference_mode(False), torch.no_grad():
            duplicate(noise_for(duplicate, input_size))
    except Exception as error:  # a foreign network may raise anything
        raise cannot_take(image_shape(input_size), error) from error
    return seen


def cannot_take(shape: Sequence[int], error: Exception, images: int = 1) -> ModelError:
    """The error that says what a network raised for `images` images of (channels, H, W), and no more of it."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    count = "an image" if images == 1 else f"{images} images at once,"
    return ModelError(f"the network cannot take {count} of {' × '.join(map(str, shape))}: {reason}")


def is_norm(module: nn.Module) -> bool:
    """Layer norm, RMS norm and what libraries call so."""
    return "Norm" in type(module).__name__


def _blocks(module: nn.Module) -> frozenset[str]:
    """Names of the modules with parts of their own that stand in a row of others: blocks, and stages of blocks."""
    rows = [name for name, part in module.named_modules() if isinstance(part, nn.Sequential | nn.ModuleList)]
    inside = {
        f"{row}.{name}" if row else name for row in rows for name, _ in module.get_submodule(row).named_children()
    }
    return frozenset(name for name in inside if any(module.get_submodule(name).children()))
