"""shap, owen-cam and shap-cam through `explain`: literal values, identities, error bars, one image or many."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cam_core import explain, explain_batch
from cam_core.shapley import PositionGame, permutation
from cam_core.shapley.permutation import marginals
from tests.literal.games import channel_game, permutation_values, position_game, shapley_values
from tests.literal.network import Hooked
from tests.tiny import TINY, tiny, tiny_classifier, tiny_images

TARGET = 1
SMALL = tiny_images(1)[0, :, 4:12, 4:12]  # (3, 8, 8): maps of 2 × 2
IMAGE = tiny_images(1)[0]


def both_ways(count: int, players: int, seed: int = 0) -> list[list[int]]:
    """The orders that a run with this seed draws, each followed by its reverse."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randperm(players, generator=generator) for _ in range(count)]
    return [order.tolist() for one in drawn for order in (one, one.flip(0))]


@pytest.mark.parametrize("method", ["shap", "owen-cam"])
@pytest.mark.parametrize(("key", "layer"), [("plain", "features.1"), ("residual", "relu1"), ("dense", "conv2")])
def test_few_channels_get_exact_values(method: str, key: str, layer: str) -> None:
    found = explain(tiny_classifier(key), IMAGE, method=method, layer=layer, target=TARGET, budget=300)
    hooked = Hooked(tiny(key), layer)
    game = channel_game(hooked, IMAGE[None], TARGET)
    literal = shapley_values(game, hooked.activations(IMAGE[None]).shape[1])
    np.testing.assert_allclose(found.coefficients, literal, atol=1e-5)
    assert found.stderr is not None and not found.stderr.any()


def test_shap_averages_the_literal_marginals_of_its_orders() -> None:
    found = explain(tiny_classifier("residual"), IMAGE, method="shap", layer="relu1", target=TARGET, budget=32, seed=7)
    game = channel_game(Hooked(tiny("residual"), "relu1"), IMAGE[None], TARGET)
    np.testing.assert_allclose(found.coefficients, permutation_values(game, 8, both_ways(2, 8, seed=7)), atol=1e-5)
    assert found.passes.tail == 1 + 2 + 4 * 7


def test_owen_is_near_the_exact_values() -> None:
    clf = tiny_classifier("squeeze-excite")
    exact = explain(clf, IMAGE, method="owen-cam", layer="stem", target=TARGET, budget=256)
    sampled = explain(clf, IMAGE, method="owen-cam", layer="stem", target=TARGET, budget=200)
    assert np.corrcoef(exact.coefficients, sampled.coefficients)[0, 1] > 0.99
    assert not exact.stderr.any() and (sampled.stderr > 0).all()


@pytest.mark.parametrize("baseline", ["channel_mean", "global_mean", "zero"])
@pytest.mark.parametrize("score", ["probability", "logit"])
def test_shap_cam_of_a_small_map_is_exact(baseline: str, score: str) -> None:
    clf = tiny_classifier("residual")
    found = explain(clf, SMALL, method="shap-cam", layer="stem", target=TARGET, baseline=baseline, score=score)
    game = position_game(Hooked(tiny("residual"), "stem"), SMALL[None], TARGET, baseline, score == "probability")
    np.testing.assert_allclose(found.map, shapley_values(game, 4).reshape(2, 2), atol=1e-6)
    assert found.stderr.shape == (2, 2) and not found.stderr.any()


@pytest.mark.parametrize("antithetic", [True, False])
def test_shap_cam_averages_the_literal_marginals_of_its_orders(antithetic: bool) -> None:
    clf = tiny_classifier("residual")
    found = explain(
        clf, IMAGE, method="shap-cam", layer="stem", target=TARGET, permutations=4, antithetic=antithetic, seed=3
    )
    orders = both_ways(2, 16, seed=3) if antithetic else both_ways(4, 16, seed=3)[::2]
    game = position_game(Hooked(tiny("residual"), "stem"), IMAGE[None], TARGET)
    np.testing.assert_allclose(found.map, permutation_values(game, 16, orders).reshape(4, 4), atol=1e-6)
    assert found.stderr.shape == (4, 4) and (found.stderr > 0).all() and found.coefficients is None
    assert found.passes.tail == 1 + 2 + 4 * 15


def test_one_order_is_exact_for_an_additive_game() -> None:
    """phi_ij = (1 / hw) Σ_k w_k (A_kij − mean A_k) behind pooling and one linear layer, and Σ phi = 0."""
    clf = tiny_classifier("plain")
    net = clf.split("features.3", "float64")
    acts = net.head(IMAGE[None].double()).detach()
    weight = tiny("plain").fc.weight[TARGET].detach().double()
    expected = torch.einsum("k,khw->hw", weight, acts[0] - acts[0].mean((1, 2), keepdim=True)) / acts[0, 0].numel()
    game = PositionGame(net.sample(0), acts, TARGET, score="logit")
    found = next(permutation(game, torch.Generator().manual_seed(0), 0, antithetic=False))
    torch.testing.assert_close(found.phi.view(4, 4), expected)
    assert found.gap == pytest.approx(0, abs=1e-12) and float(found.phi.sum()) == pytest.approx(0, abs=1e-12)
    explained = explain(clf, IMAGE, method="shap-cam", layer="features.3", target=TARGET, score="logit")
    np.testing.assert_allclose(explained.map, expected, atol=1e-6)
    assert explained.passes.tail == 3, "the prediction, v(all) and v(none): the values themselves take no pass"


def test_shap_cam_is_cam_on_a_pooled_linear_tail_but_for_a_constant() -> None:
    clf = tiny_classifier("plain")
    ours = explain(clf, IMAGE, method="shap-cam", layer="features.3", target=TARGET, score="logit").map
    theirs = explain(clf, IMAGE, method="cam", layer="features.3", target=TARGET).map
    np.testing.assert_allclose((ours - ours.min()) / np.ptp(ours), (theirs - theirs.min()) / np.ptp(theirs), atol=1e-5)


@pytest.mark.parametrize("score", ["probability", "logit"])
def test_every_order_of_positions_is_efficient(score: str) -> None:
    net = tiny_classifier("max-pool").split("features.1", "float64")
    game = PositionGame(net.sample(0), net.head(IMAGE[None].double()), TARGET, score=score)
    orders = torch.stack([torch.randperm(game.size) for _ in range(3)])
    sums = marginals(game, orders).sum(1)
    torch.testing.assert_close(sums, torch.full((3,), game.v_all - game.v_empty, dtype=torch.float64))


def test_values_times_mean_activation() -> None:
    arguments = {"method": "shap-cam", "layer": "stem", "target": TARGET, "permutations": 6}
    clf = tiny_classifier("residual")
    plain = explain(clf, IMAGE, **arguments)
    times = explain(clf, IMAGE, **arguments, map="phi-activation")
    mean = clf.split("stem").head(IMAGE[None])[0].mean(0).detach().numpy()
    np.testing.assert_allclose(times.map, plain.map * mean, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(times.stderr, plain.stderr * np.abs(mean), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", ["shap", "owen-cam", "shap-cam"])
@pytest.mark.parametrize("key", ["residual", "dense", "max-pool"])
def test_one_image_or_four_make_no_difference(method: str, key: str) -> None:
    clf, layer, images = tiny_classifier(key), TINY[key].layers[0], tiny_images(4)
    params = {"permutations": 6} if method == "shap-cam" else {"budget": 16}
    many = explain_batch(clf, list(images), method=method, layer=layer, targets=[TARGET] * 4, seed=1, **params)
    for image, one_of_many in zip(images, many, strict=True):
        alone = explain(clf, image, method=method, layer=layer, target=TARGET, seed=1, **params)
        np.testing.assert_allclose(one_of_many.map, alone.map, atol=1e-5)
        np.testing.assert_allclose(one_of_many.stderr, alone.stderr, atol=1e-5)


def test_too_few_passes_are_a_warning_with_figures() -> None:
    found = explain(tiny_classifier("residual"), IMAGE, method="shap", layer="relu1", target=TARGET, budget=16)
    (warning,) = [text for text in found.warnings if text.startswith("Not converged")]
    assert "after 30 tail passes" in warning and "%" in warning
    sure = explain(tiny_classifier("residual"), IMAGE, method="shap", layer="relu1", target=TARGET, budget=255)
    assert not any(text.startswith("Not converged") for text in sure.warnings)
