"""Overlap of maps: by hand, whole and row by row, and against a literal rendering of the authors' code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cam_core.analysis.stability import map_iou, object_iou, pairwise_iou
from cam_core.types import MetricError

ONE = np.array([[[1, 1, 0], [0, 0, 0], [0, 1, 0]]], dtype=bool)
OTHER = np.array([[[1, 0, 0], [0, 0, 0], [0, 1, 1]]], dtype=bool)


def test_by_hand() -> None:
    assert map_iou(ONE, OTHER) == pytest.approx([2 / 4], abs=1e-6)
    # 1/2, an empty row, 1/2.
    assert map_iou(ONE, OTHER, rowwise=True) == pytest.approx([(0.5 + 1 + 0.5) / 3], abs=1e-6)


def test_bounds_and_empty_masks() -> None:
    nothing = np.zeros_like(ONE)
    assert map_iou(ONE, ONE) == pytest.approx([1])
    assert map_iou(ONE, ~ONE) == pytest.approx([0], abs=1e-6)
    assert map_iou(nothing, nothing) == pytest.approx([1])
    assert map_iou(nothing, ONE) == pytest.approx([0], abs=1e-6)


def literal_iou(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """The authors' `iou`: three equal channels, sums over width and channel, the mean over what is left."""
    a, b = (np.repeat(mask[:, :, None], 3, axis=2).astype(float) for mask in (one, other))
    intersection = np.sum(np.abs(a * b), axis=(1, 2))
    union = np.sum(a, axis=(1, 2)) + np.sum(b, axis=(1, 2)) - intersection
    return float(np.mean((intersection + 1e-6) / (union + 1e-6)))


def test_rowwise_is_the_authors_count() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.random((2, 5, 12, 9)) > 0.8
    expected = [literal_iou(a, b) for a, b in zip(one, other, strict=True)]
    assert map_iou(one, other, rowwise=True) == pytest.approx(expected, abs=1e-5)


def test_every_pair_of_networks_once() -> None:
    generator = np.random.default_rng(1)
    maps = generator.random((3, 4, 8, 8), dtype=np.float32)
    found = pairwise_iou(list(maps))
    assert list(found) == [(0, 1), (0, 2), (1, 2)]
    assert found[0, 2] == pytest.approx(map_iou(maps[0] > 100 / 255, maps[2] > 100 / 255))
    assert pairwise_iou([maps[0], maps[0]])[0, 1] == pytest.approx(np.ones(4))


def test_overlap_with_the_object() -> None:
    saliency = np.array([[[0.39, 0.4, 1.0]]], dtype=np.float32)
    assert object_iou(saliency, np.array([[[True, True, False]]])) == pytest.approx([1 / 3], abs=1e-6)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(MetricError, match="at least 2 networks, not 1"):
        pairwise_iou([np.zeros((1, 2, 2), dtype=np.float32)])
    with pytest.raises(MetricError, match="of one shape"):
        map_iou(ONE, np.zeros((1, 2, 2)))
