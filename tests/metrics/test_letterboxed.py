"""Metrics of a photo in a letterbox, by literal loops: its pixels alone are changed, and its pixels alone count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor

from cam_core import METRICS, Classifier, Explanation, evaluate, explain
from cam_core.metrics import evaluating
from cam_core.types import MetricError
from tests.literal.imputation import impute
from tests.tiny import tiny

TARGET = 1
ROWS = slice(12, 20)  # of 32: where a photo of 120 × 30 lies
HEIGHT, WIDTH = 8, 32


def photo(width: int = 120, height: int = 30, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def clf() -> Classifier:
    options: dict[str, Any] = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}
    return Classifier(tiny("plain"), input_size=(32, 32), resize="letterbox", device="cpu", **options)


@pytest.fixture(scope="module")
def explanation(clf: Classifier) -> Explanation:
    return explain(clf, photo(), method="grad-cam", target=TARGET)


def probability(clf: Classifier, image: Tensor) -> float:
    with torch.no_grad():
        return float(clf.module(image[None]).double().softmax(1)[0, TARGET])


def over_the_photo(raw: np.ndarray) -> np.ndarray:
    """ReLU, bilinear to 32 × 32, and min-max over the photo's rows: its saliency there."""
    positive = torch.from_numpy(raw.astype(np.float64)).relu()[None, None]
    rows = torch.nn.functional.interpolate(positive, size=(32, 32), mode="bilinear")[0, 0, ROWS].numpy()
    return (rows - rows.min()) / (rows.max() - rows.min())


class Watching:
    """A way to explain again that keeps what it was given; its maps are of the red channel."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def __call__(self, image: Tensor) -> Tensor:
        self.images.append(image.clone())
        return image[0].abs().remainder(1)


def test_road_imputes_the_photo_alone(clf: Classifier, explanation: Explanation) -> None:
    x, mask = clf.preprocess(photo()), explanation.saliency[ROWS].astype(np.float64)
    before = probability(clf, x)
    places = [(i, j) for i in range(HEIGHT) for j in range(WIDTH)]
    changes: dict[bool, list[float]] = {}
    for most_first in (True, False):
        order = sorted(places, key=lambda at: (-mask[at] if most_first else mask[at], at))
        changes[most_first] = []
        for percentile in (25, 50, 75):
            kept = math.ceil(percentile * (len(order) - 1) / 100)
            removed = np.zeros((HEIGHT, WIDTH), dtype=bool)
            for at in order[: len(order) - kept]:
                removed[at] = True
            without = x.clone()
            without[:, ROWS] = torch.from_numpy(impute(x[:, ROWS].double().numpy(), removed)).float()
            changes[most_first].append(probability(clf, without) - before)
    options: dict[str, Any] = {"spacing": 25, "noise": 0.0}
    result = evaluate(clf, photo(), explanation, metric="road", **options)
    np.testing.assert_allclose(result.extras["morf"], changes[True], atol=1e-6)
    np.testing.assert_allclose(result.extras["lerf"], changes[False], atol=1e-6)
    assert np.abs(changes[True]).max() > 1e-3
    combined = (np.mean(changes[False]) - np.mean(changes[True])) / 2
    assert result.value == pytest.approx(combined, abs=1e-6)
    assert evaluate(clf, photo(), explanation, metric="road-morf", **options).value == pytest.approx(
        np.mean(changes[True]), abs=1e-6
    )


@pytest.mark.parametrize("mask_space", ["normalized", "pixel"])
def test_the_squares_of_infidelity_lie_within_the_photo(
    clf: Classifier, explanation: Explanation, mask_space: Any
) -> None:
    x, mask = clf.preprocess(photo()), explanation.saliency[ROWS].astype(np.float64)
    fill = torch.zeros(3) if mask_space == "normalized" else -torch.tensor([0.4 / 0.2, 0.5 / 0.25, 0.6 / 0.3])
    draws = torch.rand(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums, drops = [], []
    for down, right in draws.tolist():  # a side of a half of 8 pixels
        top, left = int(down * (HEIGHT - 4 + 1)), int(right * (WIDTH - 4 + 1))
        without = x.clone()
        without[:, 12 + top : 12 + top + 4, left : left + 4] = fill[:, None, None]
        sums.append(mask[top : top + 4, left : left + 4].sum())
        drops.append(probability(clf, x) - probability(clf, without))
    result = evaluate(clf, photo(), explanation, metric="infidelity", samples=20, side=0.5, mask_space=mask_space)
    np.testing.assert_allclose(result.extras["sums"], sums, atol=1e-6)
    np.testing.assert_allclose(result.extras["drops"], drops, atol=1e-6)
    scale = np.dot(sums, drops) / np.dot(sums, sums)
    assert result.value == pytest.approx(np.mean((scale * np.array(sums) - drops) ** 2), rel=1e-3)


def test_max_sensitivity_moves_the_photo_alone(clf: Classifier) -> None:
    x, look = clf.preprocess(photo()), Watching()
    before = look(x)
    result = evaluate(
        clf, photo(), before, metric="max-sensitivity", target=TARGET, explain_again=look, samples=4, radius=0.1
    )
    changes = []
    for image in look.images[1:]:
        assert torch.equal(image[:, :12], x[:, :12]) and torch.equal(image[:, 20:], x[:, 20:])
        moved = (image - x)[:, ROWS].abs()
        assert 0.09 < float(moved.max()) <= 0.1 + 1e-6
        after = image[0].abs().remainder(1)
        changes.append(float((after - before)[ROWS].norm() / before[ROWS].norm()))
    np.testing.assert_allclose(result.extras["changes"], changes, rtol=1e-5)
    assert len(changes) == 4 and result.value == pytest.approx(max(changes), rel=1e-5)


def test_coherency_compares_over_the_photo_the_map_of_what_the_map_shows(
    clf: Classifier, explanation: Explanation
) -> None:
    x, mask = clf.preprocess(photo()), explanation.saliency[ROWS]
    shown = x.clone()
    shown[:, ROWS] *= torch.from_numpy(mask)
    again = over_the_photo(explain(clf, shown, method="grad-cam", target=TARGET).map)
    expected = (1 + np.corrcoef(mask.ravel(), again.ravel())[0, 1]) / 2
    assert evaluate(clf, photo(), explanation, metric="coherency").value == pytest.approx(expected, abs=1e-5)


def test_adcc_and_arcc_are_made_of_parts_that_know_padding(clf: Classifier, explanation: Explanation) -> None:
    parts = {key: evaluate(clf, photo(), explanation, metric=key).value for key in ("coherency", "complexity")}
    drop = evaluate(clf, photo(), explanation, metric="average-drop").value / 100
    road = evaluate(clf, photo(), explanation, metric="road", spacing=20).value
    shared = 1 / parts["coherency"] + 1 / (1 - parts["complexity"])
    adcc = evaluate(clf, photo(), explanation, metric="adcc")
    assert adcc.value == pytest.approx(3 / (shared + 1 / (1 - drop)), rel=1e-6)
    arcc = evaluate(clf, photo(), explanation, metric="arcc", road_term="shifted")
    assert arcc.value == pytest.approx(3 / (shared + 2 / (1 + road)), rel=1e-6)


def test_a_map_made_again_is_normalised_over_the_photo(clf: Classifier, explanation: Explanation) -> None:
    """As the first one was: without noise, nothing moves."""
    assert evaluate(clf, photo(), explanation, metric="max-sensitivity", samples=1, radius=0).value < 1e-6


def test_randomisation_correlates_over_the_photo(clf: Classifier, explanation: Explanation) -> None:
    other = np.random.default_rng(0).random((32, 32))
    result = evaluate(
        clf, photo(), explanation, metric="parameter-randomisation", explain_with=lambda _clf: other, steps=1
    )
    expected = spearmanr(explanation.saliency[ROWS].ravel(), other[ROWS].ravel()).statistic
    assert float(result.extras["spearman"][0]) == pytest.approx(expected, abs=1e-6)


def test_a_metric_of_which_nobody_knows_says_so(
    clf: Classifier, explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(evaluating._KNOW_PADDING) == set(METRICS), "of ours all do"
    monkeypatch.setattr(evaluating, "_KNOW_PADDING", ())
    with pytest.raises(MetricError, match=r"road takes all of the network's input for the photo, .* is padding"):
        evaluate(clf, photo(), explanation, metric="road")
    square = explain(clf, photo(40, 40), method="grad-cam")
    assert np.isfinite(evaluate(clf, photo(40, 40), square, metric="max-sensitivity").value)
