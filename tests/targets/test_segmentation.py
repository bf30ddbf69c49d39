"""The mean score over a mask of a network that scores every position: against loops in float64, and by hand."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core import Classifier, evaluate, explain
from cam_core.shapley import channel_shap
from cam_core.targets import Difference, MaskMean, mean_scores
from cam_core.types import ModelError, TargetError
from tests.tiny import tiny_images

CHANNELS, CLASSES, SIDE = 6, 4, 16
SIZE = (2 * SIDE, 2 * SIDE)
LABELS = ["sky", "tree", "cat", "road"]
IMAGE = functional.interpolate(tiny_images(1), SIZE, mode="bilinear")


class Segmenting(nn.Module):
    """Scores at half the size of the image: alone, as "out" beside others, or enlarged to the image's size."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.features = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1), nn.ReLU())
        self.scores = nn.Conv2d(CHANNELS, CLASSES, 1)

    def forward(self, images: Tensor) -> Any:
        scores = self.scores(self.features(images))
        if self.form == "large":
            scores = functional.interpolate(scores, images.shape[-2:], mode="bilinear", align_corners=False)
        return OrderedDict(out=scores, aux=-scores) if self.form == "named" else scores


def segmenting(form: str = "alone") -> Classifier:
    torch.manual_seed(7)
    return Classifier(Segmenting(form).eval(), LABELS, SIZE, logits=mean_scores)


def block(top: int, bottom: int, left: int, right: int, side: int = 2 * SIDE) -> np.ndarray:
    mask = np.zeros((side, side), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def parts(clf: Classifier) -> tuple[Any, Any, Any]:
    """Activations (K, h, w), weights (C, K) and biases (C,) in float64, as nested lists."""
    net = pickle.loads(pickle.dumps(clf.module)).double()
    with torch.no_grad():
        acts = net.features(IMAGE.double())[0]
    return acts.tolist(), net.scores.weight[:, :, 0, 0].tolist(), net.scores.bias.tolist()


def by_loops(clf: Classifier, index: int, counts: list[list[float]]) -> float:
    """Σ_p m_p y_c(p) / Σ_p m_p, position by position."""
    acts, weights, biases = parts(clf)
    total = covered = 0.0
    for row in range(SIDE):
        for column in range(SIDE):
            score = biases[index] + sum(weights[index][k] * acts[k][row][column] for k in range(CHANNELS))
            total += counts[row][column] * score
            covered += counts[row][column]
    return total / covered


def shares(mask: np.ndarray) -> list[list[float]]:
    """How much of each 2 × 2 block of pixels the mask covers."""
    return [
        [float(sum(mask[2 * r + i, 2 * c + j] for i in (0, 1) for j in (0, 1))) / 4 for c in range(SIDE)]
        for r in range(SIDE)
    ]


@pytest.mark.parametrize("form", ["alone", "named"])
@pytest.mark.parametrize("mask", [block(4, 13, 6, 30), block(0, 1, 31, 32), block(2, 9, 3, 12, side=SIDE)])
def test_value_is_the_mean_over_the_mask(form: str, mask: np.ndarray) -> None:
    clf = segmenting(form)
    counts = shares(mask) if len(mask) == 2 * SIDE else mask.astype(float).tolist()
    made = explain(clf, IMAGE, method="grad-cam", layer="features", target=MaskMean("cat", mask))
    assert made.score == pytest.approx(by_loops(clf, 2, counts), abs=1e-6)
    assert made.label == "cat in the mask" and made.probability is None


def test_map_of_a_linear_head_is_its_scores_within_the_mask() -> None:
    """HiResCAM: Σ_k A_k(p) ∂/∂A_k(p) = Σ_k W_ck A_k(p) m_p / Σ m, so nothing outside the mask."""
    clf, mask = segmenting(), block(4, 12, 6, 30)
    acts, weights, _ = parts(clf)
    counts = shares(mask)
    covered = sum(map(sum, counts))
    expected = [
        [sum(weights[2][k] * acts[k][r][c] for k in range(CHANNELS)) * counts[r][c] / covered for c in range(SIDE)]
        for r in range(SIDE)
    ]
    made = explain(clf, IMAGE, method="hires-cam", layer="features", target=MaskMean(2, mask))
    np.testing.assert_allclose(made.map, expected, atol=1e-7)
    assert np.count_nonzero(made.map[:2]) == 0 and np.count_nonzero(made.map) > 0


@pytest.mark.parametrize("method", ["lift-cam", "owen-cam"])
def test_shares_of_a_linear_head_are_its_products(method: str) -> None:
    """φ_k = W_ck Σ_p m_p A_k(p) / Σ m, whoever else is there."""
    clf, mask = segmenting(), block(4, 12, 6, 30)
    acts, weights, _ = parts(clf)
    counts = shares(mask)
    covered = sum(map(sum, counts))
    expected = [
        weights[1][k] * sum(acts[k][r][c] * counts[r][c] for r in range(SIDE) for c in range(SIDE)) / covered
        for k in range(CHANNELS)
    ]
    made = explain(clf, IMAGE, method=method, layer="features", target=MaskMean("tree", mask))
    np.testing.assert_allclose(made.coefficients, expected, atol=1e-6)
    estimate = channel_shap(clf, IMAGE, layer="features", target=MaskMean("tree", mask), budget=64)
    torch.testing.assert_close(estimate.phi.tolist(), expected, atol=1e-6, rtol=0)
    assert estimate.measure == ("mean score", "units of the score")


def test_scores_that_the_network_enlarges_are_cut_all_the_same() -> None:
    clf, mask = segmenting("large"), block(4, 12, 6, 30)
    with torch.no_grad():
        scores = clf.module.double()(IMAGE.double())[0, 3]
    clf.module.float()
    expected = sum(float(scores[r, c]) for r in range(4, 12) for c in range(6, 30)) / (8 * 24)
    made = explain(clf, IMAGE, layer="features", target=MaskMean("road", mask))
    assert made.score == pytest.approx(expected, abs=1e-6)
    assert not any("cannot be traced" in warning for warning in made.warnings)
    with torch.no_grad():
        nothing = float(clf.module.scores.bias[3])
    assert made.coefficients is not None
    assert float(made.coefficients.sum()) == pytest.approx(made.score - nothing, abs=1e-5)


def test_without_a_mask_a_class_is_its_mean_over_the_image() -> None:
    clf = segmenting("named")
    everywhere = [[1.0] * SIDE for _ in range(SIDE)]
    logits = clf.logits(IMAGE)[0].tolist()
    assert logits == pytest.approx([by_loops(clf, index, everywhere) for index in range(CLASSES)], abs=1e-6)
    lead = explain(clf, IMAGE, method="grad-cam", layer="features", target=Difference("cat", "sky"))
    assert lead.score == pytest.approx(logits[2] - logits[0], abs=1e-6)
    whole = explain(clf, IMAGE, method="grad-cam", layer="features", target=MaskMean("cat", np.ones(SIZE, dtype=bool)))
    assert whole.score == pytest.approx(logits[2], abs=1e-6)


def test_masks_that_are_equal_are_one_target_and_travel() -> None:
    one, same, other = (MaskMean("cat", block(4, 12, 6, right)) for right in (30, 30, 29))
    assert one == same and hash(one) == hash(same) and one != other
    assert pickle.loads(pickle.dumps(one)) == one
    clf = segmenting()
    assert clf.answering(one.choose) is clf.answering(same.choose) is not clf.answering(other.choose)


def test_the_classifier_stays_as_it_was() -> None:
    clf = segmenting()
    before = clf.logits(IMAGE)
    explain(clf, IMAGE, method="grad-cam", layer="features", target=MaskMean("cat", block(4, 12, 6, 30)))
    assert torch.equal(clf.logits(IMAGE), before) and clf.labels == LABELS


def test_metrics_follow_the_mask() -> None:
    clf, target = segmenting(), MaskMean("cat", block(4, 12, 6, 30))
    made = explain(clf, IMAGE, method="grad-cam", layer="features", target=target)
    curve = evaluate(clf, IMAGE, made, metric="deletion-auc", steps=4, target=target).extras["curve"]
    assert curve[0] == pytest.approx(made.score, abs=1e-6)
    again = evaluate(clf, IMAGE, made, metric="parameter-randomisation", steps=2, target=target)
    assert 0 <= again.value <= 1 and not again.warnings
    with pytest.raises(TargetError, match="give the target itself"):
        evaluate(clf, IMAGE, made, metric="deletion-auc", steps=4)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((4, 4), dtype=bool), "true nowhere"),
        (np.ones((4, 4)), r"\(H, W\) of bool, not \(4, 4\) of float64"),
        (np.ones(4, dtype=bool), r"not \(4,\) of bool"),
    ],
)
def test_what_is_no_mask_is_refused(mask: np.ndarray, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        MaskMean("cat", mask)


def test_a_network_that_scores_no_positions_is_refused() -> None:
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    with pytest.raises(ModelError, match=r"of scores \(B, C, h, w\), and the network returns 1 × 4"):
        explain(Classifier(flat, input_size=SIZE), IMAGE, layer="0", target=MaskMean(1, block(4, 12, 6, 30)))
    with pytest.raises(ModelError, match=r"logits=cam_core.targets.mean_scores"):
        explain(Classifier(Segmenting("alone").eval(), input_size=SIZE), IMAGE)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"])
def test_torchvisions_networks_are_explained(name: str) -> None:
    from torchvision.models import get_model

    torch.manual_seed(0)
    module = get_model(name, weights=None, weights_backbone=None, num_classes=5).eval()
    image = torch.randn(1, 3, 96, 128)
    mask = np.zeros((96, 128), dtype=bool)
    mask[10:50, 20:90] = True
    clf = Classifier(module, input_size=(96, 128), logits=mean_scores)
    made = explain(clf, image, method="grad-cam", layer="backbone.16", target=MaskMean(3, mask))
    with torch.no_grad():
        scores = module(image)["out"][0, 3].double()
    expected = sum(float(scores[r, c]) for r in range(10, 50) for c in range(20, 90)) / (40 * 70)
    assert made.score == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert np.abs(made.map).max() > 0 and made.map.shape == (6, 8)
