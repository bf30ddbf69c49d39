"""What is said of channels beside their Shapley values: by hand on small numbers."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pytest
import torch

from cam_core import explain
from cam_core.analysis.channels import (
    channel_csv,
    channel_fidelity,
    channel_report,
    channel_table,
    contributions,
    convergence,
    largest,
    ranks,
    unit_norm,
    waterfall,
)
from cam_core.palette import REFERENCE
from cam_core.shapley import ChannelEstimate, channel_shap, stream_channel_shap
from tests.tiny import tiny_classifier, tiny_images


def estimate(phi: list[float], **changes: Any) -> ChannelEstimate:
    """Means of the channels are 1, 2, 3 …; a channel without φ is dead."""
    values = torch.tensor(phi, dtype=torch.float64)
    acts = torch.arange(1.0, len(phi) + 1).view(1, -1, 1, 1).expand(1, -1, 2, 2) * (values != 0).view(1, -1, 1, 1)
    facts: dict[str, Any] = {
        "name": "owen",
        "phi": values,
        "stderr": torch.full_like(values, 0.1),
        "passes": 64,
        "exact": False,
        "v_all": 5.0,
        "v_empty": 1.0,
        "dead": int((values == 0).sum()),
        "repetitions": 31,
        "model": "tiny",
        "layer": "conv",
        "target": 3,
        "label": "cat",
        "score": 5.0,
        "probability": 0.5,
        "activations": acts,
        "budget": 64,
        "seed": 0,
    }
    return ChannelEstimate(**(facts | changes))


def test_order_and_ranks_go_by_magnitude() -> None:
    values = [0.5, -2.0, 0.0, 1.0, -1.0]
    assert largest(values, 3) == [1, 3, 4]
    assert largest(values, 9) == [1, 3, 4, 0, 2]
    assert ranks(values).tolist() == [4, 1, 5, 2, 3]


def test_unit_norm_and_zero() -> None:
    assert unit_norm([3.0, -4.0]).tolist() == pytest.approx([0.6, -0.8])
    assert unit_norm([0.0, 0.0]).tolist() == [0, 0]


def test_contributions_are_times_the_mean_activation() -> None:
    found = estimate([1.0, 1.0, 0.0])
    assert contributions([5.0, -1.0, 7.0], found).tolist() == [5.0, -2.0, 0.0]


def test_similarity_of_live_channels_in_both_readings() -> None:
    found = channel_fidelity([2.0, 1.0, 99.0], estimate([2.0, 2.0, 0.0]))
    assert found.contributions.cosine == pytest.approx(1)
    assert found.coefficients.cosine == pytest.approx(6 / math.sqrt(5 * 8))


def test_waterfall_goes_from_nothing_to_the_logit() -> None:
    """φ sums to 3.5 of the 4 between v(∅) = 1 and v(all) = 5: the gap of half a logit is a step of its own."""
    steps = waterfall(channel_report(estimate([0.5, -1.0, 3.0, 1.0, 0.0])), 2)
    assert [(step.label, step.channel) for step in steps] == [
        ("channel 2", 2), ("channel 1", 1), ("the other 2", None), ("unexplained", None),
    ]  # fmt: skip
    assert [step.change for step in steps] == pytest.approx([3.0, -1.0, 1.5, 0.5])
    assert [step.start for step in steps] == pytest.approx([1.0, 4.0, 3.0, 4.5])
    assert steps[-1].start + steps[-1].change == pytest.approx(5.0)


def test_waterfall_of_all_channels_has_no_others_and_if_exact_no_gap() -> None:
    steps = waterfall(channel_report(estimate([3.0, 1.0, 0.0], exact=True)), 9)
    assert [step.label for step in steps] == ["channel 0", "channel 1"]
    assert steps[-1].start + steps[-1].change == pytest.approx(5.0)


def test_convergence_ends_at_the_last_estimate() -> None:
    clf = tiny_classifier("residual")
    trail = list(stream_channel_shap(clf, tiny_images(1)[0], layer="relu1", estimator="permutation", budget=80))
    points = convergence(trail)
    assert [point.passes for point in points] == [one.passes for one in trail] and len(points) > 2
    assert points[-1].cosine == pytest.approx(1) and points[0].cosine < 1
    assert points[0].noise == math.inf and math.isfinite(points[-1].noise)


def test_table_has_every_channel_once_and_methods_in_their_own_units() -> None:
    beside = {"LIFT-CAM": np.array([7.0, 8.0, 9.0])}
    columns, rows = channel_table(channel_report(estimate([0.5, -1.0, 0.0]), beside))
    assert columns == ["rank", "channel", "phi", "stderr", "mean activation", "LIFT-CAM"]
    assert [row[:3] for row in rows] == [[1, 1, -1.0], [2, 0, 0.5], [3, 2, 0.0]]
    assert [row[5] for row in rows] == [8.0, 7.0, 9.0]


def test_csv_reads_back_and_unknown_errors_are_empty() -> None:
    report = channel_report(estimate([0.5, -1.0], stderr=torch.full((2,), math.inf)), {"a, b": [1.0, 2.0]})
    rows = list(csv.DictReader(io.StringIO(channel_csv(report).decode())))
    assert [row["channel"] for row in rows] == ["1", "0"]
    assert [float(row["phi"]) for row in rows] == [-1.0, 0.5]
    assert rows[0]["stderr"] == "" and rows[0]["a, b"] == "2.0"


def test_report_of_the_channels_by_hand() -> None:
    """φ = (3, −4, 0) has length 5; means are (1, 2, 0), so α · mean A of (6, 0, 9) is (6, 0, 0)."""
    report = channel_report(estimate([3.0, -4.0, 0.0]), {"cam": [3.0, -4.0, 9.0], "grad-cam": [6.0, 0.0, 9.0]})
    assert (report.model, report.layer, report.target, report.label) == ("tiny", "conv", 3, "cat")
    assert (report.estimator, report.budget, report.passes, report.exact) == ("owen", 64, 64, False)
    assert report.order == (1, 0, 2) and report.channels == 3 and report.dead == 1
    assert report.live.tolist() == [True, True, False]
    assert report.phi.tolist() == [3.0, -4.0, 0.0] and report.stderr.tolist() == pytest.approx([0.1] * 3)
    assert report.mean_activation.tolist() == [1.0, 2.0, 0.0]
    assert report.activations.shape == (3, 2, 2) and (report.activations[1] == 2).all()
    assert (report.span, report.phi_sum, report.gap) == pytest.approx((4.0, -1.0, -5.0))
    assert report.relative_gap == pytest.approx(1.25)
    noise = math.sqrt(3) * 0.1 / 5
    assert report.noise == pytest.approx(noise) and not report.converged, "the gap is too large"
    assert report.ceiling == pytest.approx(math.sqrt(1 - noise**2))
    assert report.shap.ranks.tolist() == [2, 1, 3]
    assert report.shap.unit.tolist() == pytest.approx([0.6, -0.8, 0.0])
    cam, grad_cam = report.methods["coefficients"]
    assert (cam.name, grad_cam.name) == ("cam", "grad-cam")
    assert grad_cam.values.tolist() == [6.0, 0.0, 9.0] and grad_cam.ranks.tolist() == [2, 3, 1]
    assert grad_cam.unit.tolist() == pytest.approx([6 / math.sqrt(117), 0.0, 9 / math.sqrt(117)])
    assert grad_cam.similarity.cosine == pytest.approx(3 / 5)
    assert cam.similarity.cosine == pytest.approx(1) and (cam.best, grad_cam.best) == (True, False)
    cam, grad_cam = report.methods["contributions"]
    assert grad_cam.values.tolist() == [6.0, 0.0, 0.0] and grad_cam.ranks.tolist() == [1, 2, 3]
    assert cam.values.tolist() == [3.0, -8.0, 0.0]
    assert cam.similarity.cosine == pytest.approx((9 + 32) / (5 * math.sqrt(73)))
    scaled = report.scaled([1, 0], "contributions")
    assert list(scaled) == [REFERENCE, "cam", "grad-cam"]
    assert scaled[REFERENCE].tolist() == pytest.approx([-0.8, 0.6]) and scaled["grad-cam"].tolist() == [0.0, 1.0]


def test_the_closest_method_is_first_and_best_only_among_several() -> None:
    found = estimate([3.0, -4.0])
    report = channel_report(found, {"grad-cam": [1.0, 0.0], "cam": [3.0, -4.0]})
    assert [said.name for said in report.closest("coefficients")] == ["cam", "grad-cam"]
    assert [said.best for said in report.closest("coefficients")] == [True, False]
    (alone,) = channel_report(found, {"cam": [3.0, -4.0]}).closest("coefficients")
    assert not alone.best
    assert (
        channel_report(found).closest("coefficients") == [] and channel_report(found).scaled([0], "coefficients") == {}
    )


def test_a_ceiling_is_unknown_while_errors_are() -> None:
    growing = estimate([3.0, -4.0], stderr=torch.full((2,), math.inf, dtype=torch.float64))
    assert channel_report(growing).ceiling is None and channel_report(growing).noise == math.inf
    assert [point.passes for point in channel_report(growing).convergence] == [64]


def test_dead_channels_and_means_of_a_real_layer() -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)[0]
    found = channel_shap(clf, image, layer="relu1", budget=16)
    acts = clf.split("relu1").head(image[None])[0]
    torch.testing.assert_close(found.mean_activation, acts.mean((1, 2)))
    assert found.live.tolist() == [bool(channel.any()) for channel in acts]
    assert int((~found.live).sum()) == found.dead


def test_linear_tail_makes_grad_cams_contributions_the_shap_values() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)[0]
    found = channel_shap(clf, image, layer="features.3", target=1)
    alpha = explain(clf, image, method="grad-cam", layer="features.3", target=1).coefficients
    assert alpha is not None
    assert channel_fidelity(alpha, found).contributions.cosine == pytest.approx(1, abs=1e-6)


def test_methods_that_are_written_alike_are_equally_close() -> None:
    """Cosines 0.99996 and 0.99992 are both written 1.000: neither is best of these two, and both are beside a third."""
    truth = estimate([3.0, -4.0])
    near, nearly = np.array([3.04, -4.0]), np.array([3.06, -4.0])
    two = channel_report(truth, {"grad-cam": near, "cam": nearly})
    assert [said.best for said in two.methods["coefficients"]] == [False, False]
    three = channel_report(truth, {"grad-cam": near, "cam": nearly, "lift-cam": np.array([1.0, 0.0])})
    assert [said.best for said in three.methods["coefficients"]] == [True, True, False]


def test_the_csv_of_an_untrained_network_names_it() -> None:
    assert b"network" not in channel_csv(channel_report(estimate([1.0, 2.0])))
    header, *rows = channel_csv(channel_report(estimate([1.0, 2.0], trained=False))).decode().splitlines()
    assert header.endswith(",network") and all(row.endswith(",tiny") for row in rows)


def test_an_estimate_knows_whether_its_network_has_learnt() -> None:
    for trained in (True, False):
        clf = tiny_classifier("plain")
        clf.trained = trained
        assert channel_shap(clf, tiny_images(1)[0], budget=16).trained is trained
