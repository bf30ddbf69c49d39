"""Linear imputation: a removed pixel becomes the weighted mean of its neighbours, removed ones among them.

That is one linear system per mask, a discrete Laplace equation on the removed pixels with the known ones around them:
see `cam_core.metrics.multigrid`. Only the rows and columns that hold removed pixels are computed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cam_core.metrics.multigrid import Solver, solved_directly, split

# Images of no more pixels are solved directly.
_FEW = 256
# Numbers at once: on a CPU, the fields of more leave its cache, and fewer are not worth the calls.
_TOGETHER = 200_000


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
    parts, solver = split(rest / scale), Solver()
    filled = image.repeat(len(removed), 1, 1, 1)
    together = max(1, _TOGETHER // image.numel())
    unsolvable = removed.flatten(1).all(1)
    # Where nothing is known there is nothing to solve.
    wanted = removed & ~unsolvable[:, None, None] if unsolvable.any() else removed
    with torch.inference_mode():
        for start in range(0, len(removed), together):
            part = slice(start, start + together)
            box = _box(wanted[part].any(0))
            if box is None:
                continue
            down, right = box
            here, within = wanted[part, None, down, right], filled[part, :, down, right]
            # Along a single line of pixels a sweep smooths nothing.
            few = here[0].numel() <= _FEW or 1 in here.shape[2:]
            values = (solved_directly if few else solver)(here, parts[..., down, right])
            torch.where(here, values.mul_(scale).add_(mean), within, out=within)
    if unsolvable.any():
        filled[unsolvable] = 0
    return filled


def _box(unknown: Tensor) -> tuple[slice, slice] | None:
    """The rows and columns that hold the pixels of a mask (H, W), and their neighbours, where it has any."""
    # Of numbers the maximum is found faster than `any` of truth values.
    lines = [unknown.view(torch.uint8).amax(axis).nonzero() for axis in (1, 0)]
    if not len(lines[0]):
        return None
    down, right = (slice(max(int(line[0]) - 1, 0), int(line[-1]) + 2) for line in lines)
    return down, right
