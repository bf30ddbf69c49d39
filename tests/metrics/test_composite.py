"""Coherency, complexity, ADCC, ARCC: by hand, by the authors' formula, and against PyPI grad-cam's pieces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics import arcc as peer
from scipy.stats import pearsonr
from torch import Tensor

from cam_core import evaluate, evaluate_batch, explain
from cam_core.types import MetricError
from tests.metrics.scenes import coloured, plane, random_maps, scene, weighted

IMAGE = coloured(plane(a1=2, b2=1))
SALIENCY = plane(a1=1, b2=0.5)


def brightness(image: Tensor) -> Tensor:
    """A "method" that can be computed by hand: the first colour, scaled to [0, 1]."""
    return (image[0] / 2).clamp(0, 1)


def value(metric: str, saliency: Tensor = SALIENCY, explain_again=brightness, **params: object) -> float:
    clf = weighted(plane(a1=1, b2=1))
    return evaluate(clf, IMAGE, saliency, metric=metric, target=0, explain_again=explain_again, **params).value


def test_coherency_by_hand() -> None:
    # Masked by its map the image is 2 · 1 and 1 · ½: the map of that is 1 and ¼.
    again = plane(a1=1, b2=0.25)
    correlation = pearsonr(SALIENCY.flatten(), again.flatten()).statistic
    assert value("coherency") == pytest.approx((1 + correlation) / 2)


def test_coherency_of_a_map_that_does_not_change_is_1_and_of_its_opposite_0() -> None:
    assert value("coherency", explain_again=lambda image: SALIENCY) == pytest.approx(1)
    assert value("coherency", explain_again=lambda image: 1 - SALIENCY) == pytest.approx(0, abs=1e-12)


def test_coherency_with_a_constant_map_is_0() -> None:
    assert value("coherency", explain_again=lambda image: torch.zeros(4, 4)) == 0
    assert value("coherency", torch.zeros(4, 4)) == 0


def test_coherency_masks_in_the_asked_space() -> None:
    seen: list[Tensor] = []

    def remember(image: Tensor) -> Tensor:
        seen.append(image)
        return SALIENCY

    value("coherency", torch.zeros(4, 4), remember)
    value("coherency", torch.zeros(4, 4), remember, mask_space="pixel")
    assert not seen[0].any()
    torch.testing.assert_close(seen[1][:, 0, 0], torch.tensor([-2.5, -1.6, -0.6]))


def test_complexity_by_hand() -> None:
    assert value("complexity") == pytest.approx(1.5 / 16)


def test_adcc_is_the_harmonic_mean_of_its_parts() -> None:
    alike, covered, lost = value("coherency"), value("complexity"), value("average-drop") / 100
    assert lost > 0
    assert value("adcc") == pytest.approx(3 / (1 / alike + 1 / (1 - covered) + 1 / (1 - lost)))


def test_arcc_is_the_harmonic_mean_of_its_parts() -> None:
    alike, covered, removed = value("coherency"), value("complexity"), value("road", spacing=20)
    assert 0 < removed < 0.5
    assert value("arcc") == pytest.approx(3 / (1 / alike + 1 / (1 - covered) + 1 / (2 * removed)))
    shifted = 3 / (1 / alike + 1 / (1 - covered) + 2 / (1 + removed))
    assert value("arcc", road_term="shifted") == pytest.approx(shifted)


@pytest.mark.parametrize("metric", ["adcc", "arcc"])
def test_a_mean_with_a_part_that_is_0_is_0(metric: str) -> None:
    assert value(metric, torch.zeros(4, 4)) == 0
    assert value(metric, torch.ones(4, 4)) == 0
    assert value(metric, explain_again=lambda image: torch.zeros(4, 4)) == 0


def literal_adcc(saliency: np.ndarray, again: np.ndarray, before: float, after: float) -> float:
    """As the authors' repository has it, one image: Pearson, L1 norm, average drop, harmonic mean."""
    coherency = (pearsonr(saliency.ravel(), again.ravel()).statistic + 1) / 2
    complexity = np.abs(saliency).sum() / saliency.size
    average_drop = max(0.0, before - after) / before
    return 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - average_drop))


@pytest.mark.parametrize("network", ["plain", "residual"])
def test_adcc_equals_the_literal_formula(network: str) -> None:
    clf, images, _, targets = scene(network, count=3)
    for image, target in zip(images, targets, strict=True):
        made = explain(clf, image, method="grad-cam++", target=target)
        mask = torch.from_numpy(made.saliency)
        again = explain(clf, image * mask, method="grad-cam++", target=target).saliency
        before, after = (clf.logits(x[None]).softmax(1)[0, target].item() for x in (image, image * mask))
        found = evaluate(clf, image, made, metric="adcc").value
        assert found == pytest.approx(literal_adcc(made.saliency, again, before, after), abs=1e-5)


class GivenAgain:
    """PyPI grad-cam's `base_method`: maps of whatever images it is shown."""

    def __call__(self, input_tensor: Tensor, targets: object) -> np.ndarray:
        return np.stack([brighter(image).numpy() for image in input_tensor])


def brighter(image: Tensor) -> Tensor:
    grey = image.mean(0)
    return (grey - grey.min()) / (grey.max() - grey.min())


def test_coherency_and_complexity_equal_pytorch_grad_cam() -> None:
    clf, images, maps, targets = scene(count=3)
    theirs = peer.Coherency()(images, maps.numpy(), targets, clf.module, GivenAgain())
    again = [brighter] * 3
    ours = evaluate_batch(clf, list(images), list(maps), metric="coherency", targets=targets, explain_again=again)
    assert [r.value for r in ours] == pytest.approx(theirs, abs=1e-5)
    ours = evaluate_batch(clf, list(images), list(maps), metric="complexity", targets=targets)
    assert [r.value for r in ours] == pytest.approx(peer.Complexity()(maps.numpy()), abs=1e-6)


def test_arcc_equals_pytorch_grad_cam_given_its_road(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ROAD draws unseeded noise and thresholds (see test_road.py): ours is put in its place; the rest must agree.

    It calls the harmonic mean a geometric one, and adds 1e-8 to each part.
    """
    clf, images, maps, targets = scene(count=4)
    metric = peer.ARCC(GivenAgain())
    roads = [
        evaluate(clf, x, m, metric="road", target=t, spacing=20).value
        for x, m, t in zip(images, maps, targets, strict=True)
    ]
    monkeypatch.setattr(metric, "road", lambda *_: np.array(roads))
    theirs = metric(images, maps.numpy(), targets, clf.module)
    ours = evaluate_batch(clf, list(images), list(maps), metric="arcc", targets=targets, explain_again=[brighter] * 4)
    assert [r.value for r in ours] == pytest.approx(theirs, abs=1e-5)
    assert max(theirs) > 0.01


def test_an_explanation_brings_the_way_to_explain_again() -> None:
    clf, images, _, targets = scene(count=1)
    made = explain(clf, images[0], method="grad-cam", target=targets[0])
    mask = torch.from_numpy(made.saliency)
    again = explain(clf, images[0] * mask, method="grad-cam", target=targets[0]).saliency
    expected = (1 + np.corrcoef(made.saliency.ravel(), again.ravel())[0, 1]) / 2
    assert evaluate(clf, images[0], made, metric="coherency").value == pytest.approx(expected, abs=1e-5)


def test_without_a_way_to_explain_again_it_says_how_to_give_one() -> None:
    clf, images, _, _ = scene(count=1)
    with pytest.raises(MetricError, match="coherency needs to explain changed images: pass explain_again="):
        evaluate(clf, images[0], random_maps(1)[0], metric="coherency")
