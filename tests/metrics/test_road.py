"""ROAD: imputation by hand and against a dense solver, masks, and PyPI grad-cam's own implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics import road as peer
from pytorch_grad_cam.metrics.perturbation_confidence import PerturbationConfidenceMetric
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor

from cam_core import Classifier, evaluate, evaluate_batch
from cam_core.metrics.imputation import imputed
from cam_core.metrics.road import percentiles, removal_masks
from tests.metrics.scenes import coloured, plane, scene, weighted


def impute(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    return imputed(torch.from_numpy(image), torch.from_numpy(removed)[None])[0].numpy()


def literal_impute(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """The system of ROAD's equation written out pixel by pixel, solved densely."""
    height, width = removed.shape
    unknown = [tuple(p) for p in np.argwhere(removed)]
    matrix, right = np.zeros((len(unknown), len(unknown))), np.zeros((len(unknown), len(image)))
    for row, (i, j) in enumerate(unknown):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                inside = 0 <= i + di < height and 0 <= j + dj < width
                if (di, dj) == (0, 0) or not inside:
                    continue
                weight = 1 / 6 if di == 0 or dj == 0 else 1 / 12
                matrix[row, row] += weight
                if removed[i + di, j + dj]:
                    matrix[row, unknown.index((i + di, j + dj))] -= weight
                else:
                    right[row] += weight * image[:, i + di, j + dj]
    filled = image.copy()
    filled[:, removed] = np.linalg.solve(matrix, right).T
    return filled


def test_one_removed_pixel_is_the_weighted_mean_of_its_neighbours() -> None:
    image = np.arange(16, dtype=float).reshape(1, 4, 4) ** 2
    removed = np.zeros((4, 4), dtype=bool)
    removed[1, 1] = True
    straight, diagonal = image[0, [0, 1, 1, 2], [1, 0, 2, 1]], image[0, [0, 0, 2, 2], [0, 2, 0, 2]]
    filled = impute(image, removed)
    assert filled[0, 1, 1] == pytest.approx(straight.sum() / 6 + diagonal.sum() / 12)
    assert (filled[0][~removed] == image[0][~removed]).all()


def test_a_removed_corner_counts_the_neighbours_it_has() -> None:
    image = np.arange(16, dtype=float).reshape(1, 4, 4)
    removed = np.zeros((4, 4), dtype=bool)
    removed[0, 0] = True
    expected = (image[0, 0, 1] / 6 + image[0, 1, 0] / 6 + image[0, 1, 1] / 12) / (5 / 12)
    assert impute(image, removed)[0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation_equals_a_dense_solver(share: float) -> None:
    generator = np.random.default_rng(int(share * 10))
    image = generator.normal(size=(3, 12, 9))
    removed = generator.random((12, 9)) < share
    np.testing.assert_allclose(impute(image, removed), literal_impute(image, removed), atol=1e-10)


def test_imputation_equals_the_authors_code() -> None:
    """The copy of it in PyPI grad-cam, with its noise off. It works in float32."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(3, 16, 16, generator=generator)
    kept = (torch.rand(16, 16, generator=generator) < 0.3).float()
    expected = peer.NoisyLinearImputer(noise=0)(image, kept)
    found = impute(image.double().numpy(), kept.numpy() == 0)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_a_plane_without_structure_is_restored() -> None:
    removed = np.zeros((8, 8), dtype=bool)
    removed[2:6, 2:6] = True
    slope = np.add.outer(np.arange(8.0), 2 * np.arange(8.0))[None]
    np.testing.assert_allclose(impute(slope, removed), slope, atol=1e-12)


def test_percentiles_keep_that_share_and_ties_go_by_place() -> None:
    assert percentiles(10) == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert percentiles(20) == [20, 40, 60, 80]
    flat = torch.zeros(10, 10, dtype=torch.float64)
    for most_relevant_first in (True, False):
        masks = removal_masks(flat, 10, most_relevant_first)
        assert [int(m.sum()) for m in masks] == [90, 80, 70, 60, 50, 40, 30, 20, 10]
        assert masks[-1][0].all()


def test_most_and_least_relevant() -> None:
    ramp = torch.arange(100, dtype=torch.float64).view(10, 10) / 99
    most, least = removal_masks(ramp, 50, True)[0], removal_masks(ramp, 50, False)[0]
    assert most[5:].all() and not most[:5].any()
    assert least[:5].all() and not least[5:].any()


def test_the_three_forms_belong_together() -> None:
    clf, images, maps, targets = scene(count=1)
    both, morf, lerf = (
        evaluate(clf, images[0], maps[0], metric=key, target=targets[0]) for key in ("road", "road-morf", "road-lerf")
    )
    assert both.value == pytest.approx((lerf.value - morf.value) / 2, abs=1e-6)
    assert both.extras["morf"] == pytest.approx(morf.extras["changes"], abs=1e-6)
    assert both.extras["lerf"] == pytest.approx(lerf.extras["changes"], abs=1e-6)


def test_by_hand_on_4_by_4() -> None:
    """At the median, the lower half goes or the upper one; the network looks at a1, the image is even: nothing changes
    but through a1, whose imputed value is that of the others."""
    image = coloured(torch.full((4, 4), 2.0) + plane(a1=3))
    clf = weighted(plane(a1=1))
    top = torch.cat([torch.full((2, 4), 1.0), torch.zeros(2, 4)])
    result = evaluate(clf, image, top, metric="road", target=0, spacing=50, noise=0, score="logit")
    assert result.extras["morf"] == pytest.approx([-3], abs=1e-5)
    assert result.extras["lerf"] == pytest.approx([0], abs=1e-5)
    assert result.value == pytest.approx(1.5, abs=1e-5)


def without_noise(clf: Classifier, images: Tensor, maps: Tensor, targets: list[int], remover: type, percentile: int):
    """PyPI grad-cam's metric at one percentile, with its noise off."""
    metric = PerturbationConfidenceMetric(remover(percentile, peer.NoisyLinearImputer(noise=0)))
    return metric(images, maps.numpy(), [ClassifierOutputSoftmaxTarget(t) for t in targets], clf.module)


@pytest.mark.parametrize(
    ("key", "remover"), [("road-morf", peer.RemoveMostRelevantFirst), ("road-lerf", peer.RemoveLeastRelevantFirst)]
)
def test_equals_pytorch_grad_cam_where_no_two_pixels_are_equal(key: str, remover: type) -> None:
    clf, images, maps, targets = scene(count=3)
    expected = np.stack([without_noise(clf, images, maps, targets, remover, p) for p in percentiles(10)], axis=1)
    results = evaluate_batch(clf, list(images), list(maps), metric=key, targets=targets, noise=0)
    np.testing.assert_allclose(np.stack([r.extras["changes"] for r in results]), expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01


def test_pytorch_grad_cam_removes_a_flat_region_as_a_whole() -> None:
    """Its threshold, the 20th percentile where 60 % are 0, is 0, below which nothing lies: all pixels go.

    Ours removes the 80 % that are asked for.
    """
    saliency = torch.zeros(10, 10)
    saliency[6:] = torch.arange(1, 41).view(4, 10) / 40
    kept_by_peer = int((saliency < np.percentile(saliency.numpy(), 20)).sum())
    assert kept_by_peer == 0
    assert int(removal_masks(saliency.double(), 20, True)[0].sum()) == 80


def test_the_seed_draws_the_noise() -> None:
    clf, images, maps, targets = scene(count=1)
    one, same, other = (
        evaluate(clf, images[0], maps[0], metric="road", target=targets[0], seed=s, noise=0.5).value for s in (1, 1, 2)
    )
    assert one == same != other
