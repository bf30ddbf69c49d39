"""Which layers of a network yield feature maps: found, with their shapes, by one forward pass of a private copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn

from cam_core.models.noise import InputSize, image_shape, noise_for
from cam_core.models.split.halves import cannot_take, check_layer_exists
from cam_core.models.split.tracing import private_copy
from cam_core.types import LayerError, ModelError

LayerShape: TypeAlias = tuple[str, int, int, int]
"""(module name, channels, height, width)."""

_POOLING = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
)
NO_FEATURE_MAP: Final = (
    "the network has no layer that yields a feature map (channels × height × width): class-activation maps need a "
    "convolutional layer"
)

# What sets the size of the maps that follow it. An output whose last two dimensions no such module has produced is no
# feature map: it may hold tokens, attention weights, or channels in the last place.
_SPATIAL = (nn.modules.conv._ConvNd, *_POOLING)


def inspect_layers(module: nn.Module, input_size: InputSize, names: Sequence[str] | None = None) -> list[LayerShape]:
    """The layers that can be explained, in the order in which they finish; of a layer called twice the last call.

    Args:
        module: maps images (B, n, H, W) to logits; it is left as it is.
        input_size: of its images.
        names: only these modules; every module with a feature map behind a convolution where omitted. Where a block and
            its last part have the same output, the block alone is named.
    Raises:
        LayerError: one of `names` does not exist, is never called, or does not yield (B, K, h, w).
        ModelError: the network cannot take an image of this size, or (`names` omitted) it has feature maps only at its
            entrance and works on tokens from there, as transformers do.
    """
    for name in names or ():
        check_layer_exists(module, name)
    seen = _watch(private_copy(module, input_size), input_size)
    if names is None:
        shapes = seen.feature_maps()
        _refuse_tokens(module, seen)
        return shapes
    missing = [name for name in names if name not in seen.shapes or len(seen.shapes[name]) != 4]
    if missing:
        raise LayerError(_not_a_map(missing[0], seen.shapes.get(missing[0])))
    return [_layer_shape(name, shape) for name, shape in seen.shapes.items() if name in names]


def select_layers(module: nn.Module, input_size: InputSize, stages: Sequence[str]) -> list[LayerShape]:
    """A short list for a network that nobody curated: its stages, and as the last one its last feature map.

    Args:
        stages: names of modules that end a stage; where there are none, the last block at each resolution. Those that
            yield no feature map are passed over.
    Raises:
        ModelError: as `inspect_layers`, or the network has no feature map at all.
    """
    seen = _watch(private_copy(module, input_size), input_size)
    _refuse_tokens(module, seen)
    maps = seen.feature_maps()
    if not maps:
        raise ModelError(NO_FEATURE_MAP)
    last = maps[-1][0]
    whole = stages and stages[-1] != last and stages[-1].rpartition(".")[0] == last
    if whole and list(module.get_submodule(last).named_children())[-1][0] == stages[-1].rpartition(".")[2]:
        last = stages[-1]  # the same output under the name that its authors use
    names = {*(stages or _outermost_per_resolution(maps)), last}
    order = list(seen.shapes)
    until_last = order[: order.index(last) + 1]  # a pooling behind it is no stage
    return [_layer_shape(name, seen.shapes[name]) for name in until_last if name in names and seen.is_map(name)]


def _outermost_per_resolution(maps: Sequence[LayerShape]) -> list[str]:
    """At each resolution the last of the least nested: a block rather than a part of the block that follows it."""
    best: dict[tuple[int, int], str] = {}
    for name, _, *size in maps:
        current = best.get((size[0], size[1]))
        if current is None or name.count(".") <= current.count("."):
            best[size[0], size[1]] = name
    return list(best.values())


@dataclass
class _Seen:
    """The shapes and names that one forward pass showed.

    Attributes:
        shapes: of every module that returned one tensor, in the order in which they finished.
        maps: names of those that returned a feature map of their own, behind a convolution.
        called: names of all that were called, whatever they returned.
        before: names of all that had finished when the last feature map was there.
    """

    shapes: dict[str, torch.Size] = field(default_factory=dict)
    maps: dict[str, None] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)
    _sizes: set[tuple[int, ...]] = field(default_factory=set)
    _convolved: bool = False
    _last: tuple[str, Tensor, int] | None = None

    def note(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.called.add(name)
        if not isinstance(output, Tensor):
            return
        self.shapes.pop(name, None)
        self.shapes[name] = output.shape
        self._convolved |= isinstance(module, nn.modules.conv._ConvNd)
        if isinstance(module, _SPATIAL):
            self._sizes.add(output.shape[2:])
        if self._convolved and self.is_map(name):
            self._note_map(name, module, output, passed_on=bool(inputs) and output is inputs[0])

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
        return len(shape) == 4 and shape[2:] in self._sizes and max(shape[2:]) > 1

    def feature_maps(self) -> list[LayerShape]:
        return [_layer_shape(name, self.shapes[name]) for name in self.maps]


def _watch(duplicate: nn.Module, input_size: InputSize) -> _Seen:
    """Run `duplicate`, which the caller gives away, once on noise."""
    seen = _Seen()
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


def _refuse_tokens(module: nn.Module, seen: _Seen) -> None:
    """Refuse a network that works on tokens with most of its weights, and after its last feature map.

    Tokens are three-dimensional outputs, and whatever follows the last feature map without being one vector per image.
    So the fully connected layers of VGG do not count; a convolutional network with attention pooling at its end passes,
    and so does a hybrid that returns to feature maps.
    """
    total = tokens = after = 0
    for name, part in module.named_modules():
        if name not in seen.called:
            continue
        own = sum(parameter.numel() for parameter in part.parameters(recurse=False))
        shape = seen.shapes.get(name, torch.Size())
        behind = name not in seen.before and (not shape or shape.numel() > max(shape))
        total += own
        after += own if behind else 0
        tokens += own if behind or len(shape) == 3 else 0
    if seen.maps and after and 2 * tokens > total:
        raise ModelError(
            f"{tokens / total:.0%} of the network's weights work on tokens, and so does its decision, as in a "
            f"transformer (its last feature map is that of {next(reversed(seen.maps))}): class-activation maps need a "
            "convolutional feature map (channels × height × width) that the decision is made from"
        )


def _layer_shape(name: str, shape: torch.Size) -> LayerShape:
    _, channels, height, width = shape
    return name, channels, height, width


def _not_a_map(name: str, shape: torch.Size | None) -> str:
    if shape is None:
        return f"the layer {name!r} is never called, or does not return one tensor"
    return f"the layer {name!r} yields {' × '.join(map(str, shape[1:]))} values, not channels × height × width"
