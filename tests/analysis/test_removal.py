"""Which channels go, and what is said then: by hand on small numbers."""

from __future__ import annotations

import numpy as np
import torch

from cam_core.analysis.channels import channel_report
from cam_core.analysis.removal import removal_order, removal_report
from cam_core.shapley import Removal, channel_shap, remove_channels
from tests.tiny import tiny_classifier, tiny_images


def test_order_is_by_magnitude_on_the_wanted_side() -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)[0]
    report = channel_report(channel_shap(clf, image, layer="relu1", target=2, budget=40))
    for side, wanted in (("either", report.phi != 0), ("for", report.phi > 0), ("against", report.phi < 0)):
        order = removal_order(report, side)  # type: ignore[arg-type]
        assert sorted(order) == np.flatnonzero(wanted).tolist()
        assert (np.diff(np.abs(report.phi[order])) <= 0).all()
        assert removal_order(report, side, 2) == order[:2]  # type: ignore[arg-type]
    assert len(removal_order(report)) == report.channels - report.dead


def test_predicted_is_the_logit_less_what_went() -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)[0]
    estimate = channel_shap(clf, image, layer="relu1", target=2, budget=40)
    order = removal_order(channel_report(estimate))
    removal = remove_channels(clf, image, layer="relu1", target=2, order=order)
    report = removal_report(removal, estimate, clf.labels)
    by_hand = [
        estimate.v_all - sum(float(estimate.phi[channel]) for channel in order[:n]) for n in range(len(order) + 1)
    ]
    np.testing.assert_allclose(report.predicted, by_hand, atol=1e-9)
    np.testing.assert_array_equal(report.logit, removal.logit.numpy())
    np.testing.assert_array_equal(report.probability, removal.probability.numpy())


def test_of_a_target_of_several_classes_the_first_best_is_kept() -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)[0]
    estimate = channel_shap(clf, image, layer="relu1", target="1 - 3", budget=40)
    values, best = torch.tensor([5.0, 1.0, 0.0], dtype=torch.float64), torch.tensor([4, 2, 4])
    report = removal_report(Removal((0, 1), values, None, best), estimate, clf.labels)
    assert report.best == ("class 4", "class 2", "class 4") and report.kept == (True, False, True)
    assert report.probability is None


def test_the_best_class_has_its_label() -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)[0]
    estimate = channel_shap(clf, image, layer="relu1", target=2, budget=40)
    numbers = torch.tensor([5.0, 1.0], dtype=torch.float64)
    report = removal_report(Removal((0,), numbers, numbers / 10, torch.tensor([2, 4])), estimate, clf.labels)
    assert report.best == ("class 2", "class 4") and report.kept == (True, False)
