"""LRP-CAM and LIME-CAM on the network of `by_hand`: a linear tail has one answer for them and LIFT-CAM."""

from __future__ import annotations

import numpy as np
import pytest

from cam_core.types import MethodError
from tests.methods.by_hand import IMAGE, Bowl, ask, assert_coefficients, assert_map, pooled


def test_lrp_cam_of_a_linear_tail() -> None:
    """Relevance of a channel: its share of z = 10 − 4 + 0 + 2 = 8, times the relevance 8 of the output."""
    found = ask("lrp-cam")
    assert found.coefficients is not None
    np.testing.assert_allclose(found.coefficients, [10, -4, 0], rtol=1e-4, atol=1e-4)


def test_lrp_cam_names_what_it_has_no_rule_for() -> None:
    with pytest.raises(MethodError, match="operation 'pow'"):
        ask("lrp-cam", Bowl())


def test_lime_cam_of_a_linear_tail() -> None:
    """With many subsets and hardly a penalty the fit is the line itself."""
    found = ask("lime-cam", samples=300, alpha=1e-4)
    assert found.coefficients is not None
    np.testing.assert_allclose(found.coefficients, [10, -4, 0], atol=0.02)


def test_lime_cam_penalty_sets_small_coefficients_to_zero() -> None:
    tail = pooled([(4.0, -0.2, 2.0), (0.0, 0.0, 0.0)], [0.0, 0.0])
    found = ask("lime-cam", tail, samples=300, alpha=1.0)
    assert found.coefficients is not None
    assert found.coefficients[1] == 0 and found.coefficients[0] > 1
    assert_map(found.map, (found.coefficients[0] * IMAGE[0]).tolist())
    assert_coefficients(found, found.coefficients[0], 0, 0)
