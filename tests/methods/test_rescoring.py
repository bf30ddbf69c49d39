"""Coarse scores put right: the map is what the exact scores give, and no more than needed is scored again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cam_core import explain, load_model
from cam_core.methods.rescoring import SAMPLE, rescored


class Exact:
    """Scores that remember who asked for them."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores
        self.asked: list[int] = []

    def __call__(self, channels: Tensor) -> Tensor:
        self.asked += channels.tolist()
        return self.scores[channels]


def correlation(one: Tensor, two: Tensor, parts: Tensor) -> float:
    maps = [(scores.softmax(0)[:, None] * parts.flatten(1)).sum(0).numpy() for scores in (one, two)]
    return float(np.corrcoef(*maps)[0, 1])


def game(spread: float, noise: float, seed: int, channels: int = 800) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    exact = spread * torch.randn(channels, generator=generator, dtype=torch.float64)
    parts = torch.randn(channels, 7, 7, generator=generator, dtype=torch.float64).relu()
    return exact, exact + 0.4 + noise * torch.randn(channels, generator=generator, dtype=torch.float64), parts


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("noise", [0.02, 0.3, 1.0])
def test_the_map_is_that_of_the_exact_scores(spread: float, noise: float) -> None:
    found, before, asked = [], [], []
    for seed in range(5):
        exact, coarse, parts = game(spread, noise, seed)
        again = Exact(exact)
        scores, certain = rescored(coarse, parts, again)
        assert sorted(again.asked) == certain.nonzero()[:, 0].tolist(), "nothing is scored twice"
        assert torch.equal(scores[certain], exact[certain])
        before.append(correlation(coarse, exact, parts))
        found.append(correlation(scores, exact, parts))
        asked.append(len(again.asked))
    assert min(found) > 0.9990 and np.mean(found) > 0.9995
    assert np.mean(found) >= np.mean(before) - 1e-6
    if noise < 0.1:
        assert max(asked) < 400, "small errors need few exact scores"


def test_exact_scores_are_left_alone_but_for_the_sample() -> None:
    exact, _, parts = game(1.0, 0.0, 0)
    again = Exact(exact)
    scores, certain = rescored(exact.clone(), parts, again)
    torch.testing.assert_close(scores, exact)
    assert int(certain.sum()) == SAMPLE


def test_hopeless_scores_are_all_replaced() -> None:
    exact, _, parts = game(1.0, 0.0, 0)
    scores, certain = rescored(torch.zeros_like(exact), parts, Exact(exact))
    assert correlation(scores, exact, parts) > 0.999
    scores, certain = rescored(torch.zeros_like(exact), parts, Exact(exact), tolerance=0.0)
    assert bool(certain.all()) and torch.equal(scores, exact)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_few_channels_are_all_scored_again(channels: int) -> None:
    exact, coarse, parts = game(1.0, 0.5, 0, channels)
    scores, certain = rescored(coarse, parts, Exact(exact))
    assert bool(certain.all()) and torch.equal(scores, exact)


def test_scores_that_are_no_numbers_are_not_built_upon() -> None:
    exact, coarse, parts = game(1.0, 0.5, 0)
    coarse[7] = torch.nan
    scores, certain = rescored(coarse, parts, Exact(exact))
    assert bool(certain.all()) and torch.equal(scores, exact)
    scores, _ = rescored(game(1.0, 0.5, 0)[1], parts, Exact(torch.full_like(exact, torch.nan)))
    assert bool(scores.isnan().any()), "the map says so"


def test_flat_parts_need_nothing() -> None:
    exact, coarse, _ = game(1.0, 0.5, 0)
    _, certain = rescored(coarse, torch.ones(800, 7, 7, dtype=torch.float64), Exact(exact))
    assert int(certain.sum()) == SAMPLE


@pytest.mark.parametrize(
    ("method", "params"), [("score-cam", {}), pytest.param("is-cam", {"steps": 2}, marks=pytest.mark.slow)]
)
def test_score_cam_in_bfloat16_is_close_to_float32_and_says_what_it_ran(method: str, params: dict[str, int]) -> None:
    clf = load_model("resnet18", weights="random", device="cpu")
    image = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(image, size=(224, 224), mode="bilinear")
    layer = "layer1"  # 64 channels
    exact = explain(clf, image, method=method, layer=layer, target=3, **params)
    coarse = explain(clf, image, method=method, layer=layer, target=3, precision="bfloat16", **params)
    assert np.corrcoef(exact.map.ravel(), coarse.map.ravel())[0, 1] > 0.999
    assert coarse.passes.head >= exact.passes.head + SAMPLE * params.get("steps", 1)
    assert coarse.precision == "bfloat16"
