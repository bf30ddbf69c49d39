"""Deletion and insertion: by hand, against a literal loop and torchcam, and how points come one by one."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchcam.metrics import DeletionInsertionMetric
from torchvision.transforms.functional import gaussian_blur

from cam_core import Cancelled, Classifier, evaluate, evaluate_batch, explain
from cam_core.metrics.curves.frames import Film, as_photo
from cam_core.metrics.curves.points import (
    Curve,
    CurvePoint,
    Curves,
    add_point,
    curve_points,
)
from cam_core.models.batching import Rows
from cam_core.types import MetricError
from tests.metrics.given_maps import GivenMaps
from tests.metrics.perturbed import perturbation
from tests.metrics.scenes import MEAN, STD, coloured, plane, random_maps, scene, weighted
from tests.tiny import tiny_classifier

WEIGHTS = plane(a1=4, b1=2, c1=1)
IMAGE = coloured(plane(a1=1, b1=1, c1=1))
SALIENCY = plane(a1=1, b1=0.5, c1=0.25)


def area(values: list[float], step: float) -> float:
    return step * (sum(values) - (values[0] + values[-1]) / 2)


def literal_auc(
    clf: Classifier, x: Tensor, saliency: Tensor, baseline: Tensor, target: int, steps: int, insertion: bool
) -> float:
    """Pixel by pixel, picture by picture, trapezoid by trapezoid."""
    pixels = sorted(
        ((float(saliency[i, j]), -i, -j) for i in range(len(saliency)) for j in range(len(saliency[0]))), reverse=True
    )
    picture, final = (baseline.clone(), x) if insertion else (x.clone(), baseline)
    size = -(-len(pixels) // steps)

    def probability() -> float:
        with torch.no_grad():
            return float(clf.module(picture[None]).double().softmax(1)[0, target])

    auc, last = 0.0, probability()
    for start in range(0, len(pixels), size):
        for _, i, j in pixels[start : start + size]:
            picture[:, -i, -j] = final[:, -i, -j]
        now = probability()
        auc += (last + now) / 2 * len(pixels[start : start + size]) / len(pixels)
        last = now
    return auc


def test_deletion_by_hand() -> None:
    result = evaluate(weighted(WEIGHTS), IMAGE, SALIENCY, metric="deletion-auc", target=0, steps=16, score="logit")
    curve = [7, 3, 1] + [0] * 14
    assert result.extras["curve"] == pytest.approx(curve, abs=1e-6)
    assert result.extras["fractions"] == pytest.approx(np.arange(17) / 16)
    assert result.value == pytest.approx(area(curve, 1 / 16))


def test_insertion_onto_zeros_by_hand() -> None:
    result = evaluate(
        weighted(WEIGHTS), IMAGE, SALIENCY, metric="insertion-auc", target=0, steps=16, score="logit", baseline="zero"
    )
    curve = [0, 4, 6] + [7] * 14
    assert result.extras["curve"] == pytest.approx(curve, abs=1e-6)
    assert result.value == pytest.approx(area(curve, 1 / 16))


def test_steps_of_several_pixels_and_a_short_last_one() -> None:
    result = evaluate(weighted(WEIGHTS), IMAGE, SALIENCY, metric="deletion-auc", target=0, steps=6, score="logit")
    assert result.extras["fractions"] == pytest.approx(np.array([0, 3, 6, 9, 12, 15, 16]) / 16)
    assert result.value == pytest.approx(3 / 16 * 7 / 2)


def test_equal_pixels_go_from_the_top_left() -> None:
    flat = torch.full((4, 4), 0.5)
    result = evaluate(weighted(WEIGHTS), IMAGE, flat, metric="deletion-auc", target=0, steps=16, score="logit")
    assert result.extras["curve"][:4] == pytest.approx([7, 3, 1, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("params", "colour"),
    [
        ({"baseline": "zero"}, 0.0),
        ({"baseline": "zero", "mask_space": "pixel"}, -MEAN[0] / STD[0]),
        ({"baseline": "mean"}, 3 / 16),
    ],
)
def test_what_all_pixels_become(params: dict[str, str], colour: float) -> None:
    way = perturbation(weighted(WEIGHTS), IMAGE, SALIENCY, **params)
    torch.testing.assert_close(way.picture(1)[0], torch.full((4, 4), colour))


def test_blur_is_a_gaussian_of_11_pixels() -> None:
    clf, images, maps, _ = scene(count=1)
    blurred = perturbation(clf, images[0], maps[0], baseline="blur", blur_sigma=5.0).picture(1)
    expected = gaussian_blur(images[0], [11, 11], [5.0, 5.0])
    torch.testing.assert_close(blurred[:, 5:-5, 5:-5], expected[:, 5:-5, 5:-5])


def test_noise_depends_on_the_seed_alone() -> None:
    clf, images, maps, _ = scene(count=2)
    one, same, other = (
        perturbation(clf, images[i], maps[i], baseline="noise", seed=s).picture(1) for i, s in [(0, 3), (1, 3), (0, 4)]
    )
    torch.testing.assert_close(one, same)
    assert (one - other).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_the_picture_at_a_fraction(kind: str) -> None:
    way = perturbation(weighted(WEIGHTS), IMAGE, SALIENCY, kind=kind, baseline="zero")
    untouched, empty = (0.0, 1.0) if kind == "deletion" else (1.0, 0.0)
    torch.testing.assert_close(way.picture(untouched), IMAGE)
    assert not way.picture(empty).any()
    changed = (way.picture(2 / 16) != way.picture(0)).any(0)
    assert changed.nonzero().tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("steps", [7, 20, 256])
@pytest.mark.parametrize("network", ["plain", "dense"])
def test_auc_equals_a_literal_loop(network: str, steps: int) -> None:
    clf, images, maps, targets = scene(network, count=2)
    maps[1] = maps[1].round(decimals=1)  # many ties
    for metric in ("deletion-auc", "insertion-auc"):
        results = evaluate_batch(clf, list(images), list(maps), metric=metric, targets=targets, steps=steps)
        for x, saliency, target, result in zip(images, maps, targets, results, strict=True):
            kind = metric.removesuffix("-auc")
            untouched = 0.0 if kind == "insertion" else 1.0
            baseline = perturbation(clf, x, saliency, kind=kind).picture(untouched)
            literal = literal_auc(clf, x, saliency, baseline, target, steps, kind == "insertion")
            assert result.value == pytest.approx(literal, abs=1e-5)


@pytest.mark.parametrize("steps", [7, 20])
def test_auc_equals_torchcam(steps: int) -> None:
    """At its settings: 20 steps, zeros for both kinds; it sorts stably too."""
    clf, images, maps, targets = scene("max-pool", count=5)
    maps = maps.round(decimals=1)
    peer = DeletionInsertionMetric(GivenMaps(clf.module, maps), partial(torch.softmax, dim=-1), steps=steps)
    peer.update(images, targets)
    for metric, expected in peer.summary().items():
        key = metric.replace("_", "-")
        results = evaluate_batch(
            clf, list(images), list(maps), metric=key, targets=targets, steps=steps, baseline="zero"
        )
        assert sum(r.value for r in results) / 5 == pytest.approx(expected, abs=1e-6)


def grown(points: list[CurvePoint]) -> Curves:
    curves: Curves = {}
    for point in points:
        add_point(curves, point)
    return curves


def test_points_make_the_curve_of_the_metric_in_either_order() -> None:
    clf, images, maps, targets = scene(count=2)
    named = {"one": maps[0], "other": maps[1]}
    kinds = ("deletion", "insertion")
    for order in ("sequential", "coarse-to-fine"):
        points = list(curve_points(clf, images[0], named, kinds=kinds, target=targets[0], order=order, steps=32))
        curves = grown(points)
        assert len(points) == 4 * 33
        for (name, kind), curve in curves.items():
            whole = evaluate(clf, images[0], named[name], metric=f"{kind}-auc", target=targets[0], steps=32)
            assert curve.complete
            assert curve.values == pytest.approx(whole.extras["curve"], abs=1e-6)
            assert curve.auc == pytest.approx(whole.value, abs=1e-6)


def test_all_curves_grow_together() -> None:
    clf, images, maps, targets = scene(count=3)
    named = {str(i): m for i, m in enumerate(maps)}
    points = list(curve_points(clf, images[0], named, kinds=("deletion", "insertion"), target=targets[0], steps=64))
    for seen in range(6, len(points)):
        counts = [len(curve.points) for curve in grown(points[:seen]).values()]
        assert len(counts) == 6 or seen < 12
        assert max(counts) - min(counts) <= 1


def test_coarse_to_fine_halves_the_widest_gaps_first() -> None:
    clf, images, maps, targets = scene(count=1)
    points = list(curve_points(clf, images[0], {"map": maps[0]}, target=targets[0], steps=16))
    assert [p.index for p in points[:5]] == [0, 16, 8, 4, 12]
    for seen in range(3, len(points)):
        gaps = np.diff(sorted(p.index for p in points[:seen]))
        assert max(gaps) <= 2 * min(gaps)


def test_the_untouched_image_comes_first_and_is_shared() -> None:
    clf, images, maps, targets = scene(count=2)
    named = {"one": maps[0], "other": maps[1]}
    points = curve_points(clf, images[0], named, kinds=("deletion", "insertion"), target=targets[0], steps=8)
    first = [next(points) for _ in range(4)]
    assert [(p.kind, p.fraction) for p in first] == [
        ("deletion", 0),
        ("deletion", 0),
        ("insertion", 1),
        ("insertion", 1),
    ]
    assert {p.value for p in first} == {clf.predict(images[0])[0].probability}


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_a_frame_is_what_the_curve_scored(kind: str) -> None:
    clf, images, maps, targets = scene(count=2)
    named = {"one": maps[0], "other": maps[1]}
    curves = grown(list(curve_points(clf, images[0], named, kinds=(kind,), target=targets[0], steps=16)))
    film = Film(clf, images[0], named, kinds=(kind,), target=targets[0])
    for index, fraction in enumerate(np.arange(17) / 16):
        shown = film.at(float(fraction))
        for name in named:
            assert shown[name, kind].value == pytest.approx(curves[name, kind].values[index], abs=1e-6)
            assert shown[name, kind].photo.size == (16, 16)


def test_a_frame_shows_the_photo_in_its_colours() -> None:
    clf = tiny_classifier("plain")
    photo = Image.effect_noise((300, 300), 60).convert("RGB")
    seen = np.asarray(clf.preprocessing.frame(photo)).astype(int)
    film = Film(clf, photo, {"map": random_maps(1)[0]}, mask_space="pixel")
    frame = film.at(0.5)["map", "deletion"]
    shown = np.asarray(frame.photo).astype(int)
    black = (shown == 0).all(-1)
    assert black.sum() == pytest.approx(128, abs=2)
    assert np.abs(shown - seen)[~black].max() <= 1
    with pytest.raises(MetricError, match=r"fraction=1.5"):
        film.at(1.5)
    assert Film(clf, photo, {}).at(0.5) == {}


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize("fraction", [0.0, 0.07, 0.5, 0.93, 1.0])
def test_a_frame_of_several_maps_and_kinds_is_scored_as_the_network_scores_that_picture(
    fraction: float, score: str
) -> None:
    """Also between the steps of a curve, also when fractions were asked for before, and whatever else is shown."""
    clf, images, maps, targets = scene("dense", count=2)
    named = {"one": maps[0], "other": maps[1]}
    film = Film(clf, images[0], named, kinds=("deletion", "insertion"), target=targets[0], score=score)
    film.at(0.3)
    shown = film.at(fraction)
    assert list(shown) == [(name, kind) for kind in ("deletion", "insertion") for name in named]
    for (name, kind), frame in shown.items():
        way = perturbation(clf, images[0], named[name], kind=kind)
        logits = clf.module(way.picture(fraction)[None]).detach().double()[0]
        expected = logits.softmax(0) if score == "probability" else logits
        assert frame.value == pytest.approx(float(expected[targets[0]]), abs=1e-6)
        assert frame.photo.tobytes() == as_photo(clf, way.picture(fraction)).tobytes()


def test_a_film_explains_the_class_that_is_most_probable_where_none_is_named() -> None:
    clf, images, maps, _ = scene(count=1)
    top = clf.predict(images[0])[0]
    assert Film(clf, images[0], {"map": maps[0]}).at(0)["map", "deletion"].value == pytest.approx(top.probability)


@pytest.mark.parametrize(("rows", "sizes"), [(24, [4, 24, 24, 12]), (2, [2] * 32), (512, [4, 60])])
def test_batches_begin_small_and_have_few_sizes(rows: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The two baselines come first; then batches are as large as they may be."""
    clf, images, maps, targets = scene(count=1)
    monkeypatch.setattr("cam_core.metrics.curves.points.image_rows", lambda net, picture: Rows(rows))
    done: list[int] = []
    points = list(
        curve_points(
            clf,
            images[0],
            {"map": maps[0]},
            kinds=("deletion", "insertion"),
            target=targets[0],
            steps=32,
            progress=lambda now, total: done.append(now),
        )
    )
    assert np.diff(done).tolist() == sizes
    assert [point.index for point in points[:4]] == [0, points[1].total - 1, points[2].total - 1, 0]


def test_cancelling_keeps_the_points_that_came() -> None:
    clf, images, maps, targets = scene(count=1)
    seen: list[CurvePoint] = []

    def cancel(done: int, total: int) -> None:
        if done > 40:
            raise Cancelled

    def work() -> None:
        for point in curve_points(clf, images[0], {"map": maps[0]}, target=targets[0], steps=256, progress=cancel):
            seen.append(point)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cam_core.metrics.curves.points.image_rows", lambda net, picture: Rows(16))
        with pytest.raises(Cancelled):
            work()
    (curve,) = grown(seen).values()
    assert 17 <= len(curve.points) <= 42
    assert not curve.complete
    assert 0 < curve.auc < 1


@pytest.mark.parametrize("kept", [1, 3, 20, 66])
def test_curves_that_were_begun_are_completed_without_computing_a_point_twice(kept: int) -> None:
    clf, images, maps, targets = scene()
    named = {"one": maps[0], "other": maps[1]}
    draw = partial(curve_points, clf, images[0], named, kinds=("deletion", "insertion"), target=targets[0], steps=16)
    whole = list(draw())
    assert len(whole) == 4 * 17
    begun = grown(whole[:kept])
    rest = list(draw(known=begun))
    known = {(p.name, p.kind, p.index) for p in whole[:kept]}
    again = [p for p in rest if (p.name, p.kind, p.index) in known]
    assert len(again) <= 4 + 2, "the untouched image, which gives the class, and a baseline that one curve lacks"
    for point in rest:
        add_point(begun, point)
    assert begun.keys() == grown(whole).keys()
    for key, curve in grown(whole).items():
        assert begun[key].complete
        assert begun[key].values == pytest.approx(curve.values, abs=1e-6)


def test_a_snapshot_does_not_grow() -> None:
    curve = Curve("map", "deletion")
    curve.add(CurvePoint("map", "deletion", 0, 3, 0.0, 1.0))
    kept = curve.snapshot()
    curve.add(CurvePoint("map", "deletion", 2, 3, 1.0, 0.0))
    assert (len(kept.points), len(curve.points)) == (1, 2)
    assert (kept.name, kept.kind, kept.total) == ("map", "deletion", 3)


def test_a_curve_says_how_far_it_is() -> None:
    curve = Curve("map", "deletion")
    assert np.isnan(curve.auc)
    assert not curve.complete
    curve.add(CurvePoint("map", "deletion", 2, 3, 1.0, 0.2))
    curve.add(CurvePoint("map", "deletion", 0, 3, 0.0, 0.8))
    assert curve.auc == pytest.approx(0.5)
    assert not curve.complete
    curve.add(CurvePoint("map", "deletion", 1, 3, 0.5, 0.2))
    assert curve.complete
    assert curve.auc == pytest.approx(0.35)


def test_an_explanation_brings_its_class() -> None:
    clf, images, _, targets = scene(count=1)
    least = int(clf.logits(images).argmin())
    explanation = explain(clf, images[0], method="grad-cam", target=least)
    point = next(curve_points(clf, images[0], {"Grad-CAM": explanation}, steps=4))
    assert least != targets[0]
    assert point.value == pytest.approx(explanation.probability)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kinds": ("erasure",)}, "unknown kind of curve 'erasure'"),
        ({"order": "backwards"}, "unknown order 'backwards'"),
        ({"steps": 0}, "steps=0 is out of range"),
        ({"baseline": "grey"}, "baseline='grey' is not one of zero, mean, blur, noise"),
        ({"colour": "red"}, "has no parameter 'colour'"),
    ],
)
def test_wrong_settings_are_named(arguments: dict[str, object], message: str) -> None:
    clf, images, maps, _ = scene(count=1)
    with pytest.raises(MetricError, match=message):
        next(curve_points(clf, images[0], {"map": maps[0]}, **arguments))


@pytest.mark.gpu
def test_the_gpu_draws_the_same_curve() -> None:
    cpu, images, maps, targets = scene(count=1)
    gpu = Classifier(cpu.module, input_size=cpu.input_size, default_layer=cpu.default_layer, device="cuda")
    one, other = (
        evaluate(clf, images[0], maps[0], metric="deletion-auc", target=targets[0], steps=64).extras["curve"]
        for clf in (cpu, gpu)
    )
    assert one == pytest.approx(other, abs=1e-3)
