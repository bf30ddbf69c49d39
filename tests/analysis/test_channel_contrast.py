"""The channels that tell two classes apart: exact values by the formula, estimates by linearity."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch

from cam_core.analysis.channel_contrast import ChannelContrast, channel_contrast, contrast_csv, contrast_table
from cam_core.shapley import channel_shap
from cam_core.targets import Difference
from cam_core.types import TargetError
from tests.tiny import tiny_classifier, tiny_images


def report(key: str = "plain", layer: str = "features.3", a: int = 1, b: int = 4, budget: int = 40) -> ChannelContrast:
    clf, image = tiny_classifier(key), tiny_images(1)[0]
    return channel_contrast(
        *(channel_shap(clf, image, layer=layer, target=t, budget=budget, seed=2) for t in (a, b, Difference(a, b)))
    )


def test_before_pooling_and_a_linear_layer_they_are_weight_times_mean_activation() -> None:
    """φ_k of y_a − y_b = (w_ak − w_bk) · mean A_k."""
    module = tiny_classifier("plain").module
    with torch.no_grad():
        means = module.features(tiny_images(1))[0].double().mean(dim=(1, 2)).numpy()
    weights = module.fc.weight.detach().double().numpy()
    told = report()
    np.testing.assert_allclose(told.phi_a, weights[1] * means, atol=1e-6)
    np.testing.assert_allclose(told.phi_b, weights[4] * means, atol=1e-6)
    expected = (weights[1] - weights[4]) * means
    np.testing.assert_allclose(told.phi, expected, atol=1e-6)
    live = [k for k in np.argsort(-np.abs(expected), kind="stable") if means[k] != 0]
    assert list(told.order) == live
    assert told.favouring("a") == [k for k in live if expected[k] > 0]
    assert told.favouring("b") == [k for k in live if expected[k] < 0]
    assert told.exact and told.converged and not told.stderr.any()
    assert told.span == pytest.approx(expected.sum(), abs=1e-5)
    assert told.extent == pytest.approx(np.abs([weights[1] * means, weights[4] * means]).max(), abs=1e-6)
    assert told.labels == ("class 1", "class 4") and told.activations.shape == (8, 4, 4)


def test_an_estimate_of_the_difference_is_the_difference_of_the_estimates() -> None:
    """Same seed, same coalitions, and SHAP values are linear in what is explained."""
    told = report("residual", "relu1")
    assert not told.exact and np.isfinite(told.stderr).all() and told.stderr.any()
    np.testing.assert_allclose(told.phi, told.phi_a - told.phi_b, atol=1e-5)
    assert told.estimator == "owen" and told.budget == 40 and told.passes == 120


def test_swapped_they_change_sides() -> None:
    one, other = report(), report(a=4, b=1)
    assert one.favouring("a") == other.favouring("b") and one.labels == other.labels[::-1]


def test_a_class_has_no_channel_against_itself() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)[0]
    one = channel_shap(clf, image, layer="features.3", target=1)
    with pytest.raises(TargetError, match="the same class"):
        channel_contrast(one, one, one)


def test_the_table_has_a_row_for_each_live_channel_and_its_csv_reads_back() -> None:
    told = report()
    names, rows = contrast_table(told)
    assert names == [
        "rank",
        "channel",
        "phi class 1 - class 4",
        "stderr",
        "phi class 1",
        "phi class 4",
        "mean activation",
    ]
    assert [row[1] for row in rows] == list(told.order) and [row[0] for row in rows] == list(range(1, len(rows) + 1))
    read = list(csv.DictReader(io.StringIO(contrast_csv(told).decode())))
    for row, channel in zip(read, told.order, strict=True):
        assert float(row["phi class 1"]) - float(row["phi class 4"]) == pytest.approx(told.phi[channel], abs=1e-6)
