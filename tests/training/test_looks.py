"""How much of a map is on its object, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cam_core.training.looks import share_on_object


def test_the_share_on_the_object_by_hand() -> None:
    map = np.array([[3, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]], dtype=np.float32)
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, :2] = True  # 4 of 8 units of the map on 2 of 16 pixels
    assert share_on_object(map, mask) == pytest.approx(0.5)
    assert share_on_object(np.ones((4, 4), dtype=np.float32), mask) == pytest.approx(2 / 16), "an even map"
    assert share_on_object(np.zeros((4, 4), dtype=np.float32), mask) == 0
