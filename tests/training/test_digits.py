"""The built-in set: the same again by seed, nothing shared between the splits, masks that lie on the digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from cam_core.training import DigitsSet, TrainingError, open_data
from cam_core.training.digits import (
    CLASSES,
    _all_digits,
    _composed,
    gallery_digits,
    gallery_masks,
    split_digits,
    split_photos,
)

COUNT = 150  # more than one chunk


def test_the_same_seed_gives_the_same_images() -> None:
    first = DigitsSet("train", seed=3, count=COUNT)
    _composed.cache_clear()
    again = DigitsSet("train", seed=3, count=COUNT)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.images, DigitsSet("train", seed=4, count=COUNT).images)


def test_shapes_types_and_that_nobody_changes_what_all_share() -> None:
    found = DigitsSet("held-out", size=48, count=COUNT)
    assert found.images.shape == (COUNT, 3, 48, 48) and found.images.dtype == np.uint8
    assert found.masks is not None and found.masks.shape == (COUNT, 48, 48) and found.masks.dtype == bool
    assert found.labels.shape == (COUNT,) and found.labels.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        found.images[0] = 0


@pytest.mark.parametrize("seed", [0, 1])
def test_splits_share_neither_digits_nor_photos(seed: int) -> None:
    train, held_out = split_digits(seed, "train"), split_digits(seed, "held-out")
    assert len(train) == 4000 and len(held_out) == 1000
    assert len(set(train) | set(held_out)) == 5000
    digits, labels = _all_digits()
    assert np.bincount(labels[held_out]).tolist() == [100] * 10
    seen = {digits[index].tobytes() for index in train}
    assert not any(digits[index].tobytes() in seen for index in held_out)
    photos, others = split_photos(seed, "train"), split_photos(seed, "held-out")
    assert len(photos) > len(others) > 5
    assert not set(photos) & set(others)


def test_no_photo_is_a_collage_of_others() -> None:
    assert not [name for name in (*split_photos(0, "train"), *split_photos(0, "held-out")) if "pair_" in name]


def test_digits_stand_out_inside_their_masks_and_only_there() -> None:
    """A pixel of the mask has the digit's colour rather than that of the ring around it, which no clutter enters."""
    found = DigitsSet("held-out", count=COUNT)
    assert found.masks is not None
    area = found.masks.mean((1, 2))
    assert (area > 0.005).all() and (area < 0.35).all()
    told_apart, contrast = [], []
    for image, mask in zip(found.images / 255, found.masks, strict=True):
        ring = binary_dilation(mask, iterations=3) & ~binary_dilation(mask, iterations=1)
        inside, around = image[:, mask], image[:, ring]
        colour, background = np.median(inside, 1, keepdims=True), np.median(around, 1, keepdims=True)
        to_digit, to_ring = (np.linalg.norm(inside - other, axis=0) for other in (colour, background))
        told_apart.append((to_digit < to_ring).mean())
        contrast.append(np.linalg.norm(colour - background))
    assert np.mean(told_apart) > 0.97
    assert np.min(contrast) > 0.2


def test_labels_name_the_digit_that_was_pasted() -> None:
    _, labels = _all_digits()
    found = DigitsSet("train", seed=0, count=COUNT)
    assert np.array_equal(found.labels, labels[split_digits(0, "train")[:COUNT]])


def test_more_images_than_digits_use_a_digit_again_elsewhere() -> None:
    found = DigitsSet("held-out", size=32, count=1010)
    assert np.array_equal(found.labels[1000:], found.labels[:10])
    assert not np.array_equal(found.images[1000:], found.images[:10])


def test_photos_that_are_missing_are_not_missed_in_the_count() -> None:
    data = open_data("digits", count=COUNT)
    assert len(data.train) == COUNT and len(data.held_out) == 1000
    assert data.size == 64 and not data.flip
    assert len(data.previews) == 8 and len(set(data.previews.labels)) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "test"}, "split='test'"),
        ({"size": 8}, "size=8"),
        ({"count": 0}, "count=0"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        DigitsSet(**arguments)  # type: ignore[arg-type]


def test_the_gallery_has_one_held_out_image_of_each_class() -> None:
    held_out, gallery, masks = DigitsSet("held-out"), gallery_digits(), gallery_masks()
    assert list(gallery) == list(CLASSES)
    for label, name in enumerate(CLASSES):
        (place,) = np.flatnonzero(held_out.labels == label)[:1]
        assert np.array_equal(np.asarray(gallery[name]), held_out.images[place].transpose(1, 2, 0))
        assert np.array_equal(masks[name], held_out.masks[place])
