"""Two classes set against each other: by hand, against scipy and a slow bilinear, and on photos of two animals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from cam_core import Explanation, explain, load_model
from cam_core.analysis.contrast import (
    Contrast,
    class_contrast,
    drawn_contrast,
    nearest_labels,
    opposing_class,
    region_shares,
)
from cam_core.images import SAMPLES
from cam_core.metrics.ground_truth import Region, own_and_other, sample_regions
from cam_core.models.classifier import Prediction
from cam_core.targets import Difference
from cam_core.types import TargetError
from tests.tiny import tiny_classifier, tiny_images

A = np.array([[4.0, 1.0], [0.0, -2.0]], dtype=np.float32)
B = np.array([[1.0, 3.0], [0.0, 2.0]], dtype=np.float32)


def made(raw: np.ndarray, target: int | str = 0, method: str = "grad-cam", **fields: object) -> Explanation:
    values = raw.astype(np.float32)
    label = "ABCDE"[target] if isinstance(target, int) else "A − B"
    return replace(Explanation(method, "tiny", "conv", target, label, 5.0, 0.5, values, values), **fields)


def region(mask: list[list[int]], *classes: str) -> Region:
    return Region.from_mask(np.array(mask, dtype=bool), classes)


def predictions(*logits: float) -> list[Prediction]:
    """Of the classes A, B, …, whose logits these are; most probable first."""
    shares = np.exp(logits) / np.exp(logits).sum()
    every = [Prediction(n, "ABCDE"[n], logit, float(shares[n])) for n, logit in enumerate(logits)]
    return sorted(every, key=lambda prediction: -prediction.logit)


# The difference and the rank correlation


def test_the_difference_is_that_of_the_raw_maps() -> None:
    report = class_contrast(made(A), made(B, 1))
    np.testing.assert_array_equal(report.difference, [[3, -2], [0, -4]])
    assert report.contrast is report.difference and report.deviation is None and not report.linear
    assert report.largest == {"a": 4, "b": 3, "contrast for a": 3, "contrast for b": 4}
    assert report.parts == {
        "a": "A",
        "b": "B",
        "contrast for a": "A rather than B",
        "contrast for b": "B rather than A",
    }
    assert report.shares == {} and report.notice == ""


def test_the_rank_correlation_is_spearmans_by_scipy() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        a, b = generator.integers(-3, 4, (2, 5, 4)).astype(np.float32)  # with ties
        expected = spearmanr(a.ravel(), b.ravel()).statistic
        assert class_contrast(made(a), made(b, 1)).correlation == pytest.approx(expected, abs=1e-6)


def test_by_hand_the_ranks_of_a_and_b() -> None:
    """Ranks of A: 4 3 2 1, of B: 2 4 1 3: 1 − 6 · (4 + 1 + 1 + 4) / (4 · 15) = 0."""
    assert class_contrast(made(A), made(B, 1)).correlation == pytest.approx(0, abs=1e-7)


def test_a_class_is_not_set_against_itself() -> None:
    with pytest.raises(TargetError, match="A and B are the same class, C: choose two different ones"):
        class_contrast(made(A, 2), made(B, 2))


@pytest.mark.parametrize(("method", "linear"), [("grad-cam", True), ("lift-cam", True), ("grad-cam++", False)])
def test_the_contrast_is_the_difference_of_a_method_that_adds_up(method: str, linear: bool) -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)[0]
    a, b, between = (
        explain(clf, image, method=method, layer="relu1", target=target) for target in (0, 3, Difference(0, 3))
    )
    report = class_contrast(a, b, between)
    apart = np.abs(between.map.astype(float) - (a.map.astype(float) - b.map.astype(float))).max()
    largest = max(np.abs(between.map).max(), np.abs(a.map - b.map).max())
    assert report.deviation == pytest.approx(apart / largest, rel=1e-4, abs=1e-6)
    assert report.linear is linear and report.contrast is between.map


def test_the_deviation_by_hand() -> None:
    """A − B is [[3, −2], [0, −4]]; a map that is 5 in a corner is 2 away from it, 2/5 of the largest value."""
    between = made(np.array([[5.0, -2.0], [0.0, -4.0]]), target="0 - 1")
    assert class_contrast(made(A), made(B, 1), between).deviation == pytest.approx(0.4)


# The energy in a region


def test_shares_by_hand() -> None:
    """At its own size nothing is interpolated: of what is above 0, A has 4 of 5 in the left column, B 1 of 6."""
    left, bottom = region([[1, 0], [1, 0]], "A", "Z"), region([[0, 0], [1, 1]], "B")
    report = class_contrast(made(A), made(B, 1), regions=[left, bottom])
    shares = {part: [round(each.share, 6) for each in found] for part, found in report.shares.items()}
    assert shares["a"] == [0.8, 0.0]
    assert shares["b"] == [round(1 / 6, 6), round(2 / 6, 6)]
    assert shares["contrast for a"] == [1.0, 0.0], "3 above 0, in the left column"
    assert shares["contrast for b"] == [0.0, round(4 / 6, 6)], "2 and 4 below 0, both at the right"
    assert [(each.classes, each.area) for each in report.shares["a"]] == [(("A", "Z"), 0.5), (("B",), 0.5)]


def bilinear(raw: np.ndarray, size: int) -> np.ndarray:
    """Square (n, n) → (size, size) in float64, pixel by pixel, align_corners=False."""
    scale, out = len(raw) / size, np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            at_y, at_x = (max(0.0, (place + 0.5) * scale - 0.5) for place in (y, x))
            y0, x0 = int(at_y), int(at_x)
            y1, x1 = min(y0 + 1, len(raw) - 1), min(x0 + 1, len(raw) - 1)
            v, u = at_y - y0, at_x - x0
            out[y, x] = (1 - v) * ((1 - u) * raw[y0, x0] + u * raw[y0, x1]) + v * (
                (1 - u) * raw[y1, x0] + u * raw[y1, x1]
            )
    return out


def test_shares_are_those_of_a_literal_bilinear() -> None:
    generator = np.random.default_rng(1)
    raw = generator.normal(size=(4, 4)).astype(np.float32)
    mask = generator.random((10, 10)) < 0.3
    values = bilinear(np.maximum(raw.astype(float), 0), 10)
    (share,) = region_shares(raw, [Region.from_mask(mask)])
    assert share.share == pytest.approx(values[mask].sum() / values.sum(), rel=1e-5)
    assert share.area == pytest.approx(mask.sum() / 100)


def test_padding_counts_for_nothing() -> None:
    """Of the right column alone, A has 1 above 0, in its upper half."""
    (share,) = region_shares(A, [region([[1, 1], [0, 0]])], (1, 0, 2, 2))
    assert (share.share, share.area) == (1.0, 0.5)
    assert region_shares(B, [region([[1, 1], [0, 0]])], (1, 0, 2, 2))[0].share == pytest.approx(3 / 5)


def test_a_map_that_is_nowhere_positive_has_no_share() -> None:
    (share,) = region_shares(-np.abs(A) - 1, [region([[1, 0], [0, 0]])])
    assert math.isnan(share.share) and share.area == 0.25


# Where two maps hardly differ, and why


RAMP = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (made(RAMP, method="eigen-cam"), made(RAMP, 1, "eigen-cam"), "Eigen-CAM does not look at the class"),
        (made(RAMP, method="random"), made(RAMP, 1, "random"), "gives every class the same map"),
        (made(RAMP), made(0 * RAMP, 1), "The map of B is 0 everywhere"),
        (made(0 * RAMP - 1), made(RAMP, 1), "The map of A is the same everywhere"),
        (made(0 * RAMP), made(0 * RAMP, 1), "Both maps are the same everywhere"),
        (
            made(RAMP, coefficients=np.ones(1)),
            made(3 * RAMP, 1, coefficients=np.ones(1)),
            "the layer has a single channel",
        ),
        (made(RAMP), made(RAMP, 1), "from this layer on, the network treats the two classes alike"),
        (made(RAMP), made(RAMP**1.1, 1), "the same channels as evidence for both"),
        (made(RAMP, method="score-cam"), made(2 * RAMP, 1, "score-cam"), "it keeps what speaks for a class"),
        (made(RAMP), made(-RAMP, 1), "what speaks for A speaks against B"),
    ],
)
def test_a_notice_says_why(a: Explanation, b: Explanation, words: str) -> None:
    assert words in class_contrast(a, b).notice


def test_no_notice_where_the_maps_differ() -> None:
    """Correlation of the ramp with itself, its two ends swapped: 1 − 6 · 2 · 121 / (12 · 143) = 0.154."""
    swapped = RAMP.copy()
    swapped[0, 0], swapped[2, 3] = RAMP[2, 3], RAMP[0, 0]
    report = class_contrast(made(RAMP), made(swapped, 1))
    assert report.correlation == pytest.approx(1 - 6 * 2 * 121 / (12 * 143), abs=1e-6)
    assert report.notice == ""


# How they are drawn


def test_a_and_b_have_one_scale_and_the_difference_its_own() -> None:
    drawn = drawn_contrast(class_contrast(made(A), made(B, 1), made(2 * A, target="0 - 1")), (2, 2))
    assert drawn.a.limits == drawn.b.limits == (-4, 4) and drawn.difference.limits == (-4, 4)
    assert drawn.between is not None and drawn.between.limits == (-8, 8) and drawn.between.signed
    np.testing.assert_array_equal(drawn.difference.values, drawn.a.values - drawn.b.values)


def test_a_method_without_signs_is_drawn_without_and_its_difference_with() -> None:
    drawn = drawn_contrast(class_contrast(made(abs(A), method="score-cam"), made(abs(B), 1, "score-cam")), (2, 2))
    assert (drawn.a.limits, drawn.b.limits) == ((0, 4), (0, 4)) and not drawn.a.signed
    assert drawn.difference.limits == (-3, 3) and drawn.difference.signed and drawn.between is None


# Which classes


def test_the_class_opposed_is_that_of_another_animal_or_else_the_next_probable_one() -> None:
    seen = predictions(3.0, 2.5, 2.0, 1.0)
    two = [region([[1, 0]], "A", "B"), region([[0, 1]], "D")]
    assert opposing_class(seen, 0, two) == 3, "B is more probable, and another name of the same animal"
    assert opposing_class(seen, 3, two) == 0
    assert opposing_class(seen, 2, two) == 0, "C is none of the animals"
    assert opposing_class(seen, 0) == 1 and opposing_class(seen, 1) == 0
    assert opposing_class(seen, 0, two[:1]) == 1, "there is no other animal"


def test_the_nearest_classes_are_those_with_the_nearest_logits() -> None:
    seen = predictions(3.0, 0.0, 2.5, 4.0, 9.0)
    assert nearest_labels(seen, 0, 3) == ["C", "D", "B"]
    assert nearest_labels(seen, 4, 9) == ["D", "A", "C", "B"]


# On photos of two animals


def contrast_of(key: str, method: str, layer: str | None = None, **params: object) -> Contrast:
    clf = load_model("efficientnet_lite0")
    photo = next(sample for sample in SAMPLES if sample.key == key).open()
    regions = sample_regions(key, clf.preprocessing.box(photo.size), clf.preprocessing.input_size)
    seen = clf.predict(photo, top=None)
    a = seen[0].index
    b = opposing_class(seen, a, regions)
    maps = [explain(clf, photo, method=method, layer=layer, target=target, **params) for target in (a, b)]
    asked = None if method == "finer-cam" else Difference(a, b)
    between = asked and explain(clf, photo, method=method, layer=layer, target=asked, **params)
    report = class_contrast(*maps, between, regions)
    assert (
        own_and_other(regions, report.a.label)[0] is not None and own_and_other(regions, report.b.label)[0] is not None
    )
    return report


def shares_on_own(report: Contrast) -> None:
    """Each class's map has more of its energy on its own animal than the other's map has there; so has the contrast."""
    for own, other, label in (("a", "b", report.a.label), ("b", "a", report.b.label)):
        for mine, theirs in ((own, other), (f"contrast for {own}", f"contrast for {other}")):
            pairs = zip(report.shares[mine], report.shares[theirs], strict=True)  # type: ignore[index]
            ((here, there),) = [pair for pair in pairs if label in pair[0].classes]
            assert here.share > there.share, (report.method, mine)
        (here,) = [share for share in report.shares[f"contrast for {own}"] if label in share.classes]  # type: ignore[index]
        assert here.share > here.area


COLLAGES = [sample.key for sample in SAMPLES if sample.collage]


@pytest.mark.parametrize("key", COLLAGES)
@pytest.mark.parametrize("method", ["grad-cam", "lift-cam", "owen-cam", "finer-cam"])
def test_a_class_s_map_lies_on_its_own_animal(key: str, method: str) -> None:
    shares_on_own(contrast_of(key, method))


def test_a_method_that_knows_no_class_is_found_out() -> None:
    report = contrast_of(COLLAGES[0], "eigen-cam")
    assert report.correlation == pytest.approx(1) and "does not look at the class" in report.notice
    assert [share.share for share in report.shares["a"]] == [share.share for share in report.shares["b"]]
