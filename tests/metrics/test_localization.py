"""Pointing games and MaxBoxAcc, by hand on 4 × 4 pixels and by a literal loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cam_core import METRICS, evaluate, evaluate_batch
from cam_core.metrics.ground_truth import Region
from cam_core.metrics.localization import iou, largest_part
from tests.metrics.scenes import coloured, plane, scene, weighted

IMAGE = coloured(torch.zeros(4, 4))
TOP_LEFT = [[0, 0, 2, 2]]
BOTTOM_RIGHT = [[2, 2, 4, 4]]


def value(metric: str, saliency: Tensor, region: object = TOP_LEFT, **arguments: object) -> float:
    return evaluate(weighted(plane(a1=1)), IMAGE, saliency, metric=metric, target=0, region=region, **arguments).value


def test_energy_inside_the_box() -> None:
    result = evaluate(
        weighted(plane(a1=1)), IMAGE, plane(a1=1, b2=0.5, c3=0.5), metric="ebpg", target=0, region=TOP_LEFT
    )
    assert result.value == pytest.approx(1.5 / 2)
    assert float(result.extras["area"]) == 4 / 16


def test_several_boxes_count_once_each_pixel() -> None:
    overlapping = [[0, 0, 2, 2], [1, 1, 3, 3]]
    assert value("ebpg", torch.ones(4, 4), overlapping) == pytest.approx(7 / 16)


def test_a_mask_in_place_of_boxes() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = mask[3, 3] = True
    assert value("ebpg", torch.ones(4, 4), mask) == pytest.approx(2 / 16)


def test_a_map_of_zeros_has_no_energy_no_peak_and_no_box() -> None:
    for metric in ("ebpg", "pointing-game", "max-box-acc"):
        assert value(metric, torch.zeros(4, 4)) == 0
    assert value("class-discrimination", torch.zeros(4, 4), other_region=BOTTOM_RIGHT) == 0


def test_class_discrimination() -> None:
    saliency = plane(a1=1, d4=0.25, d1=1)
    assert value("class-discrimination", saliency, other_region=BOTTOM_RIGHT) == pytest.approx(1 / 1.25)
    assert value("class-discrimination", saliency, BOTTOM_RIGHT, other_region=TOP_LEFT) == pytest.approx(0.25 / 1.25)
    assert value("class-discrimination", torch.ones(4, 4), other_region=BOTTOM_RIGHT) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("peak", "tolerance", "hit"),
    [
        ("b2", 0.0, 1),  # inside
        ("c2", 0.0, 0),  # one pixel beside it
        ("c2", 1.0, 0),  # strictly less than the tolerance
        ("c2", 1.01, 1),
        ("c3", 1.4, 0),  # diagonally: √2
        ("c3", 1.42, 1),
    ],
)
def test_pointing_game(peak: str, tolerance: float, hit: int) -> None:
    assert value("pointing-game", plane(**{peak: 1.0}), tolerance=tolerance) == hit


def test_of_equal_peaks_the_first_counts() -> None:
    assert value("pointing-game", plane(b2=1, d4=1), tolerance=0) == 1
    assert value("pointing-game", plane(b2=1, d4=1), BOTTOM_RIGHT, tolerance=0) == 0


def test_a_constant_map_points_nowhere() -> None:
    assert value("pointing-game", torch.ones(4, 4), tolerance=0) == 0


def test_intersection_over_union() -> None:
    assert iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)


def test_the_largest_part_connects_diagonally_and_lies_strictly_above() -> None:
    grid = plane(a1=1, b2=0.6, c3=0.6, d1=0.9)
    assert largest_part(grid.numpy(), 0.5) == (0, 0, 3, 3)
    assert largest_part(grid.numpy(), 0.6) == (0, 0, 1, 1)  # two parts of one pixel: the first
    assert largest_part(grid.numpy(), 1.0) is None


def test_max_box_acc_takes_the_best_threshold() -> None:
    # Above 0 the box is the whole image (IoU ¼), above ½ it is the true one.
    saliency = torch.full((4, 4), 0.5)
    saliency[:2, :2] = 1
    result = evaluate(
        weighted(plane(a1=1)), IMAGE, saliency, metric="max-box-acc", target=0, region=TOP_LEFT, thresholds=4
    )
    assert result.value == 1
    assert result.extras["hits"].tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]]


def test_max_box_acc_at_each_iou() -> None:
    # The map's box is 2 × 2 of a true 2 × 3: IoU ⅔.
    saliency = plane(a1=1, b1=1, a2=1, b2=1)
    result = evaluate(weighted(plane(a1=1)), IMAGE, saliency, metric="max-box-acc", target=0, region=[[0, 0, 2, 3]])
    assert result.extras["hits"][50].tolist() == [1, 1, 0]
    assert result.value == pytest.approx(2 / 3)


def test_on_a_set_one_threshold_serves_all_images() -> None:
    """Each image alone finds its threshold, yet no single one serves both."""
    low, high = torch.full((4, 4), 0.2), torch.full((4, 4), 0.2)
    low[:2, :2], low[0, 0] = 0.5, 1.0  # right above 0.2, one pixel above 0.5
    high[:2, :2], high[2:, 2:], high[0, 0] = 1.0, 0.6, 1.0
    high[2:, 1:] = 0.6  # right above 0.6, a larger part above 0.2
    clf = weighted(plane(a1=1))
    results = evaluate_batch(
        clf,
        [IMAGE, IMAGE],
        [low, high],
        metric="max-box-acc",
        targets=[0, 0],
        regions=[TOP_LEFT, TOP_LEFT],
        thresholds=10,
    )
    assert [r.value for r in results] == [1, 1]
    pool = METRICS["max-box-acc"].pool
    assert pool is not None
    pooled = pool(np.stack([r.extras["hits"].ravel() for r in results]))
    assert pooled.mean() == pytest.approx(0.5)


def literal_hits(saliency: np.ndarray, box: tuple[int, int, int, int], thresholds: int) -> list[list[bool]]:
    """Flood fill, pixel by pixel."""
    found = []
    for place in range(thresholds):
        above = saliency > place / thresholds * saliency.max()
        best: set[tuple[int, int]] = set()
        left = {(int(i), int(j)) for i, j in np.argwhere(above)}
        while left:
            part, front = set(), [min(left)]
            while front:
                i, j = front.pop()
                if (i, j) in left:
                    left.remove((i, j))
                    part.add((i, j))
                    front += [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
            best = max(best, part, key=len)
        rows, columns = [i for i, _ in best], [j for _, j in best]
        mine = (min(columns), min(rows), max(columns) + 1, max(rows) + 1)
        found.append([iou(mine, box) >= limit for limit in (0.3, 0.5, 0.7)])
    return found


def test_max_box_acc_equals_a_literal_flood_fill() -> None:
    clf, images, _, targets = scene(count=1)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 1, 4, 4), (16, 16), mode="bilinear")[0, 0]
    result = evaluate(
        clf, images[0], smooth, metric="max-box-acc", target=targets[0], region=[[2, 3, 12, 15]], thresholds=20
    )
    assert result.extras["hits"].astype(bool).tolist() == literal_hits(smooth.numpy(), (2, 3, 12, 15), 20)


def test_a_region_of_a_class() -> None:
    region = Region.from_boxes(TOP_LEFT, (4, 4), ["tabby"])
    assert value("ebpg", plane(a1=1), region) == 1
