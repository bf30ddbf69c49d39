"""Imputation of many masks together, against a direct solver for sparse systems, one mask at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from cam_core.metrics import multigrid
from cam_core.metrics.imputation import imputed
from tests.literal.imputation import impute

HEIGHT, WIDTH = 61, 90
GENERATOR = np.random.default_rng(0)
IMAGE = GENERATOR.normal(size=(3, HEIGHT, WIDTH))
SMOOTH = gaussian_filter(GENERATOR.normal(size=(HEIGHT, WIDTH)), 8)


def scattered(share: float) -> np.ndarray:
    return np.random.default_rng(1).random((HEIGHT, WIDTH)) < share


def known_only(*places: tuple[int, int]) -> np.ndarray:
    removed = np.ones((HEIGHT, WIDTH), dtype=bool)
    for place in places:
        removed[place] = False
    return removed


def spiral() -> np.ndarray:
    """Known pixels along a spiral: a wall of one pixel that no coarser grid can show."""
    turn = np.linspace(0, 20 * np.pi, 20_000)
    down, right = HEIGHT // 2 + turn / 70 * 30 * np.sin(turn), WIDTH // 2 + turn / 70 * 44 * np.cos(turn)
    inside = (abs(down - HEIGHT / 2) < HEIGHT / 2 - 1) & (abs(right - WIDTH / 2) < WIDTH / 2 - 1)
    removed = np.ones((HEIGHT, WIDTH), dtype=bool)
    removed[down[inside].astype(int), right[inside].astype(int)] = False
    return removed


MASKS: dict[str, Callable[[], np.ndarray]] = {
    **{f"smooth {share}": lambda share=share: np.quantile(SMOOTH, share) > SMOOTH for share in (0.1, 0.5, 0.9)},
    **{f"scattered {share}": lambda share=share: scattered(share) for share in (0.1, 0.5, 0.9, 0.99)},
    "all but a corner": lambda: known_only((0, 0)),
    "all but two pixels": lambda: known_only((3, 80), (59, 2)),
    "all but the last row": lambda: known_only(*((HEIGHT - 1, right) for right in range(WIDTH))),
    "single pixels": lambda: np.add.outer(np.arange(HEIGHT) % 4, np.arange(WIDTH) % 4) == 0,
    "columns": lambda: np.broadcast_to(np.arange(WIDTH) % 2 == 0, (HEIGHT, WIDTH)),
    "walls": lambda: np.logical_and.outer(np.arange(HEIGHT) % 9 > 0, np.arange(WIDTH) % 9 > 0),
    "a spiral": spiral,
    "a pixel": lambda: ~known_only((30, 50)),
    "a corner pixel": lambda: ~known_only((HEIGHT - 1, 0)),
    "a row": lambda: ~known_only(*((20, right) for right in range(WIDTH))),
    "the last columns": lambda: np.broadcast_to(np.arange(WIDTH) > WIDTH - 3, (HEIGHT, WIDTH)),
    "a corner": lambda: np.logical_and.outer(np.arange(HEIGHT) > 40, np.arange(WIDTH) < 35),
    "a disc": lambda: np.add.outer((np.arange(HEIGHT) - 30) ** 2, (np.arange(WIDTH) - 50) ** 2) < 300,
    "two pixels far apart": lambda: ~known_only((0, WIDTH - 1), (50, 7)),
    "nothing": lambda: np.zeros((HEIGHT, WIDTH), dtype=bool),
}


def deviation(image: np.ndarray, masks: list[np.ndarray]) -> float:
    """The largest of an imputed pixel."""
    found = imputed(torch.from_numpy(image), torch.from_numpy(np.stack(masks))).numpy()
    return float(np.abs(found - np.stack([impute(image, mask) if mask.any() else image for mask in masks])).max())


@pytest.mark.parametrize("name", MASKS)
def test_equals_the_direct_solver(name: str) -> None:
    assert deviation(IMAGE, [MASKS[name]()]) < 1e-6


def test_masks_of_all_kinds_together() -> None:
    assert deviation(IMAGE, [mask() for mask in MASKS.values()]) < 1e-6


def test_takes_as_few_steps_whatever_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a grid's system not that of the finer one, the steps would not end so soon."""
    monkeypatch.setattr(multigrid, "_STEPS", 10)
    assert deviation(IMAGE, [mask() for mask in MASKS.values()]) < 1e-6


@pytest.mark.parametrize("size", [(17, 17), (16, 17), (40, 300), (3, 200), (257, 1), (64, 64), (65, 128)])
def test_equals_the_direct_solver_at_any_size_and_of_any_number_of_channels(size: tuple[int, int]) -> None:
    image = np.random.default_rng(2).normal(size=(size[0] % 3 + 1, *size))
    masks = [np.random.default_rng(3).random(size) < 0.7, gaussian_filter(image[0], 4) > 0]
    assert deviation(image, masks) < 1e-6


def test_is_as_exact_for_values_of_any_size() -> None:
    masks = [MASKS["smooth 0.5"](), MASKS["scattered 0.9"]()]
    assert deviation(300 + 1000 * IMAGE, masks) < 1e-3
    assert deviation(1e-6 * IMAGE, masks) < 1e-12


def test_a_constant_image_stays_one() -> None:
    masks = torch.from_numpy(np.stack([mask() for mask in MASKS.values()]))
    constant = torch.full((2, HEIGHT, WIDTH), 0.3, dtype=torch.float64)
    torch.testing.assert_close(imputed(constant, masks), constant.expand(len(masks), -1, -1, -1), atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (8, 8)])
def test_where_nothing_is_known_all_is_zero_and_the_others_are_as_ever(size: tuple[int, int]) -> None:
    image = torch.from_numpy(np.random.default_rng(4).normal(size=(3, *size)))
    half = torch.zeros(size, dtype=torch.bool)
    half[: size[0] // 2] = True
    nothing, other = imputed(image, torch.stack([torch.ones_like(half), half]))
    assert not nothing.any()
    np.testing.assert_allclose(other.numpy(), impute(image.numpy(), half.numpy()), atol=1e-6)


def test_the_size_of_real_inputs() -> None:
    generator = np.random.default_rng(5)
    image, field = generator.normal(size=(3, 224, 224)), gaussian_filter(generator.normal(size=(224, 224)), 30)
    assert deviation(image, [field > np.quantile(field, 0.1)]) < 1e-6
