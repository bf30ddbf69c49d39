"""Multigrid: discrete Laplace equations on the unknown pixels of masks, given what their known neighbours add up to.

Conjugate gradients solve them, preconditioned by one cycle of multigrid: a sweep of Jacobi's method takes away what
varies from pixel to pixel, a grid of every other pixel the rest. The coarser system is the finer one for values that
are interpolated (Galerkin's), so that the number of steps, about eight, depends neither on the size of the grid nor on
the mask. Trottenberg, Oosterlee and Schüller: Multigrid, 2001.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cache, lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

# Where a pixel and its neighbours are, (down, right), and the neighbours' weights: 1/6 straight and 1/12 across, here
# in twelfths. Whole numbers of few bits: sums of such multiples of a power of two are exact.
_PLACES = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))
_WEIGHTS = (1.0, 2.0, 1.0, 2.0, 0.0, 2.0, 1.0, 2.0, 1.0)
_SELF = _PLACES.index((0, 0))
# Grids of no longer sides are solved directly.
_SMALL = 8
# On coarser grids Jacobi's method divides by at least this share of the sum of a row's magnitudes: with more than half
# of it every sweep converges, and the less the faster.
_DAMPING = 0.52
# Where few pixels are unknown, interpolated values depend on one another, and the coarsest system has no inverse: its
# diagonal gets so much more.
_RIDGE = 1e-4

# The longest last step, of values in [−1, 1]. In 459 random systems (smooth and noisy masks of all shares; smooth,
# noisy and flat images) no error after it was larger than 2.1e-7, and 99 in 100 at most 1.2e-7; in a photo, 3e-8.
_TOLERANCE = 3e-7
# In float32 a residual keeps so many digits; then it is computed anew, exactly, from values of so many bits.
_DIGITS = 5e-4
_BITS = 19
_STEPS = 60
# So small a step is none, and its square not a float32.
_NOTHING = 1e-15


def neighbours(planes: Tensor) -> Tensor:
    """Σ_n w_n x_n over the eight neighbours n of each pixel in planes (…, h, w), of which those outside are 0."""
    padded = functional.pad(planes, (1, 1, 1, 1))
    beside = padded[..., :-2] + padded[..., 2:]
    lines = beside + 2 * padded[..., 1:-1]
    return lines[..., :-2, :] + lines[..., 2:, :] + 2 * beside[..., 1:-1, :]


def split(image: Tensor) -> Tensor:
    """Values in [−1, 1] as two float32 numbers each, (2, …): by the first one alone, sums of neighbours are exact."""
    rough = (image * 2.0**_BITS).round_().mul_(2.0**-_BITS)
    return torch.stack([rough, image - rough]).float()


def solved_directly(unknown: Tensor, image: Tensor) -> Tensor:
    """The same as a `Solver`, by elimination."""
    goal = neighbours(image.double().sum(0) * ~unknown) * unknown
    entries = _entries(unknown.double(), _all_weights(*unknown.shape[2:]))
    solution: Tensor = torch.linalg.solve(_matrix(entries), goal.flatten(2).mT)
    return solution.mT.reshape(goal.shape)


class Solver:
    """Solves for masks in turn, and keeps the memory that those of two sizes took."""

    def __init__(self) -> None:
        self._grid = lru_cache(maxsize=2)(_Finest)

    def __call__(self, unknown: Tensor, image: Tensor) -> Tensor:
        """The x with x_p Σ_n w_n = Σ_n w_n x_n on the unknown pixels p, and those of an image elsewhere.

        Args:
            unknown: (N, 1, h, w), true where x is to be found: anywhere but on one pixel at least.
            image: (2, C, h, w), see `split`. Where x is to be found, it is where the search begins.
        Returns:
            (N, C, h, w) float64.
        """
        count, _, height, width = unknown.shape
        grid = self._grid(count, image.shape[1], height, width)
        grid.hold_masks(unknown)
        for field, part in zip((grid.rough, grid.fine), image, strict=True):
            field.inner.copy_(part)
        _search(grid)
        return grid.rough.inner.double().add_(grid.fine.inner)


def _search(grid: _Finest) -> None:
    """Conjugate gradients."""
    rough, fine, direction = (field.body for field in (grid.rough, grid.fine, grid.direction))
    direction.zero_()
    grid.set_residual()
    residual, step, slope, longest = grid.residual.body, grid.swept.body, 1.0, 0.0
    for _ in range(_STEPS):
        grid.solved()
        # The preconditioner is so near to the inverse that its step is the error.
        error = max(abs(float(extreme)) for extreme in torch.aminmax(step))
        if error <= _NOTHING:
            break
        before, slope, longest = slope, _dot(residual, step), max(longest, error)
        torch.add(step, direction, alpha=slope / before, out=direction)
        change = grid.lacking(grid.direction)
        length = slope / -_dot(direction, change)
        fine.add_(direction, alpha=length)
        if error <= _TOLERANCE:
            break
        residual.add_(change, alpha=length)
        if error <= _DIGITS * longest:
            longest = error
            _round(rough, fine)
            grid.set_residual()


def _dot(one: Tensor, other: Tensor) -> float:
    return float(torch.dot(one.view(-1), other.view(-1)))


def _round(rough: Tensor, fine: Tensor) -> None:
    """Keep the sum of two fields, all but the last bits of it in the first."""
    rounded = (rough + fine).mul_(2.0**_BITS).round_().mul_(2.0**-_BITS)
    fine.add_(rough.sub_(rounded))
    rough.copy_(rounded)


class _Field:
    """Planes (N, C, h, w), each with a border of zeros, one behind the other in memory, and zeros before and behind.

    So the neighbours of all pixels are at the same distances, and sums over them are sums of long rows of numbers. What
    takes most of the time otherwise is memory that is asked for and given back: fields are made once.

    Attributes:
        flat: all of it in one row.
        body: the planes with their borders, (N, C, h + 2, w + 2); inner: without.
        beside: those left of each number but of the first and the last one, and those right of it.
    """

    def __init__(self, count: int, colours: int, height: int, width: int) -> None:
        self.line = width + 2
        self._shape = count, colours, height + 2, self.line
        self._plane = (height + 2) * self.line
        self.flat = torch.zeros(count * colours * self._plane + 2 * (self.line + 1))
        self.body = self.moved(0, 0)
        self.inner = self.body[..., 1:-1, 1:-1]
        self.beside = self.flat[:-2], self.flat[2:]

    def moved(self, down: int, right: int) -> Tensor:
        """`body`, but in place of every pixel its neighbour there."""
        start = (1 + down) * self.line + 1 + right
        return self.flat[start : start + self.flat.numel() - 2 * (self.line + 1)].view(self._shape)

    def rows(self, first: int, count: int) -> Tensor:
        """Every other row of each plane with its border: (N, C, count, w + 2)."""
        planes, colours, *_ = self._shape
        strides = colours * self._plane, self._plane, 2 * self.line, 1
        return self.flat.as_strided((planes, colours, count, self.line), strides, (1 + first) * self.line + 1)


class _Rows:
    """Every other row of a field's planes with their borders, (N, C, rows, w + 2), one behind the other."""

    def __init__(self, *shape: int) -> None:
        flat = torch.zeros(math.prod(shape) + 2)
        self.body = flat[1:-1].view(shape)
        self.flat, self.beside = flat[1:-1], (flat[:-2], flat[2:])


class _System(Protocol):
    given: Tensor

    def hold(self, entries: Tensor) -> None:
        """Take the system with these entries (N, 9, h, w)."""

    def solved(self) -> Tensor:
        """About the x (N, C, h, w) of which the system makes `given`, with 0 on known pixels."""


class _Grid(ABC):
    """The system on one grid, all that are coarser, and the memory that solving it takes.

    Attributes:
        residual: what is to be solved, with any values on known pixels; given: without its border.
        swept: the solution.
    """

    def __init__(self, count: int, colours: int, height: int, width: int) -> None:
        self._shape = count, colours, height, width
        self.residual, self.swept, self._rest, self._values, self._sums = (self.field() for _ in range(5))
        self.given = self.residual.inner
        # 1 on unknown pixels, and what a sweep of Jacobi's method multiplies by; 0 elsewhere.
        self._unknown, self._inverse = (_Field(count, 1, height, width) for _ in range(2))
        coarser = count, colours, height // 2 + 1, width // 2 + 1
        self._coarser: _System = (_Direct if max(coarser[2:]) <= _SMALL else _Coarse)(*coarser)
        self._lattice()

    def hold(self, entries: Tensor) -> None:
        """Take the system with these entries (N, 9, h, w)."""
        unknown = self._unknown.inner.copy_(entries[:, _SELF, None] > 0)
        diagonal = self._held(entries)[:, None]
        torch.div(unknown, torch.where(unknown > 0, diagonal, 1.0), out=self._inverse.inner)
        self._coarser.hold(_coarser(entries))

    @abstractmethod
    def _held(self, entries: Tensor) -> Tensor:
        """What a sweep divides by, (N, h, w), after the entries have been kept for `unseen`."""

    def _lattice(self) -> None:
        """Views of the pixels that the coarser grid has, and room for values on their rows."""
        count, colours, height, width = self._shape
        first, rows, line = height % 2, height // 2 + 1, width + 2
        self._half, self._spread, self._wide = (_Rows(count, colours, rows, line) for _ in range(3))
        self._above, self._on, self._below = (self._rest.rows(first + down, rows) for down in (-1, 0, 1))
        columns = slice(width % 2, None, 2)
        self._restricted, self._interpolated = self._wide.body[..., columns], self._spread.body[..., columns]
        fields = self.swept, self._unknown, self._values
        self._evens = [field.rows(first, rows) for field in fields]
        self._odds = [field.rows(first + 1, rows - 1) for field in fields]
        self._pairs = self._wide.body[..., :-1, :], self._wide.body[..., 1:, :]
        self._between = torch.zeros(count, colours, rows - 1, line)

    def field(self) -> _Field:
        """A field of this grid's size."""
        return _Field(*self._shape)

    def solved(self) -> Tensor:
        """One V-cycle, which is symmetric: a sweep, the coarser grid, a sweep."""
        torch.mul(self.residual.body, self._inverse.body, out=self.swept.body)
        # After a sweep from zero, what is left is the change that it has not seen.
        torch.mul(self.unseen(self.swept), self._unknown.body, out=self._rest.body)
        self._restrict()
        self._interpolate(self._coarser.solved())
        self.swept.body.addcmul_(self.unseen(self._values), self._inverse.body)
        return self.swept.inner

    @abstractmethod
    def unseen(self, values: _Field) -> Tensor:
        """What of the system by `values`, 0 on known pixels, a sweep leaves out, with changed sign."""

    def _restrict(self) -> None:
        """The transpose of interpolation, by rows and then by columns."""
        half, wide = self._half, self._wide
        torch.add(self._above, self._below, out=half.body).add_(self._on, alpha=2)
        torch.add(*half.beside, out=wide.flat).add_(half.flat, alpha=2)
        torch.mul(self._restricted, 0.25, out=self._coarser.given)

    def _interpolate(self, coarse: Tensor) -> None:
        """The swept values and, bilinearly, those of the coarser grid."""
        wide = self._wide
        self._interpolated.copy_(coarse)
        torch.add(*self._spread.beside, out=wide.flat).add_(self._spread.flat, alpha=2)
        swept, unknown, values = self._evens
        torch.addcmul(swept, wide.body, unknown, value=0.5, out=values)
        swept, unknown, values = self._odds
        torch.addcmul(swept, torch.add(*self._pairs, out=self._between), unknown, value=0.25, out=values)


class _Finest(_Grid):
    """The system of masks, whose entries are the neighbours' weights and their sum.

    Attributes:
        rough, fine: fields whose sum is sought; on known pixels, what is known. direction: where to.
    """

    def __init__(self, count: int, colours: int, height: int, width: int) -> None:
        super().__init__(count, colours, height, width)
        self.rough, self.fine, self.direction = (self.field() for _ in range(3))
        self._all_weights, self._entries = _all_weights(height, width), torch.zeros(count, len(_PLACES), height, width)
        self._diagonal = _Field(count, 1, height, width)
        flat, line = self._sums.flat, self._sums.line
        pairs, lines = torch.zeros_like(flat), torch.zeros_like(flat)
        # Views are made once: there are hundreds of sums to an image.
        self._across, self._lines = pairs[1:-1], lines[1:-1]
        self._upper, self._lower = lines[: -2 * line], lines[2 * line :]
        self._summed, self._twice = flat[line:-line], pairs[line:-line]

    def hold_masks(self, unknown: Tensor) -> None:
        """Take the system of masks (N, 1, h, w)."""
        self.hold(_entries(unknown.float(), self._all_weights, out=self._entries))

    def _held(self, entries: Tensor) -> Tensor:
        self._diagonal.inner.copy_(entries[:, _SELF, None])
        return entries[:, _SELF]

    def unseen(self, values: _Field) -> Tensor:
        """The sums of the neighbours, by adding rows and then columns: right within the border."""
        torch.add(*values.beside, out=self._across)
        torch.add(self._across, values.flat[1:-1], alpha=2, out=self._lines)
        torch.add(self._upper, self._lower, out=self._summed).add_(self._twice, alpha=2)
        return self._sums.body

    def lacking(self, values: _Field) -> Tensor:
        """Σ_n w_n x_n − x_p Σ_n w_n on the unknown pixels p; anything on the others."""
        return self.unseen(values).addcmul_(self._diagonal.body, values.body, value=-1)

    def set_residual(self) -> None:
        """What the sum of the two fields lacks."""
        self.residual.body.copy_(self.lacking(self.rough)).add_(self.lacking(self.fine))


class _Coarse(_Grid):
    """A system with any entries."""

    def __init__(self, count: int, colours: int, height: int, width: int) -> None:
        super().__init__(count, colours, height, width)
        self._left_out = torch.zeros(len(_PLACES), count, 1, height + 2, width + 2)
        self._inner = self._left_out[:, :, 0, 1:-1, 1:-1]
        fields = self.swept, self._values
        self._terms = {
            field: list(zip(self._left_out, (field.moved(*place) for place in _PLACES), strict=True))
            for field in fields
        }

    def _held(self, entries: Tensor) -> Tensor:
        own = entries[:, _SELF]
        diagonal = torch.maximum(own, _DAMPING * entries.abs().sum(1))
        torch.neg(entries.transpose(0, 1), out=self._inner)
        self._inner[_SELF] += diagonal
        return diagonal

    def unseen(self, values: _Field) -> Tensor:
        sums = self._sums.body
        first, *terms = self._terms[values]
        torch.mul(*first, out=sums)
        for entry, moved in terms:
            sums.addcmul_(entry, moved)
        return sums


class _Direct:
    """The coarsest grid, by its inverse (N, h·w, h·w)."""

    def __init__(self, count: int, colours: int, height: int, width: int) -> None:
        self.given = torch.zeros(count, colours, height, width)
        self._inverse = torch.zeros(())

    def hold(self, entries: Tensor) -> None:
        entries[:, _SELF] *= 1 + _RIDGE
        self._inverse = torch.linalg.inv(_matrix(entries))

    def solved(self) -> Tensor:
        return (self.given.flatten(2) @ self._inverse).view_as(self.given)


def _all_weights(height: int, width: int) -> Tensor:
    """Σ_n w_n over the neighbours of each pixel within an image: 12, and less at its border."""
    return neighbours(torch.ones(height, width))


def _entries(unknown: Tensor, all_weights: Tensor, out: Tensor | None = None) -> Tensor:
    """The system of masks (N, 1, h, w), as (N, 9, h, w): what each pixel has to do with itself and its neighbours."""
    count, _, height, width = unknown.shape
    entries = unknown.new_empty(count, len(_PLACES), height, width) if out is None else out
    padded = functional.pad(unknown[:, 0], (1, 1, 1, 1))
    weighted = {weight: -weight * unknown[:, 0] for weight in set(_WEIGHTS)}
    for place, ((down, right), weight) in enumerate(zip(_PLACES, _WEIGHTS, strict=True)):
        other = padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
        torch.mul(other, weighted[weight], out=entries[:, place])
    torch.mul(unknown[:, 0], all_weights, out=entries[:, _SELF])
    return entries


def _matrix(entries: Tensor) -> Tensor:
    """The entries as (N, h·w, h·w), and 1 · x for pixels that are not in the system."""
    count, _, height, width = entries.shape
    entries[:, _SELF] += entries[:, _SELF] == 0
    numbers = torch.arange((height + 2) * (width + 2)).view(height + 2, width + 2)[1:-1, 1:-1].reshape(-1, 1)
    places = numbers + torch.tensor([down * (width + 2) + right for down, right in _PLACES])
    bordered = entries.new_zeros(count, height * width, (height + 2) * (width + 2))
    bordered.scatter_(2, places.expand(count, -1, -1), entries.flatten(2).mT)
    return bordered.view(count, -1, height + 2, width + 2)[..., 1:-1, 1:-1].flatten(2)


def _coarser(entries: Tensor) -> Tensor:
    """The system PᵀAP on every other pixel, the border on both sides among them, where P interpolates bilinearly.

    Its entries are weighted sums of A's: a convolution.
    """
    down, right = (2 - count % 2 for count in entries.shape[-2:])
    return functional.conv2d(entries, _galerkin(), padding=(down, right), stride=2)


@cache
def _galerkin() -> Tensor:
    """(9, 9, 3, 3): what a fine pixel's entries add to those of the coarse pixel that it is so far from."""
    steps = torch.arange(-1, 2)
    coarse, fine, away = steps[:, None, None], steps[:, None], steps
    line = _tent(away) * _tent(away + fine - 2 * coarse)
    return torch.einsum("apd,bqe->abpqde", line, line).reshape(9, 9, 3, 3)


def _tent(distance: Tensor) -> Tensor:
    """How much of a coarse pixel's value a fine one gets."""
    return (1 - distance.abs() / 2).clamp(min=0)
