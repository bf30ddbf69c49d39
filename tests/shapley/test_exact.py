"""Exact values: by hand, by definition, against shapiq."""

from __future__ import annotations

import numpy as np
import pytest
import shapiq
import torch

from cam_core.shapley import Game, exact
from cam_core.types import MethodError
from tests.literal.games import shapley_values
from tests.shapley.known import additive, literal_value, network, pairwise, product


def test_glove_game_by_hand() -> None:
    """Player 0 has a left glove, players 1 and 2 a right one each; only a pair is worth 1: 2/3, 1/6, 1/6."""
    game = Game(lambda z: z[:, 0] * (z[:, 1] + z[:, 2]).clamp_max(1), 3)
    found = exact(game)
    torch.testing.assert_close(found.phi, torch.tensor([2 / 3, 1 / 6, 1 / 6], dtype=torch.float64))
    assert (found.exact, found.passes, found.gap, found.noise, found.converged) == (True, 8, pytest.approx(0), 0, True)
    assert (found.v_all, found.v_empty) == (1, 0)


def test_airport_game_by_hand() -> None:
    """Runways of length 1, 2, 3, paid for by whoever needs them: 1/3, 1/3 + 1/2, 1/3 + 1/2 + 1."""
    game = Game(lambda z: (z * torch.tensor([1.0, 2.0, 3.0])).amax(1), 3)
    torch.testing.assert_close(exact(game).phi, torch.tensor([1 / 3, 5 / 6, 11 / 6], dtype=torch.float64))


def test_unanimity_and_additive_games_by_hand() -> None:
    mixed = Game(lambda z: product(0, 2)(z) + additive([1.0, -2.0, 0.5], constant=7.0)(z), 3)
    torch.testing.assert_close(exact(mixed).phi, torch.tensor([1.5, -2.0, 1.0], dtype=torch.float64))


def test_pairwise_game_in_closed_form() -> None:
    value, values = pairwise(9)
    torch.testing.assert_close(exact(Game(value, 9)).phi, values)


@pytest.mark.parametrize("players", [1, 2, 5, 8])
def test_equals_the_definition(players: int) -> None:
    value = network(players, seed=players)
    found = exact(Game(value, players))
    torch.testing.assert_close(found.phi, shapley_values(literal_value(value, players), players))
    assert found.passes == 2**players


def test_equals_shapiq() -> None:
    value = network(9)
    peer = shapiq.ExactComputer(lambda masks: value(torch.tensor(masks).double()).numpy(), n_players=9)
    found = exact(Game(value, 9))
    np.testing.assert_allclose(found.phi, peer("SV", order=1).get_n_order_values(1), atol=1e-10)


def test_dead_players_are_left_out() -> None:
    calls = []

    def value(coalitions: torch.Tensor) -> torch.Tensor:
        calls.append(len(coalitions))
        return network(5)(coalitions[:, :5])

    live = torch.tensor([True] * 5 + [False] * 20)
    found = exact(Game(value, 25, live=live))
    assert (found.dead, found.passes, sum(calls)) == (20, 32, 32)
    assert (found.phi[5:] == 0).all()
    torch.testing.assert_close(found.phi[:5], exact(Game(network(5), 5)).phi)


def test_no_live_player_at_all() -> None:
    found = exact(Game(lambda z: z.sum(1) * 0 + 3, 4, live=torch.zeros(4, dtype=torch.bool)))
    assert found.phi.tolist() == [0] * 4
    assert (found.gap, found.relative_gap, found.converged) == (0, 0, True)


def test_too_many_players_are_refused_with_a_way_out() -> None:
    game = Game(network(13), 13)
    with pytest.raises(MethodError, match=r"13 players take 2\^13 passes.*estimate them"):
        exact(game)
