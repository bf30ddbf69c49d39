"""A letterbox: all of the photo, in the middle of the mean colour; and its padding is nobody's picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cam_core import Classifier, evaluate, evaluate_batch, explain
from cam_core.analysis.comparison import comparison_report, drawn_maps
from cam_core.figures import Row, heatmap_figure
from cam_core.images import Preprocessing
from cam_core.metrics.curves.frames import Film
from cam_core.metrics.curves.points import add_point, curve_points
from cam_core.metrics.ground_truth import framed
from cam_core.overlay import close_up, display_values
from cam_core.types import Explanation, ModelError
from tests.tiny import tiny

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
WIDE = (120, 30)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def letterbox(input_size: tuple[int, int]) -> Preprocessing:
    return Preprocessing(input_size, mean=MEAN, std=STD, fit="letterbox")


def classifier(resize: Any = "letterbox", size: tuple[int, int] = (32, 32)) -> Classifier:
    return Classifier(tiny("plain"), input_size=size, mean=MEAN, std=STD, resize=resize, device="cpu")


# What the network sees


@pytest.mark.parametrize(
    ("size", "input_size", "picture"),
    [
        ((1200, 90), (224, 224), (0, 103, 224, 120)),
        ((90, 1200), (224, 224), (103, 0, 120, 224)),
        ((120, 30), (32, 32), (0, 12, 32, 20)),
        ((64, 64), (32, 48), (8, 0, 40, 32)),
        ((48, 32), (32, 48), (0, 0, 48, 32)),
        ((16, 8), (32, 48), (0, 4, 48, 28)),
    ],
    ids=str,
)
def test_the_whole_photo_lies_in_the_middle_of_the_mean_colour_by_hand(
    size: tuple[int, int], input_size: tuple[int, int], picture: tuple[int, int, int, int]
) -> None:
    ours = letterbox(input_size)
    assert ours.picture(size) == picture
    tensor = ours.tensor(noise(*size))
    left, top, right, bottom = picture
    inside = torch.zeros(input_size, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    assert tensor.shape == (3, *input_size) and (tensor[:, ~inside] == 0).all()
    scaled = np.asarray(noise(*size).resize((right - left, bottom - top), Image.Resampling.BILINEAR)).astype(np.float64)
    expected = (scaled / 255 - MEAN) / STD
    np.testing.assert_allclose(tensor[:, top:bottom, left:right], expected.transpose(2, 0, 1), atol=1e-5)
    frame = np.asarray(ours.frame(noise(*size)))
    assert (frame[~inside.numpy()] == np.rint(np.array(MEAN) * 255)).all()
    assert (frame[top:bottom, left:right] == scaled).all()


def test_stretched_to_all_of_the_input() -> None:
    ours = Preprocessing((40, 24), mean=MEAN, std=STD, fit="stretch")
    expected = np.asarray(noise(*WIDE).resize((24, 40), Image.Resampling.BILINEAR)).astype(np.float64) / 255
    np.testing.assert_allclose(ours.tensor(noise(*WIDE)), ((expected - MEAN) / STD).transpose(2, 0, 1), atol=1e-5)
    assert ours.box(WIDE) == (0, 0, 120, 30) and ours.picture(WIDE) == (0, 0, 24, 40)


def test_the_box_reaches_beyond_the_photo_and_what_is_shown_does_not() -> None:
    ours = letterbox((32, 32))
    assert ours.box((120, 30)) == (0, -45, 120, 75)
    assert ours.shown((120, 30)) == (0, 0, 120, 30)
    assert Preprocessing().shown((512, 512)) == Preprocessing().box((512, 512))


def test_grey_of_16_bits_is_letterboxed_too() -> None:
    values = np.arange(16 * 32, dtype=np.uint16).reshape(16, 32)
    ours = Preprocessing((32, 32), mean=(0.5,), std=(0.5,), fit="letterbox")
    tensor = ours.tensor(Image.fromarray(values))
    np.testing.assert_allclose(tensor[0, 8:24], (values / 65535 - 0.5) / 0.5, atol=1e-6)
    assert (tensor[0, :8] == 0).all() and (tensor[0, 24:] == 0).all()


def test_another_fit_is_refused_by_its_name() -> None:
    with pytest.raises(ModelError, match="resize 'squash' is not one of crop, letterbox, stretch"):
        classifier(resize="squash")


def test_a_classifier_is_fitted_another_way_and_shares_its_network() -> None:
    clf = classifier("crop")
    other = clf.refitted("letterbox")
    assert other is clf.refitted("letterbox") and clf.refitted("crop") is clf
    assert clf.preprocessing.fit == "crop" and other.preprocessing.fit == "letterbox"
    assert other.split(None).halves is clf.split(None).halves
    direct = classifier().logits(classifier().as_batch(noise(*WIDE)))
    torch.testing.assert_close(other.logits(other.as_batch(noise(*WIDE))), direct)
    assert (clf.picture(noise(*WIDE)), other.picture(noise(*WIDE))) == (None, (0, 12, 32, 20))
    assert other.picture(other.preprocess(noise(*WIDE))) is None


# The map


def spread(raw: np.ndarray, size: int) -> np.ndarray:
    """Bilinear with pixel centres at halves, one number at a time."""
    count = len(raw)
    places = [min(max((i + 0.5) * count / size - 0.5, 0), count - 1) for i in range(size)]
    result = np.zeros((size, size))
    for i, y in enumerate(places):
        for j, x in enumerate(places):
            top, left = min(int(y), count - 2), min(int(x), count - 2)
            down, across = y - top, x - left
            result[i, j] = (
                raw[top, left] * (1 - down) * (1 - across) + raw[top, left + 1] * (1 - down) * across
                + raw[top + 1, left] * down * (1 - across) + raw[top + 1, left + 1] * down * across
            )  # fmt: skip
    return result


def test_the_saliency_is_of_the_photo_alone() -> None:
    """ReLU, bilinear, then min-max over the photo's rows, and 0 in the padding; by hand."""
    explanation = explain(classifier(), noise(*WIDE), method="grad-cam")
    assert explanation.picture == (0, 12, 32, 20)
    values = spread(explanation.map.clip(min=0).astype(np.float64), 32)[12:20]
    expected = np.zeros((32, 32))
    expected[12:20] = (values - values.min()) / (values.max() - values.min())
    np.testing.assert_allclose(explanation.saliency, expected, atol=1e-5)
    again = Explanation.from_dict(explanation.to_dict())
    assert again.picture == explanation.picture and again.part == (0, 0.375, 1, 0.625)
    assert explain(classifier("stretch"), noise(*WIDE), method="grad-cam").picture is None


def test_a_map_is_drawn_over_the_photo_as_the_network_has_it_there() -> None:
    """At the input's own resolution: the rows of the photo, none of the padding, and its scale is theirs."""
    explanation = explain(classifier(), noise(*WIDE), method="grad-cam")
    (drawn,) = drawn_maps([explanation], (8, 32), signed=True)
    rows = spread(explanation.map.astype(np.float64), 32)[12:20]
    np.testing.assert_allclose(drawn.values, rows, atol=1e-5)
    assert drawn.largest == pytest.approx(np.abs(rows).max(), abs=1e-5)


def made(raw: np.ndarray) -> Explanation:
    """A map of 8 × 8 over 32 × 32 pixels, of which rows 12 to 20 show the photo: rows 3 and 4 of the map."""
    plane = np.zeros((32, 32), dtype=np.float32)
    return Explanation(
        "grad-cam", "tiny", "conv", 0, "cat", 1.0, 0.5, raw.astype(np.float32), plane, picture=(0, 12, 32, 20)
    )


def test_maps_agree_or_not_over_the_photo_alone() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 8, 8))
    second[3:5] = 2 * first[3:5] + 1
    report = comparison_report([made(first), made(second)], (), 0)
    assert report.agreement is not None and report.agreement[0, 1] == pytest.approx(1, abs=1e-6)
    second[3:5] = -first[3:5]
    report = comparison_report([made(first), made(second)], (), 0)
    assert report.agreement is not None and report.agreement[0, 1] == pytest.approx(-1, abs=1e-6)


def test_a_map_that_is_empty_over_the_photo_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shines in the padding alone, well away from the photo's rows."""
    raw = torch.zeros(1, 4, 4)
    raw[:, 0] = 1
    monkeypatch.setattr("cam_core.maps.weighted_sum", lambda *_: raw)
    explanation = explain(classifier(), noise(*WIDE), method="grad-cam")
    assert not explanation.saliency.any()
    assert any("Over the photo, without the padding around it" in warning for warning in explanation.warnings)


@pytest.mark.parametrize("size", [(1200, 90), (90, 1200), (500, 333), (333, 500)], ids=str)
def test_a_point_of_the_map_lies_on_its_point_of_the_photo(size: tuple[int, int]) -> None:
    """A ramp along the photo's longer side, as a map and as a photo, is the same ramp when drawn."""
    ours = letterbox((224, 224))
    frame = close_up(noise(*size), ours.shown(size), 448)
    assert frame.size == pytest.approx([length * 448 / max(size) for length in size], abs=0.51)
    left, top, right, bottom = ours.picture(size)
    part = (left / 224, top / 224, right / 224, bottom / 224)
    rows, columns = np.mgrid[0:224, 0:224].astype(np.float32) + 0.5
    for places, ends, axis in ((columns, (left, right), 1), (rows, (top, bottom), 0)):
        drawn = display_values(places, (frame.height, frame.width), signed=True, part=part)
        count = drawn.shape[axis]
        expected = ends[0] + (np.arange(count) + 0.5) / count * (ends[1] - ends[0])
        line = drawn.mean(axis=1 - axis)
        assert np.abs(line - expected).max() <= 1.01, "half a pixel of the photo's, and rounding"


def test_a_figure_shows_the_photo_without_its_padding() -> None:
    clf, photo = classifier(), Image.new("RGB", WIDE, "white")
    explanation = explain(clf, photo, method="grad-cam")
    frame = close_up(photo, clf.preprocessing.shown(photo.size), 240)
    figure = heatmap_figure([Row(frame, [explanation])])
    photo_axes = figure.axes[0].get_position()
    width, height = figure.get_size_inches()
    assert photo_axes.width * width / (photo_axes.height * height) == pytest.approx(4, rel=1e-6)


def test_boxes_of_the_ground_truth_go_where_their_object_goes() -> None:
    entry = {"size": [120, 30], "regions": [{"classes": ["cat"], "boxes": [[60, 0, 120, 30]]}]}
    (region,) = framed(entry, letterbox((32, 32)))
    assert region.boxes == ((16, 12, 32, 20),)
    expected = np.zeros((32, 32), dtype=bool)
    expected[12:20, 16:32] = True
    assert (region.mask == expected).all()


# Measured


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur", "noise"])
@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_curves_change_the_photos_pixels_alone_by_a_literal_loop(kind: Any, baseline: Any) -> None:
    clf, photo = classifier(), noise(*WIDE)
    explanation = explain(clf, photo, method="grad-cam", target=1)
    film = Film(clf, photo, {"m": explanation}, kinds=(kind,), baseline=baseline)
    way = film._ways["m", kind]
    x = clf.preprocess(photo)
    assert way.pixels == 8 * 32
    start, end = way.picture(0), way.picture(1)
    assert torch.equal(start if kind == "deletion" else end, x)
    replaced = end if kind == "deletion" else start
    assert torch.equal(replaced[:, :12], x[:, :12]) and torch.equal(replaced[:, 20:], x[:, 20:])
    if baseline == "mean":
        torch.testing.assert_close(replaced[:, 12:20], x[:, 12:20].mean((1, 2), keepdim=True).expand(3, 8, 32))
    rows = explanation.saliency[12:20]
    order = sorted((-float(rows[i, j]), i, j) for i in range(8) for j in range(32))
    picture, scores = start.clone(), []
    for number in range(len(order) + 1):
        if number % 64 == 0:
            assert torch.equal(way.picture(number / 256), picture)
            with torch.no_grad():
                scores.append(float(clf.module(picture[None]).double().softmax(1)[0, 1]))
        if number < len(order):
            _, i, j = order[number]
            picture[:, 12 + i, j] = end[:, 12 + i, j]
    points: Any = {}
    for point in curve_points(clf, photo, {"m": explanation}, kinds=(kind,), steps=4, baseline=baseline):
        add_point(points, point)
    np.testing.assert_allclose(points["m", kind].values, scores, atol=1e-5)
    metric = evaluate(clf, photo, explanation, metric=f"{kind}-auc", steps=4, baseline=baseline)
    assert metric.value == pytest.approx(np.trapezoid(scores, dx=0.25), abs=1e-5)
    assert film.at(0.5)["m", kind].photo.size == (32, 8)


def test_photos_of_other_shapes_are_measured_each_as_if_alone() -> None:
    clf = classifier()
    photos = [noise(*WIDE), noise(30, 90, 1), noise(40, 40, 2)]
    explanations = [explain(clf, photo, method="grad-cam", target=1) for photo in photos]
    together = evaluate_batch(clf, photos, explanations, metric="deletion-auc", steps=5)
    for photo, explanation, result in zip(photos, explanations, together, strict=True):
        alone = evaluate(clf, photo, explanation, metric="deletion-auc", steps=5)
        assert result.value == pytest.approx(alone.value, abs=1e-6)


def test_a_map_that_shines_in_the_padding_points_into_the_photo_alone() -> None:
    saliency = np.zeros((32, 32))
    saliency[:12], saliency[14, 20] = 1, 0.5
    region = np.zeros((32, 32), dtype=bool)
    region[12:20, 16:32] = True
    clf, photo = classifier(), noise(*WIDE)
    measured = {
        key: evaluate(clf, photo, saliency, metric=key, region=region, target=0) for key in ("ebpg", "pointing-game")
    }
    assert measured["ebpg"].value == 1 and measured["ebpg"].extras["area"] == 0.5
    assert measured["pointing-game"].value == 1


@pytest.mark.parametrize("options", [{}, {"keep_top": 0.25, "mask": "binary"}, {"mask_space": "pixel"}], ids=str)
def test_masks_lie_over_the_photo_and_leave_the_padding_as_it_is(options: dict[str, Any]) -> None:
    """Pixel by pixel, whatever hides a pixel."""
    clf, photo = classifier(), noise(*WIDE)
    explanation = explain(clf, photo, method="grad-cam", target=1)
    x = clf.preprocess(photo)
    mask = explanation.saliency[12:20].astype(np.float64)
    if "keep_top" in options:
        order = sorted((-mask[i, j], i, j) for i in range(8) for j in range(32))
        kept = {(i, j) for _, i, j in order[:64]}
        mask = np.array([[float((i, j) in kept) for j in range(32)] for i in range(8)])
    black = np.zeros(3) if "mask_space" not in options else -np.array(MEAN) / STD
    only, without = x.clone(), x.clone()
    for i in range(8):
        for j in range(32):
            for channel in range(3):
                value, m, fill = float(x[channel, 12 + i, j]), mask[i, j], black[channel]
                only[channel, 12 + i, j] = m * value + (1 - m) * fill
                without[channel, 12 + i, j] = (1 - m) * value + m * fill
    with torch.no_grad():
        y, o, d = clf.module(torch.stack([x, only, without])).double().softmax(1)[:, 1].tolist()
    measured = {
        key: evaluate(clf, photo, explanation, metric=key, target=1, **options).extras
        for key in ("average-drop", "average-drop-in-deletion")
    }
    assert float(measured["average-drop"]["before"]) == pytest.approx(y, abs=1e-6)
    assert float(measured["average-drop"]["after"]) == pytest.approx(o, abs=1e-6)
    assert float(measured["average-drop-in-deletion"]["after"]) == pytest.approx(d, abs=1e-6)


def test_what_is_counted_over_pixels_is_counted_over_the_photos() -> None:
    clf, photo = classifier(), noise(*WIDE)
    explanation = explain(clf, photo, method="grad-cam", target=1)
    rows = explanation.saliency[12:20].astype(np.float64)
    assert evaluate(clf, photo, explanation, metric="complexity").value == pytest.approx(rows.mean(), abs=1e-9)
    pairs = np.abs(rows.reshape(-1, 1) - rows.reshape(1, -1)).sum()
    gini = pairs / (2 * rows.size**2 * rows.mean())
    assert evaluate(clf, photo, explanation, metric="sparseness").value == pytest.approx(gini, abs=1e-9)
