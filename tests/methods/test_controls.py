"""The controls: a map of noise and a map that fools average drop."""

from __future__ import annotations

import numpy as np

from cam_core import explain
from tests.tiny import tiny_classifier, tiny_images

CLF = tiny_classifier("plain")
IMAGE = tiny_images(1)[0]


def test_random_is_uniform_noise_that_the_seed_fixes() -> None:
    first, again, other = (
        explain(CLF, IMAGE, method="random", layer="features.1", seed=seed).map for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.4
    many = np.concatenate(
        [explain(CLF, IMAGE, method="random", layer="features.1", seed=seed).map for seed in range(50)]
    )
    assert many.min() >= 0 and many.max() <= 1
    assert abs(many.mean() - 1 / 2) < 0.03 and abs(many.var() - 1 / 12) < 0.01


def test_random_knows_neither_the_image_nor_the_class() -> None:
    one = explain(CLF, IMAGE, method="random", layer="features.1", target=1).map
    other = explain(CLF, -IMAGE, method="random", layer="features.1", target=2).map
    assert np.array_equal(one, other)


def test_fake_cam_is_one_everywhere_but_in_the_top_left_pixel() -> None:
    saliency = explain(CLF, IMAGE, method="fake-cam").saliency
    assert saliency[0, 0] == 0
    assert (saliency.ravel()[1:] == 1).all()
