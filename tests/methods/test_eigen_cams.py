"""Eigen-CAM and Eigen-Grad-CAM where the principal direction can be seen."""

from __future__ import annotations

import numpy as np
import torch

from tests.methods.by_hand import ask, assert_map, pooled

# Only the first channel varies: its own axis is the principal direction.
ONE_DIRECTION = torch.tensor([[[0.0, 0.0], [2.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])


def test_eigen_cam_is_centred_and_positive_where_activations_are_strong() -> None:
    assert_map(ask("eigen-cam", image=ONE_DIRECTION).map, [[-1, -1], [1, 1]])


def test_eigen_cam_finds_strength_in_negative_activations() -> None:
    """The sign follows |A|: the lower row is the strong one, whatever the sign of its values."""
    assert_map(ask("eigen-cam", image=-ONE_DIRECTION).map, [[-1, -1], [1, 1]])


def test_eigen_cam_along_a_diagonal() -> None:
    """Channels (0, 3), (0, 4) over two rows: one direction (3, 4) / 5, at 0 and 5 along it, centred −5/2 and 5/2."""
    image = torch.zeros(3, 2, 2)
    image[0, 1], image[1, 1] = 3, 4
    assert_map(ask("eigen-cam", image=image).map, [[-2.5, -2.5], [2.5, 2.5]])


def test_eigen_grad_cam_projects_gradient_times_activation() -> None:
    """g = −8/4 in the first channel: g · A is 0 and −4, centred ±2, strong in the lower row."""
    tail = pooled([(-8.0, 1.0, 1.0), (0.0, 0.0, 0.0)], [0.0, 0.0])
    assert_map(ask("eigen-grad-cam", tail, ONE_DIRECTION).map, [[-2, -2], [2, 2]])


def test_eigen_cam_of_constant_channels_is_empty_and_says_so() -> None:
    found = ask("eigen-cam", image=torch.ones(3, 2, 2))
    assert not np.any(found.saliency)
    assert any("constant" in warning for warning in found.warnings)
