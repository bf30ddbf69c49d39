"""Linear imputation: a removed pixel becomes the weighted mean of its neighbours, removed ones among them.

That is one linear system per mask, a discrete Laplace equation on the removed pixels with the known ones around them.
Conjugate gradients solve it, preconditioned by one cycle of multigrid: a sweep of Jacobi's method takes away what
varies from pixel to pixel, a grid of half the size the rest. The number of steps, about a dozen, depends neither on the
size of the image nor on the mask, and all masks take them together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

Weights = tuple[tuple[float, ...], ...]

# The weights of the eight neighbours, from the authors' code: 1/6 straight and 1/12 across, here in twelfths. Whole
# numbers of few bits: sums of such multiples of a power of two are exact.
_NEIGHBOURS: Weights = ((1.0, 2.0, 1.0), (2.0, 0.0, 2.0), (1.0, 2.0, 1.0))
# A pixel of the coarser grid and what of it the finer one gets, bilinearly.
_TENT: Weights = ((0.25, 0.5, 0.25), (0.5, 1.0, 0.5), (0.25, 0.5, 0.25))
# Images of no more pixels, and grids of no longer sides, are solved directly.
_FEW, _SMALL = 256, 8
# Masks at once: on a CPU, the planes of more leave its cache.
_TOGETHER = 5

# Largest error of an imputed value, as a share of how far known values are from their mean.
_TOLERANCE = 3e-8
# In float32 a residual keeps so many digits; then it is computed anew, exactly, from values of so many bits.
_DIGITS = 1e-4
_BITS = 19
_STEPS, _ROUNDS = 60, 12


def imputed(image: Tensor, removed: Tensor) -> Tensor:
    """An image (C, H, W) with the pixels of each mask (N, H, W) imputed: (N, C, H, W) float64.

    Rong et al. 2022, arXiv:2202.00449, section 4.2: for every removed pixel, x_p Σ_n w_n = Σ_n w_n x_n over the eight
    neighbours n within the image. Where no pixel is known, all become 0.

    Args:
        image: float64, on the CPU.
        removed: true where the value is to be found.
    """
    return torch.cat([_imputed(image, removed[at : at + _TOGETHER]) for at in range(0, len(removed), _TOGETHER)])


def _imputed(image: Tensor, removed: Tensor) -> Tensor:
    unknown = removed[:, None]
    known = ~unknown
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1)
    rest = (image - mean) * known
    # A power of two, so that scaling rounds nothing.
    scale = 2.0 ** math.ceil(math.log2(float(rest.abs().max()) or 1.0))
    # Where nothing is known there is nothing to solve.
    solvable = removed & known.any(-1, keepdim=True).any(-2, keepdim=True)[:, 0]
    solve = _directly if removed[0].numel() <= _FEW else _by_steps
    return torch.where(unknown, mean + scale * solve(solvable[None], rest / scale), image)


def _directly(removed: Tensor, known: Tensor) -> Tensor:
    """The values (N, C, H, W) on the pixels of masks (1, N, H, W), by those on the others: to the last digit."""
    unknown = removed.double()
    matrix = _matrix(unknown, _around(1 - unknown) * unknown)
    goal = _around(known.flatten(0, 1)[None]).view(known.shape) * unknown[0, :, None]
    solution: Tensor = torch.linalg.solve(matrix, goal.flatten(2).mT)
    return solution.mT.reshape(known.shape)


def _by_steps(removed: Tensor, known: Tensor) -> Tensor:
    """The same for values in [−1, 1], to `_TOLERANCE`."""
    grid = _grid(removed.float(), _around(1 - removed.float()), known.shape[1])
    planes = _last(known.float().flatten(0, 1)[None])
    goal = _around(planes).mul_(grid.unknown)
    rough = torch.zeros_like(goal)
    fine, error = _descend(grid, goal.clone())
    for _ in range(_ROUNDS):
        if error <= _TOLERANCE:
            break
        rough = (rough + fine).mul_(2.0**_BITS).round_().mul_(2.0**-_BITS)
        fine, error = _descend(grid, goal - grid.times(rough))
    return (rough.double() + fine).contiguous().view(known.shape)


def _descend(grid: _Grid, residual: Tensor) -> tuple[Tensor, float]:
    """Conjugate gradients from zero, and how far the last step was; `residual` is used up."""
    found = torch.zeros_like(residual)
    direction, slope, longest = torch.zeros_like(residual), 1.0, 0.0
    for _ in range(_STEPS):
        step = grid.solved(residual)
        # The preconditioner is so near to the inverse that its step is the error.
        error = max(abs(float(extreme)) for extreme in torch.aminmax(_flat(step)))
        longest = max(longest, error)
        if error <= max(_TOLERANCE, _DIGITS * longest):
            break
        before, slope = slope, float(torch.dot(_flat(residual), _flat(step)))
        direction.mul_(slope / before).add_(step)
        change = grid.times(direction)
        length = slope / float(torch.dot(_flat(direction), _flat(change)))
        found.add_(direction, alpha=length)
        residual.sub_(change, alpha=length)
    return found.add_(step), error


class _Solver(Protocol):
    def solved(self, residual: Tensor) -> Tensor:
        """About the x with times(x) = residual on the unknown pixels, and 0 elsewhere."""


@dataclass(frozen=True)
class _Grid:
    """The system on one grid. Tensors (1, N·C, h, w), channels last, which convolutions like.

    Attributes:
        unknown: 1 on removed pixels, 0 elsewhere.
        diagonal: the weights of all neighbours, known ones among them; inverse: 1 / diagonal on unknown pixels, else 0.
        spread: zeros between which the coarser grid's values are set.
    """

    unknown: Tensor
    diagonal: Tensor
    inverse: Tensor
    spread: Tensor
    coarser: _Solver

    def times(self, values: Tensor) -> Tensor:
        """The system's matrix by values that are 0 on known pixels. Right on unknown pixels, anything on known ones."""
        return torch.addcmul(_around(values).neg_(), self.diagonal, values)

    def solved(self, residual: Tensor) -> Tensor:
        """One V-cycle, which is symmetric: a sweep, the coarser grid, a sweep."""
        values = self.inverse * residual
        # After a sweep from zero, the neighbours' change is all that is left.
        left = _around(values).mul_(self.unknown)
        values.addcmul_(self._finer(self.coarser.solved(_coarser(left))), self.unknown)
        return _around(values).add_(residual).mul_(self.inverse)

    def _finer(self, values: Tensor) -> Tensor:
        down, right = (count % 2 for count in self.unknown.shape[-2:])
        self.spread[..., down::2, right::2] = values
        return _convolved(self.spread, _TENT, padding=0)


@dataclass(frozen=True)
class _Direct:
    """The coarsest grid, by its inverse (N, h·w, h·w)."""

    inverse: Tensor

    def solved(self, residual: Tensor) -> Tensor:
        rows = residual.reshape(len(self.inverse), -1, self.inverse.shape[1])
        return (rows @ self.inverse).view(residual.shape).contiguous(memory_format=torch.channels_last)


def _grid(unknown: Tensor, held: Tensor, colours: int) -> _Grid:
    """One grid and all that are coarser, from masks (1, N, h, w) with 1 on unknown pixels.

    On a coarser grid a pixel is unknown where one within it is, and held by all that hold those: thin walls of known
    pixels, for which it has no room, are not forgotten.

    Args:
        held: (1, N, h, w), the weight of the known neighbours.
    """
    diagonal = _around(unknown) + held
    inverse = unknown / torch.where(diagonal > 0, diagonal, 1.0)
    below, held_below = (_coarser(unknown) > 0).float(), _coarser(held * unknown)
    small = max(below.shape[-2:]) <= _SMALL
    coarser = _Direct(torch.linalg.inv(_matrix(below.double(), held_below.double())).float()) if small else None
    _, count, height, width = unknown.shape
    return _Grid(
        unknown=_last(unknown.repeat_interleave(colours, 1)),
        diagonal=_last(diagonal.repeat_interleave(colours, 1)),
        inverse=_last(inverse.repeat_interleave(colours, 1)),
        spread=_last(unknown.new_zeros(1, count * colours, height + 2, width + 2)),
        coarser=coarser or _grid(below, held_below, colours),
    )


def _matrix(unknown: Tensor, held: Tensor) -> Tensor:
    """The system of masks (1, N, h, w), as (N, h·w, h·w): that of `_Grid.times`, and 1 · x for known pixels."""
    height, width = unknown.shape[-2:]
    weights = torch.kron(_band(height), _band(width)).to(unknown).fill_diagonal_(0)
    mask = unknown[0].flatten(1)
    diagonal = torch.where(unknown > 0, _around(unknown) + held, 1.0)[0].flatten(1)
    return torch.diag_embed(diagonal) - weights * mask[:, :, None] * mask[:, None, :]


def _band(count: int) -> Tensor:
    """The weights 1, 2, 1 along a line of pixels. Those on the plane are their product, but for the pixel itself."""
    beside = torch.ones(count - 1)
    return torch.diag(torch.full((count,), 2.0)) + torch.diag(beside, 1) + torch.diag(beside, -1)


def _around(planes: Tensor) -> Tensor:
    """The weighted sum of each pixel's neighbours in planes (1, P, h, w)."""
    return _convolved(planes, _NEIGHBOURS, padding=1)


def _coarser(planes: Tensor) -> Tensor:
    """Planes (1, P, h, w) on the grid of every other pixel, which takes in the border on both sides."""
    down, right = (2 - count % 2 for count in planes.shape[-2:])
    return _convolved(planes, _TENT, padding=(down, right), stride=2)


def _convolved(planes: Tensor, weights: Weights, padding: int | tuple[int, int], stride: int = 1) -> Tensor:
    count = planes.shape[1]
    return functional.conv2d(
        planes, _kernels(weights, count, planes.dtype), padding=padding, stride=stride, groups=count
    )


@cache
def _kernels(weights: Weights, count: int, dtype: torch.dtype) -> Tensor:
    return torch.tensor(weights, dtype=dtype).repeat(count, 1, 1, 1)


def _last(planes: Tensor) -> Tensor:
    return planes.contiguous(memory_format=torch.channels_last)


def _flat(planes: Tensor) -> Tensor:
    """All values in the order in which they lie in memory."""
    return planes.permute(0, 2, 3, 1).reshape(-1)
