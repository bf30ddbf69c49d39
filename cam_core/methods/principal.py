"""The first principal component over positions, shared by Eigen-CAM and Eigen-Grad-CAM."""

from __future__ import annotations

import torch
from torch import Tensor

from cam_core.models.devices import device_for, double
from cam_core.types import RawMap


def first_component(values: Tensor, sign_from: Tensor) -> RawMap:
    """Projection of each position's channel vector on the first principal direction, centred over positions.

    The eigenvectors of the smaller Gram matrix give the same projection as a singular value decomposition; float64
    makes up for squaring its condition.

    Args:
        values: (B, K, h, w).
        sign_from: (B, h, w); the projection is turned to correlate positively with it, because an eigenvector's sign
            means nothing.
    Returns:
        (B, h, w), signed, mean 0.
    """
    batch, _, height, width = values.shape
    matrix = double(values).to(device_for("eigh", values.device)).flatten(2).transpose(1, 2)  # (B, hw, K)
    centred = matrix - matrix.mean(dim=1, keepdim=True)
    if centred.shape[1] <= centred.shape[2]:
        variance, vectors = torch.linalg.eigh(centred @ centred.transpose(1, 2))
        projection = vectors[..., -1] * variance[..., -1:].clamp_min(0).sqrt()
    else:
        _, vectors = torch.linalg.eigh(centred.transpose(1, 2) @ centred)
        projection = (centred @ vectors[..., -1:])[..., 0]
    reference = double(sign_from).flatten(1)
    covariance = (projection * (reference - reference.mean(1, keepdim=True))).sum(1, keepdim=True)
    turned = torch.where(covariance < 0, -projection, projection)
    return turned.view(batch, height, width).to(values)
