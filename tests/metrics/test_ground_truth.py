"""Boxes: of the gallery, through the crop, in every form that a user may give them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cam_core.images import SAMPLES, Preprocessing, Sample
from cam_core.metrics.ground_truth import (
    SAMPLE_BOXES,
    Region,
    framed,
    mask_region,
    own_and_other,
    read_ground_truth,
    sample_regions,
)
from cam_core.metrics.samples import as_region
from cam_core.types import MetricError

PHOTOS = read_ground_truth()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.key)
def test_every_sample_has_boxes_within_the_photo(sample: Sample) -> None:
    photo = PHOTOS[sample.path.name]
    width, height = photo["size"]
    assert sample.open().size == (width, height)
    for region in photo["regions"]:
        for left, top, right, bottom in region["boxes"]:
            assert 0 <= left < right <= width and 0 <= top < bottom <= height
            assert (right - left) * (bottom - top) >= 1000 or "bison" in region["classes"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.key)
def test_the_most_probable_class_has_a_region_and_a_collage_two(sample: Sample) -> None:
    regions = framed(PHOTOS[sample.path.name], Preprocessing())
    own, other = own_and_other(regions, sample.predictions[0][0])
    assert own is not None
    assert (other is not None) == sample.collage
    if other is not None:
        assert not (own.mask & other.mask).any()
    # The area covers more than a dot, and one object leaves some background.
    assert 0.05 < own.mask.mean() <= 1


def test_regions_of_a_sample_by_its_name_are_in_whatever_frame_the_network_sees() -> None:
    preprocessing, sample = Preprocessing(), SAMPLES[0]
    whole = framed(PHOTOS[sample.path.name], preprocessing)
    box, size = preprocessing.box(sample.open().size), preprocessing.input_size
    assert [region.boxes for region in sample_regions(sample.key, box, size)] == [region.boxes for region in whole]
    # The dog's box is (30, 21, 709, 570): a frame from (30, 21) on, half as large as the input, doubles what it holds.
    (dog,) = sample_regions("dog", (30.0, 21.0, 130.0, 121.0), (200, 200))
    assert dog.boxes == ((0.0, 0.0, 200.0, 200.0),) and dog.mask.all()
    (dog,) = sample_regions("dog", (659.0, 520.0, 759.0, 620.0), (200, 200))
    assert dog.boxes == ((0.0, 0.0, 100.0, 100.0),) and dog.mask.mean() == 0.25
    assert sample_regions("dog", (709.0, 570.0, 809.0, 670.0), (200, 200)) == [], "beside the dog"
    assert sample_regions("no such photo", box, size) == []


def test_nothing_but_the_gallery_is_in_the_file() -> None:
    assert set(PHOTOS) == {sample.path.name for sample in SAMPLES}


@pytest.mark.parametrize("size", [(640, 480), (300, 451), (600, 200)])
def test_a_box_follows_the_photo_through_resizing_and_cropping(size: tuple[int, int]) -> None:
    """Painted on the photo, the box is seen by the network where the region says."""
    width, height = size
    box = (width * 0.3, height * 0.35, width * 0.62, height * 0.8)
    photo = Image.new("RGB", size)
    ImageDraw.Draw(photo).rectangle([box[0], box[1], box[2] - 1, box[3] - 1], fill=(255, 255, 255))
    preprocessing = Preprocessing()
    (region,) = framed({"size": size, "regions": [{"classes": ["box"], "boxes": [box]}]}, preprocessing)
    seen = np.asarray(preprocessing.frame(photo))[..., 0] > 127
    assert (seen & region.mask).sum() / (seen | region.mask).sum() > 0.97


def test_what_the_crop_leaves_nothing_of_is_left_out() -> None:
    photo = {"size": (800, 400), "regions": [{"classes": ["far left"], "boxes": [[0, 0, 50, 400]]}]}
    assert framed(photo, Preprocessing()) == []


def test_boxes_are_cut_to_the_image() -> None:
    region = Region.from_boxes([[-3, 1, 2.6, 9]], (4, 4))
    assert region.boxes == ((0, 1, 2.6, 4),)
    assert region.mask.tolist() == [[False] * 4] + [[True, True, True, False]] * 3


def test_a_mask_has_a_box_around_each_connected_part() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[3, 3] = True
    assert Region.from_mask(mask).boxes == ((0, 0, 2, 2), (3, 3, 4, 4))


def test_a_mask_is_seen_through_the_networks_frame() -> None:
    mask = np.zeros((4, 6), dtype=bool)
    mask[1:3, 2:4] = True
    whole = mask_region(mask, (0, 0, 6, 4), (8, 12), ["it"])
    np.testing.assert_array_equal(whole.mask, mask.repeat(2, 0).repeat(2, 1))
    assert whole.classes == ("it",) and whole.boxes == ((4, 2, 8, 6),)
    middle = mask_region(mask, (1, 0, 5, 4), (4, 4), ["it"])
    np.testing.assert_array_equal(middle.mask, mask[:, 1:5])
    padded = mask_region(np.ones((2, 4)), (0, -1, 4, 3), (4, 4), ["it"])
    assert padded.mask.tolist() == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]
    with pytest.raises(MetricError, match="somewhere true"):
        mask_region(mask, (0, 0, 2, 1), (4, 4), ["it"])


def test_one_box_needs_no_second_bracket() -> None:
    region = as_region([0, 0, 2, 2], (4, 4))
    assert region is not None and region.mask.sum() == 4


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ([[2, 0, 1, 3]], "left < right"),
        ([[0, 0, 1]], "left, top, right, bottom"),
        ([[0, 0, 1, float("nan")]], "left, top, right, bottom"),
        ([[7, 7, 9, 9]], "no pixel of the 4 × 4 input"),
        (np.zeros((4, 4), dtype=bool), "somewhere true"),
        (np.ones((5, 5), dtype=bool), r"\(5, 5\)"),
    ],
)
def test_what_is_no_ground_truth_is_refused(truth: object, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        as_region(truth, (4, 4))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"photos": {"a.jpg": {"size": [1]}}}', '{"photos": 3}'])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(text)
    with pytest.raises(MetricError, match="is not a file of boxes"):
        read_ground_truth(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"cannot read the ground truth .*none\.json"):
        read_ground_truth(tmp_path / "none.json")


def test_the_file_is_plain_json() -> None:
    assert json.loads(SAMPLE_BOXES.read_text(encoding="utf-8"))["about"]
