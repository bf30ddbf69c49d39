"""Which layers of a network can be explained: found, with their shapes, by one forward pass of a private copy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import torch
from torch import nn

from cam_core.models.noise import InputSize
from cam_core.models.split.deciding import deciding
from cam_core.models.split.halves import check_layer_exists
from cam_core.models.split.tracing import private_copy
from cam_core.models.split.watching import LayerShape, Seen, watch
from cam_core.types import LayerError, ModelError

NO_FEATURE_MAP: Final = (
    "the network has no layer that yields a feature map (channels × height × width): class-activation maps need a "
    "convolutional layer, or tokens on a grid"
)

# A block or a stage among others of its kind.
_ROW: Final = re.compile(r"\b(block|layer|stage)s\.(\d+)\b")


def inspect_layers(module: nn.Module, input_size: InputSize, names: Sequence[str] | None = None) -> list[LayerShape]:
    """The layers that can be explained, in the order in which they finish; of a layer called twice the last call.

    Args:
        module: maps images (B, n, H, W) to logits; it is left as it is.
        input_size: of its images.
        names: only these modules. Where omitted, every module with a feature map behind a convolution; and, of a
            network that decides on tokens, what its blocks return. Where a block and its last part have the same
            output, the block alone is named.
    Raises:
        LayerError: one of `names` does not exist, is never called, or does not yield (B, K, h, w) or a grid of tokens.
        ModelError: the network cannot take an image of this size, or (`names` omitted) it decides on tokens that form
            no grid.
    """
    return _offered(module, _watched(module, input_size, names), names)


def _watched(module: nn.Module, input_size: InputSize, names: Sequence[str] | None) -> Seen:
    for name in names or ():
        check_layer_exists(module, name)
    return watch(private_copy(module, input_size), input_size)


def _offered(module: nn.Module, seen: Seen, names: Sequence[str] | None) -> list[LayerShape]:
    if names is None:
        if not decides_on_tokens(module, seen):
            return seen.feature_maps()
        _refuse_without_grid(seen)
        return seen.blocks()
    missing = [name for name in names if name not in seen.views]
    if missing:
        raise LayerError(_not_a_map(missing[0], seen))
    return [seen.layer_shape(name) for name in seen.views if name in names]


def layers_and_default(
    module: nn.Module, input_size: InputSize, names: Sequence[str] | None = None
) -> tuple[list[LayerShape], str]:
    """`inspect_layers`, and the layer to explain where none is named; no layers and "" where the network has none.

    That is the last layer with more than one position. Of a network that decides on tokens it is the last block or norm
    whose patches the logits still depend on: the last norm where the patches are pooled, the norm before the last
    attention where a class token decides. Layers behind it are left out.
    """
    seen = _watched(module, input_size, names)
    shapes = _offered(module, seen, names)
    if not shapes or not decides_on_tokens(module, seen):
        return shapes, _last_spatial(shapes) if shapes else ""
    wanted = {name for name, *_ in shapes}
    candidates = {name: view for name, view in seen.views.items() if name in wanted or name in seen.tokens}
    alive = deciding(private_copy(module, input_size), input_size, candidates)
    default = alive[-1] if alive else _last_spatial(shapes)
    kept = [name for name in seen.views if name == default or (name in wanted and (name in alive or not alive))]
    return [seen.layer_shape(name) for name in kept], default


def _last_spatial(shapes: Sequence[LayerShape]) -> str:
    spatial = [name for name, _, height, width in shapes if height * width > 1]
    return spatial[-1] if spatial else shapes[-1][0]


def select_layers(
    module: nn.Module, input_size: InputSize, stages: Sequence[str]
) -> tuple[list[LayerShape], str | None]:
    """A short list for a network that nobody curated: its stages, and as the last one its last feature map.

    Args:
        stages: names of modules that end a stage; where there are none, the last block at each resolution. Those that
            yield no feature map are passed over.
    Returns:
        The layers, and the one to explain where none is named; None for a network that decides on tokens, whose
        default takes weights to find: see `layers_and_default`.
    Raises:
        ModelError: as `inspect_layers`, or the network has no feature map at all.
    """
    seen = watch(private_copy(module, input_size), input_size)
    if decides_on_tokens(module, seen):
        _refuse_without_grid(seen)
        named = [name for name in seen.shapes if name in stages and name in seen.views]
        few = [seen.layer_shape(name) for name in named if max(seen.layer_shape(name)[2:]) > 1]
        return few if any(name in seen.tokens for name, *_ in few) else seen.blocks(), None
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
    return [seen.layer_shape(name) for name in until_last if name in names and seen.is_map(name)], last


def _outermost_per_resolution(maps: Sequence[LayerShape]) -> list[str]:
    """At each resolution the last of the least nested: a block rather than a part of the block that follows it."""
    best: dict[tuple[int, int], str] = {}
    for name, _, *size in maps:
        current = best.get((size[0], size[1]))
        if current is None or name.count(".") <= current.count("."):
            best[size[0], size[1]] = name
    return list(best.values())


def decides_on_tokens(module: nn.Module, seen: Seen) -> bool:
    """Whether a network works on tokens with most of its weights, and after its last feature map.

    Tokens are three-dimensional outputs, and whatever follows the last feature map without being one vector per image.
    So the fully connected layers of VGG do not count; a convolutional network with attention pooling at its end is
    convolutional, and so is a hybrid that returns to feature maps.
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
    return bool((seen.maps or seen.tokens) and after and 2 * tokens > total)


def _refuse_without_grid(seen: Seen) -> None:
    if not seen.tokens:
        name, shape = next((entry for entry in reversed(seen.shapes.items()) if len(entry[1]) == 3), ("", torch.Size()))
        reason = f"the layer {name!r} yields {seen.grids.misfit(shape)}" if name else "none of its blocks returns them"
        raise ModelError(
            "most of the network's weights work on tokens, and so does its decision, but they cannot be seen as "
            f"channels × height × width: {reason}"
        )


def _not_a_map(name: str, seen: Seen) -> str:
    if name not in seen.shapes:
        return f"the layer {name!r} is never called, or does not return one tensor"
    return f"the layer {name!r} yields {seen.grids.misfit(seen.shapes[name])}"


def in_words(name: str) -> str:
    """A module's name as one says it: "blocks.11.norm1" is "block 11, norm1"; others are their own words."""
    said = _ROW.sub(r"\1 \2", name)
    return name if said == name else said.replace(".", ", ")
