"""Linear imputation: a removed pixel becomes the weighted mean of its neighbours, removed ones among them.

That is one linear system per mask, a discrete Laplace equation on the removed pixels with the known ones around them.
Conjugate gradients solve it, preconditioned by one cycle of multigrid: a sweep of Jacobi's method takes away what
varies from pixel to pixel, a grid of half the size the rest. The number of steps, about a dozen, depends neither on the
size of the image nor on the mask, and all masks take them together.
"""

from __future__ import annotations

import math
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
_TOGETHER = 4

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
    mean = image.mean((1, 2), keepdim=True)
    rest = image - mean
    # A power of two, so that scaling rounds nothing.
    scale = 2.0 ** math.ceil(math.log2(float(rest.abs().max()) or 1.0))
    rest /= scale
    solve = _directly if image[0].numel() <= _FEW else _by_steps
    filled = torch.empty(len(removed), *image.shape, dtype=torch.float64)
    for at in range(0, len(removed), _TOGETHER):
        part = slice(at, at + _TOGETHER)
        unknown, unsolvable = removed[part], removed[part].flatten(1).all(1)
        # Where nothing is known there is nothing to solve.
        solved = solve(unknown & ~unsolvable[:, None, None], rest)
        values = torch.add(mean, solved, alpha=scale, out=filled[part])
        torch.where(unknown[:, None], values, image, out=values)
        values[unsolvable] = 0
    return filled


def _directly(removed: Tensor, image: Tensor) -> Tensor:
    """The values (N, C, H, W) on the pixels of masks (N, H, W) by those of an image on the others, exactly."""
    unknown = removed[None].double()
    matrix = _matrix(unknown, _around(1 - unknown) * unknown)
    known = image * (1 - unknown[0, :, None])
    goal = _around(known.flatten(0, 1)[None]).view(known.shape) * unknown[0, :, None]
    solution: Tensor = torch.linalg.solve(matrix, goal.flatten(2).mT)
    return solution.mT.reshape(known.shape)


def _by_steps(removed: Tensor, image: Tensor) -> Tensor:
    """The same for values in [−1, 1], to `_TOLERANCE`."""
    unknown = removed[None].float()
    grid = _Grid(unknown, _around(1 - unknown), len(image))
    values = _Field(len(removed), *image.shape)
    torch.mul(image.float(), 1 - unknown[0, :, None], out=values.inner)
    goal = grid.smoothed(values) * grid.unknown
    values.flat.zero_()
    rough = values.body
    fine, error = _descend(grid, goal)
    for _ in range(_ROUNDS):
        if error <= _TOLERANCE:
            break
        rough.add_(fine).mul_(2.0**_BITS).round_().mul_(2.0**-_BITS)
        fine, error = _descend(grid, goal - grid.times(values))
    return rough.add_(fine)[..., 1:-1, 1:-1]


def _descend(grid: _Grid, goal: Tensor) -> tuple[Tensor, float]:
    """Conjugate gradients from zero, and how far the last step was."""
    residual = grid.residual.copy_(goal)
    found = torch.zeros_like(residual)
    direction, slope, longest = grid.field(), 1.0, 0.0
    for _ in range(_STEPS):
        grid.solved()
        step = grid.swept.body
        # The preconditioner is so near to the inverse that its step is the error.
        error = max(abs(float(extreme)) for extreme in torch.aminmax(step))
        longest = max(longest, error)
        if error <= max(_TOLERANCE, _DIGITS * longest):
            break
        before, slope = slope, float(torch.dot(residual.view(-1), step.view(-1)))
        direction.body.mul_(slope / before).add_(step)
        change = grid.times(direction)
        length = slope / float(torch.dot(direction.body.view(-1), change.view(-1)))
        found.add_(direction.body, alpha=length)
        residual.sub_(change, alpha=length)
    return found.add_(step), error


class _Field:
    """Planes (N, C, h, w), each with a border of zeros, one behind the other in memory, and zeros before and behind.

    So the neighbours of all pixels are at the same distances, and sums over them are sums of long rows of numbers. What
    takes most of the time otherwise is memory that is asked for and given back: fields are made once.

    Attributes:
        body: the planes with their borders, (N, C, h + 2, w + 2); inner: without.
        lattice: the pixels of `body` that the coarser grid has.
        flat: all of it in one row; pair: without its last number, and without its first one.
    """

    def __init__(self, count: int, colours: int, height: int, width: int) -> None:
        line = width + 2
        size, guard = count * colours * (height + 2) * line, line + 1
        self.flat = torch.zeros(size + 2 * guard)
        self.pair = self.flat[:-1], self.flat[1:]
        self.body = self.flat[guard:-guard].view(count, colours, height + 2, line)
        self.inner = self.body[..., 1:-1, 1:-1]
        self.lattice = self.body[..., height % 2 :: 2, width % 2 :: 2]


class _Solver(Protocol):
    residual_inner: Tensor

    def solved(self) -> Tensor:
        """About the x with times(x) = residual on the unknown pixels, and 0 elsewhere: (N, C, h, w)."""


class _Grid:
    """The system on one grid, all that are coarser, and the memory that solving it takes.

    Attributes:
        unknown: (N, 1, h + 2, w + 2), 1 on removed pixels, 0 elsewhere.
        diagonal: the weights of all neighbours, known ones among them, and 4; inverse: 1 / those weights on unknown
            pixels, else 0.
        residual: what is to be solved, with any values on known pixels.
        swept: the solution.
    """

    def __init__(self, unknown: Tensor, held: Tensor, colours: int) -> None:
        """From masks (1, N, h, w) with 1 on unknown pixels.

        On a coarser grid a pixel is unknown where one within it is, and held by all that hold those: thin walls of
        known pixels, for which it has no room, are not forgotten.

        Args:
            held: (1, N, h, w), the weight of the known neighbours.
        """
        diagonal = _around(unknown) + held
        self.unknown, self.diagonal = _bordered(unknown), _bordered(diagonal + 4)
        self.inverse = _bordered(unknown / torch.where(diagonal > 0, diagonal, 1.0))
        self._shape = unknown.shape[1], colours, *unknown.shape[2:]
        self.swept, self._spread, self._values, self._sums, given = (self.field() for _ in range(5))
        self.residual, self.residual_inner = given.body, given.inner
        self._sweep = _Sums(self._sums, line=unknown.shape[-1] + 2)
        below, held_below = (_coarser(unknown) > 0).float(), _coarser(held * unknown)
        small = max(below.shape[-2:]) <= _SMALL
        self._coarser: _Solver = (_Direct if small else _Grid)(below, held_below, colours)

    def field(self) -> _Field:
        """A field of this grid's size."""
        return _Field(*self._shape)

    def times(self, values: _Field) -> Tensor:
        """The system's matrix by values that are 0 on known pixels. Right on unknown pixels, anything on known ones."""
        return self.smoothed(values).neg_().addcmul_(self.diagonal, values.body)

    def solved(self) -> Tensor:
        """One V-cycle, which is symmetric: a sweep, the coarser grid, a sweep."""
        swept, values, sums = self.swept.body, self._values.body, self._sums.body
        torch.mul(self.residual, self.inverse, out=swept)
        # After a sweep from zero, the neighbours' change is all that is left.
        self.smoothed(self.swept).mul_(self.unknown).sub_(swept, alpha=4)
        self._sweep.end()
        self.smoothed(self._sums)
        torch.mul(self._sums.lattice, 0.25, out=self._coarser.residual_inner)
        self._spread.lattice.copy_(self._coarser.solved())
        torch.addcmul(swept, self.smoothed(self._spread), self.unknown, value=0.25, out=values)
        self.smoothed(self._values).sub_(values, alpha=4)
        swept.addcmul_(sums, self.inverse)
        return self.swept.inner

    def smoothed(self, values: _Field) -> Tensor:
        """The sums over 3 × 3 pixels with weights 1, 2, 1 down and across: those of the neighbours, and 4 of the pixel.

        Of the border no more is right than what lies on the lattice.
        """
        self._sweep(values)
        return self._sums.body


class _Sums:
    """Fills a field with weighted sums of another one: across, then down, each as the sum of two pairs."""

    def __init__(self, sums: _Field, line: int) -> None:
        flat, pairs = sums.flat, torch.zeros_like(sums.flat)
        # Views are made once: there are a thousand sums to an image, and most of them are of small grids.
        self._first, self._across = pairs[:-1], (pairs[:-2], pairs[1:-1], flat[1:-1])
        self._lines = flat[:-line], flat[line:], pairs[:-line]
        self._down = pairs[: -2 * line], pairs[line:-line], flat[line:-line]
        self._ends = flat[: line + 1], flat[-line - 1 :]

    def __call__(self, values: _Field) -> None:
        torch.add(*values.pair, out=self._first)
        for first, second, out in (self._across, self._lines, self._down):
            torch.add(first, second, out=out)

    def end(self) -> None:
        """Zeros before and behind again, for the sums to be summed up in their turn."""
        for end in self._ends:
            end.zero_()


class _Direct:
    """The coarsest grid, by its inverse (N, h·w, h·w)."""

    def __init__(self, unknown: Tensor, held: Tensor, colours: int) -> None:
        self._inverse: Tensor = torch.linalg.inv(_matrix(unknown.double(), held.double())).float()
        self.residual_inner = torch.zeros(unknown.shape[1], colours, *unknown.shape[2:])

    def solved(self) -> Tensor:
        return (self.residual_inner.flatten(2) @ self._inverse).view_as(self.residual_inner)


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


def _bordered(planes: Tensor) -> Tensor:
    """Planes (1, P, h, w) with a border of zeros: (P, 1, h + 2, w + 2)."""
    return functional.pad(planes[0, :, None], (1, 1, 1, 1))
