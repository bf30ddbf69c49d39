"""Games over the tail of a network: values and gradients against literal float64 ones, whatever the batch."""

from __future__ import annotations

import pytest
import torch

from cam_core.models.batching import Rows
from cam_core.models.split.model import SplitModel
from cam_core.shapley import ChannelGame, PositionGame, exact
from cam_core.types import Activations, MethodError
from tests.literal.games import Value, channel_game, position_game, shapley_values
from tests.literal.network import Hooked
from tests.tiny import TINY, tiny, tiny_classifier, tiny_images

CASES = [(key, layer) for key, network in TINY.items() for layer in network.layers]
TARGET = 2


def split(key: str, layer: str, precision: str = "float64") -> tuple[SplitModel, Activations]:
    net = tiny_classifier(key).split(layer, precision)
    with torch.no_grad():
        return net, net.head(tiny_images(1).to(net.dtype))


def literal_worths(value: Value, masks: torch.Tensor) -> torch.Tensor:
    return torch.tensor([value(frozenset(mask.nonzero()[:, 0].tolist())) for mask in masks], dtype=torch.float64)


@pytest.mark.parametrize(("key", "layer"), CASES)
def test_channel_game_is_the_literal_one(key: str, layer: str) -> None:
    net, acts = split(key, layer)
    game = ChannelGame(net.sample(0), acts, TARGET)
    masks = torch.rand(6, game.size) < 0.5
    value = channel_game(Hooked(tiny(key), layer), tiny_images(1), TARGET)
    everybody = torch.zeros(6, game.players, dtype=torch.bool)
    everybody[:, game.live] = masks
    torch.testing.assert_close(game.values(masks), literal_worths(value, everybody))
    assert game.v_empty == pytest.approx(value(frozenset()))
    assert game.v_all == pytest.approx(value(frozenset(range(game.players))))


@pytest.mark.parametrize("baseline", ["channel_mean", "global_mean", "zero"])
@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize(("key", "layer"), [("residual", "relu1"), ("max-pool", "features.3")])
def test_position_game_is_the_literal_one(key: str, layer: str, baseline: str, score: str) -> None:
    net, acts = split(key, layer)
    game = PositionGame(net.sample(0), acts, TARGET, baseline=baseline, score=score)
    value = position_game(Hooked(tiny(key), layer), tiny_images(1), TARGET, baseline, score == "probability")
    masks = torch.rand(6, game.size) < 0.5
    assert game.players == acts[0, 0].numel()
    torch.testing.assert_close(game.values(masks), literal_worths(value, masks))


@pytest.mark.parametrize(("key", "layer"), CASES)
def test_gradients_by_coalitions_are_finite_differences(key: str, layer: str) -> None:
    net, acts = split(key, layer)
    game = ChannelGame(net.sample(0), acts, TARGET)
    coalitions = torch.rand(2, game.size, dtype=torch.float64)
    step = 1e-6 * torch.eye(game.size, dtype=torch.float64)
    for row, gradient in zip(coalitions, game.gradients(coalitions), strict=True):
        difference = (game.values(row + step) - game.values(row - step)) / 2e-6
        torch.testing.assert_close(gradient, difference, atol=1e-5, rtol=1e-4)


def test_how_many_at_once_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    net, acts = split("squeeze-excite", "stem")
    masks = torch.rand(20, 8) < 0.5
    whole = ChannelGame(net.sample(0), acts, TARGET)
    pieces = ChannelGame(net.sample(0), acts, TARGET)
    monkeypatch.setattr(pieces, "_rows", Rows(3))
    torch.testing.assert_close(pieces.values(masks), whole.values(masks))
    torch.testing.assert_close(pieces.gradients(masks), whole.gradients(masks))


def test_running_out_of_memory_halves_the_batch() -> None:
    net, acts = split("plain", "features.1")
    view = net.sample(0)
    sizes: list[int] = []
    original = view.tail

    def cramped(rows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rows))
        if len(rows) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return original(rows)

    view.tail = cramped  # type: ignore[method-assign]
    masks = torch.rand(16, 6) < 0.5
    found = ChannelGame(view, acts, TARGET).values(masks)
    torch.testing.assert_close(found, ChannelGame(net.sample(0), acts, TARGET).values(masks))
    assert max(sizes) == 16 and sizes[-1] <= 4


@pytest.mark.parametrize(("key", "layer"), [("residual", "relu1"), ("squeeze-excite", "stem")])
def test_values_by_enumeration_are_the_literal_ones(key: str, layer: str) -> None:
    net, acts = split(key, layer)
    found = exact(ChannelGame(net.sample(0), acts, TARGET))
    literal = shapley_values(channel_game(Hooked(tiny(key), layer), tiny_images(1), TARGET), acts.shape[1])
    torch.testing.assert_close(found.phi, literal)


def test_closed_form_is_the_enumeration() -> None:
    """phi_k = w_k · mean A_k behind pooling and one linear layer, and no pass but those of v(all) and v(∅)."""
    net, acts = split("plain", "features.3")
    game = ChannelGame(net.sample(0), acts, TARGET)
    found = exact(game)
    weight = tiny("plain").fc.weight[TARGET].double()
    torch.testing.assert_close(found.phi, (weight * acts.mean((0, 2, 3))).detach())
    game.contributions = None
    torch.testing.assert_close(exact(game).phi, found.phi)
    assert found.passes == 2


def test_dead_channels_are_found_and_left_out() -> None:
    net, acts = split("plain", "features.1")
    acts[0, [1, 4]] = 0
    game = ChannelGame(net.sample(0), acts, TARGET)
    found = exact(game)
    assert (game.size, found.dead, found.passes) == (4, 2, 16)
    assert found.phi[[1, 4]].tolist() == [0, 0]


def test_position_without_difference_from_the_baseline_is_dead() -> None:
    net, acts = split("plain", "features.1")
    acts[0, :, 0, 0] = 0
    game = PositionGame(net.sample(0), acts, TARGET, baseline="zero")
    assert (game.players, game.size) == (64, 63)


def test_probability_has_no_closed_form() -> None:
    net, acts = split("plain", "features.3")
    assert ChannelGame(net.sample(0), acts, TARGET, score="probability").contributions is None
    assert PositionGame(net.sample(0), acts, TARGET, score="logit").contributions is not None


def test_unknown_baseline_is_refused_by_name() -> None:
    net, acts = split("plain", "features.1")
    with pytest.raises(MethodError, match="unknown baseline 'blur'; there are: channel_mean"):
        PositionGame(net.sample(0), acts, TARGET, baseline="blur")
