"""How a layer's output is seen as channels × height × width: feature maps as they are, tokens through a view.

A token network hands on (B, E + h·w, D): E class, distillation and register tokens, then the patches row by row; or
(B, h, w, D), as Swin does. The patches are the activations (B, D, h, w), the E tokens are context across the cut:
neither players of a game nor part of a map.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain, product
from typing import Final, Literal

import torch
from torch import Tensor, fx, nn

from cam_core.types import Activations, LayerError

Grid = tuple[int, int]
Layout = Literal["maps", "tokens", "channels last"]

_EXTRA_TOKENS: Final = re.compile(r"(^|_)(cls|class|dist|distillation|reg|register|storage)_?tokens?_?\d*$")
# Modules that put tokens into an order of windows, so that neighbours pool by reshaping: Hiera's.
_REORDERING: Final = frozenset(["Unroll"])


@dataclass(frozen=True)
class View:
    """One layout of a layer's output.

    Attributes:
        layout: "maps" (B, D, h, w), "tokens" (B, extra + h·w, D) or "channels last" (B, h, w, D).
        grid: (h, w); of maps it is not asked.
        extra: tokens ahead of the patches.
        windows: sizes of windows within windows, the smallest first, whose positions are the outer index of the
            patches: with one of them, the first patch of every window stands before the second of any.
    """

    layout: Layout = "maps"
    grid: Grid = (0, 0)
    extra: int = 0
    windows: tuple[Grid, ...] = ()

    def maps(self, output: Tensor) -> Activations:
        """The layer's output as (B, D, h, w)."""
        if self.layout == "tokens":
            height, width = self.grid
            if output.shape[1] != self.extra + height * width:
                raise LayerError(
                    f"the layer's tokens are known on a grid of {height} × {width} alone, not of this image"
                )
            return self._in_rows(output[:, self.extra :])
        return output.permute(0, 3, 1, 2) if self.layout == "channels last" else output

    def output(self, acts: Activations, whole: Tensor | None) -> Tensor:
        """The layer's output with `acts` (B, D, h, w) in the place of its patches; the extra tokens are `whole`'s."""
        if self.layout == "maps":
            return acts
        if self.layout == "channels last":
            return acts.permute(0, 2, 3, 1).contiguous()
        patches = self._in_windows(acts)
        if whole is None or not self.extra:
            return patches.contiguous()
        return torch.cat([whole[:, : self.extra], patches], 1)

    def _in_rows(self, patches: Tensor) -> Activations:
        """(B, h·w, D) → (B, D, h, w)."""
        folded = patches.reshape(len(patches), *self._folded(), patches.shape[-1])
        return folded.permute(self._order()).reshape(len(patches), patches.shape[-1], *self.grid)

    def _in_windows(self, acts: Activations) -> Tensor:
        """(B, D, h, w) → (B, h·w, D)."""
        order, sizes = self._order(), self._folded()
        folded = acts.reshape(*acts.shape[:2], *(sizes[axis - 1] for axis in order[2:]))
        back = sorted(range(len(order)), key=order.__getitem__)
        return folded.permute(back).reshape(len(acts), -1, acts.shape[1])

    def _folded(self) -> tuple[int, ...]:
        """The sizes of the patches' indices, from the outermost: row and column in each window, then of the windows."""
        height, width = self.grid
        for window in self.windows:
            height, width = height // window[0], width // window[1]
        return (*chain.from_iterable(self.windows), height, width)

    def _order(self) -> tuple[int, ...]:
        """Of the axes (B, *folded, D): channels to the front, then all rows and all columns, the coarsest first."""
        last = 2 * len(self.windows) + 3
        return (0, last, *range(last - 2, 0, -2), *range(last - 1, 0, -2))

    def shape(self, output: torch.Size) -> tuple[int, int, int]:
        """(D, h, w) of an output of that shape."""
        return (output[1], output[2], output[3]) if self.layout == "maps" else (output[-1], *self.grid)


MAPS: Final = View()


class AsMaps(nn.Module):
    """A view as a part of a graph: the layer's output → (B, D, h, w)."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view

    def forward(self, output: Tensor) -> Activations:
        return self.view.maps(output)


class FromMaps(nn.Module):
    """The way back: (B, D, h, w), and the extra tokens where there are some → the layer's output."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view

    def forward(self, acts: Activations, extra: Tensor | None = None) -> Tensor:
        return self.view.output(acts, extra)


def insert_view(module: nn.Module, node: fx.Node, view: View) -> tuple[fx.Node, list[fx.Node]]:
    """Put a view and its way back behind `node`, for all that read it.

    Returns:
        The node that holds (B, D, h, w), where the graph can be cut; and all new nodes, which hold tensors.
    """
    if view == MAPS:
        return node, []
    readers = list(node.users)
    module.add_module("view_as_maps", AsMaps(view))
    module.add_module("view_from_maps", FromMaps(view))
    with node.graph.inserting_after(node):
        maps = node.graph.call_module("view_as_maps", (node,))
    extra = []
    if view.extra:
        with node.graph.inserting_after(maps):
            ahead = (slice(None), slice(None, view.extra))
            extra = [node.graph.call_function(operator.getitem, (node, ahead))]
    with node.graph.inserting_after(extra[0] if extra else maps):
        output = node.graph.call_module("view_from_maps", (maps, *extra))
    for reader in readers:
        reader.replace_input_with(node, output)
    return maps, [maps, *extra, output]


@dataclass
class Grids:
    """The grids on which a network of that input size works, learnt while it runs; and which view they make of a shape.

    A grid is known by what made it: a convolution or pooling, a patch embedding that states its `grid_size` or
    `patch_size`, an output (B, h, w, D); or it is half of the latest one, as patch merging leaves it.

    Attributes:
        size: (H, W) of the image.
        extra: class, distillation and register tokens that the network has.
        ordered: whether tokens are in the order of the image, or of windows that are known.
    """

    size: Grid
    extra: int = 0
    ordered: bool = True
    _windows: dict[Grid, tuple[Grid, ...]] = field(default_factory=dict)
    _known: dict[Grid, None] = field(default_factory=dict)

    @classmethod
    def of(cls, module: nn.Module, size: Grid) -> Grids:
        """Those of `module` before it has run."""
        ordered = all(_windows(part) for part in module.modules() if _reorders(part))
        grids = cls(size, _extra_tokens(module), ordered)
        grids.ask(module)
        return grids

    def ask(self, part: nn.Module) -> None:
        """Take in the grid that a part of the network states, and that of the patches whose size it states."""
        for grid in _stated(part, self.size):
            self._know(grid)
        if _reorders(part):
            self._windows = _windows(part)

    def learn(self, shape: torch.Size, *, spatial: bool) -> None:
        """Take in the grid of an output of that shape; `spatial` if a convolution or a pooling has returned it."""
        if spatial and len(shape) == 4:
            self._know((shape[2], shape[3]))
        elif (view := self.view(shape)) != MAPS:
            self._know(view.grid)

    def view(self, shape: torch.Size) -> View:
        """The view of an output of that shape for one image; `MAPS` too where none fits: see `fits`."""
        if len(shape) == 4 and shape[0] == 1 and (shape[2], shape[3]) not in self._known:
            grid = (shape[1], shape[2])
            if grid in self._candidates():
                return View("channels last", grid)
        if len(shape) == 3 and shape[0] == 1 and self.ordered:
            for grid, extra in product(self._candidates(), range(self.extra, -1, -1)):
                if grid[0] * grid[1] + extra == shape[1] and (not self._windows or grid in self._windows):
                    return View("tokens", grid, extra, self._windows.get(grid, ()))
        return MAPS

    def fits(self, shape: torch.Size) -> bool:
        """Whether an output of that shape can be seen as channels × height × width."""
        return len(shape) == 4 or self.view(shape) != MAPS

    def misfit(self, shape: torch.Size) -> str:
        """Why it cannot, in words."""
        values = f"{' × '.join(map(str, shape[1:]))} values"
        latest = next(self._candidates(), None)
        if len(shape) != 3 or latest is None:
            return f"{values}, not channels × height × width"
        if not self.ordered:
            return f"{values}: tokens that are not in the order of the image, so they form no map"
        ahead = f"{self.extra} class or register tokens and " if self.extra else ""
        return f"{values}: neither channels × height × width nor {ahead}a grid such as {latest[0]} × {latest[1]} tokens"

    def _know(self, grid: Grid) -> None:
        height, width = self.size
        # As wide and high as the image, to one position: not a pooling of one axis, not attention's keys × values.
        if grid[0] * grid[1] > 1 and abs(grid[0] * width - grid[1] * height) <= max(height, width):
            self._known.pop(grid, None)
            self._known[grid] = None

    def _candidates(self) -> Iterator[Grid]:
        """The latest first."""
        latest = list(reversed(self._known))
        yield from latest
        if latest:
            halved = (-(-latest[0][0] // 2), -(-latest[0][1] // 2))
            if halved not in self._known and halved[0] * halved[1] > 1:
                yield halved


def _stated(part: nn.Module, size: Grid) -> Iterator[Grid]:
    grid = getattr(part, "grid_size", None)
    if isinstance(grid, tuple | list) and len(grid) == 2:
        yield int(grid[0]), int(grid[1])
    patch = getattr(part, "patch_size", None)
    pair = (patch, patch) if isinstance(patch, int) else patch
    if isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(side, int) and side > 0 for side in pair):
        yield size[0] // pair[0], size[1] // pair[1]


def _reorders(part: nn.Module) -> bool:
    return type(part).__name__ in _REORDERING


def _windows(part: nn.Module) -> dict[Grid, tuple[Grid, ...]]:
    """In the order of which windows tokens on each grid are: every pooling takes the smallest windows away.

    Nothing where the part does not state them as timm's does.
    """
    grid, windows = getattr(part, "size", ()), getattr(part, "schedule", ())
    if not all(len(sides) == 2 for sides in (grid, *windows)):
        return {}
    grids = accumulate(windows, lambda size, sides: (size[0] // sides[0], size[1] // sides[1]), initial=tuple(grid))
    return {size: tuple(map(tuple, windows[pooled:])) for pooled, size in enumerate(grids)}


def _extra_tokens(module: nn.Module) -> int:
    """How many class, distillation and register tokens a network says or shows that it has."""
    stated = getattr(module, "num_prefix_tokens", None)
    if isinstance(stated, int):
        return stated
    tokens = [
        value.shape[1]
        for name, value in module.named_parameters()
        if _EXTRA_TOKENS.search(name.rpartition(".")[2]) and value.ndim == 3 and value.shape[0] == 1
    ]
    return sum(tokens)
