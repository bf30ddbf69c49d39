"""ROAD's linear imputation by a direct solver for sparse systems: exact, slow, and one mask at a time."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

# Offsets (down, right) of the neighbours and their weights, from the authors' code; they sum to 1.
NEIGHBOURS = tuple(
    ((down, right), 1 / 6 if down == 0 or right == 0 else 1 / 12)
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if (down, right) != (0, 0)
)
OUTSIDE, KNOWN = -2, -1


def impute(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Fill the removed pixels (H, W) of an image (C, H, W): x_p Σ_n w_n = Σ_n w_n x_n over its neighbours n."""
    matrix, known = system(image, removed)
    # The matrix is symmetric and diagonally dominant: no pivoting, and an ordering made for symmetric ones.
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    filled = image.copy()
    filled[:, removed] = solver.solve(known).T
    return filled


def system(image: np.ndarray, removed: np.ndarray) -> tuple[sparse.csc_matrix, np.ndarray]:
    """The matrix (N, N) of the N removed pixels and the right-hand sides (N, C), from the known neighbours."""
    count = int(removed.sum())
    unknown = np.arange(count)
    numbers = np.full((removed.shape[0] + 2, removed.shape[1] + 2), OUTSIDE)
    numbers[1:-1, 1:-1] = KNOWN
    numbers[1:-1, 1:-1][removed] = unknown
    down, right = np.nonzero(removed)
    diagonal, known = np.zeros(count), np.zeros((count, len(image)))
    rows, columns, weights = [unknown], [unknown], []
    for (d, r), weight in NEIGHBOURS:
        neighbour = numbers[down + 1 + d, right + 1 + r]
        diagonal += weight * (neighbour != OUTSIDE)
        at = neighbour == KNOWN
        known[at] += weight * image[:, down[at] + d, right[at] + r].T
        at = neighbour >= 0
        rows.append(unknown[at])
        columns.append(neighbour[at])
        weights.append(np.full(int(at.sum()), -weight))
    entries = np.concatenate([diagonal, *weights])
    return sparse.csc_matrix((entries, (np.concatenate(rows), np.concatenate(columns))), shape=(count, count)), known
