"""Decisions by shapes are followed while tracing, where they hold for all images; decisions by values are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cam_core import Classifier, explain, explain_batch
from tests.tiny import SIZE, Plain, tiny, tiny_images

Decision = Callable[[Tensor], bool]


class Deciding(Plain):
    """Plain, if it decides so; half its logits else."""

    def __init__(self, decision: Decision) -> None:
        super().__init__()
        self.decision = decision
        self.load_state_dict(tiny("plain").state_dict())
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.features(x)
        logits = self.fc(torch.flatten(self.pool(maps), 1))
        return logits if self.decision(maps) else logits / 2


FOLLOWED: dict[str, Decision] = {
    "channels": lambda maps: maps.shape[1] == 8,
    "dimensions": lambda maps: maps.dim() == 4 and maps.ndim == 4,
    "dtype": lambda maps: maps.dtype == torch.float32,
    "kind": lambda maps: maps.is_floating_point(),
    "size by name": lambda maps: maps.size(1) % 2 == 0,
    "otherwise": lambda maps: maps.shape[1] > 8,
}
FOLLOWED_AT_ONE_SIZE: dict[str, Decision] = {
    "parity of the size": lambda maps: maps.shape[2] % 2 == 0,
    "square images": lambda maps: maps.shape[2] == maps.shape[3],
}
NOT_FOLLOWED: dict[str, Decision] = {
    "values": lambda maps: bool(maps.sum() > 0),
    "number of images": lambda maps: maps.shape[0] == 1,
}


def classifier(module: nn.Module) -> Classifier:
    return Classifier(module, input_size=SIZE, device="cpu")


@pytest.mark.parametrize("name", [*FOLLOWED, *FOLLOWED_AT_ONE_SIZE, *NOT_FOLLOWED])
def test_decision_is_followed_where_it_is_the_same_for_all(name: str) -> None:
    network = Deciding((FOLLOWED | FOLLOWED_AT_ONE_SIZE | NOT_FOLLOWED)[name])
    clf = classifier(network)
    assert clf.split().halves.traced == (name not in NOT_FOLLOWED)
    assert (clf.split().halves.tail_graph is None) == (name not in FOLLOWED)
    for images in (tiny_images(1), tiny_images(3), tiny_images(2)[:, :, :13, :]):
        torch.testing.assert_close(clf.logits(images), network(images).detach(), rtol=1e-4, atol=1e-5)


def test_maps_are_those_of_the_network_without_decisions() -> None:
    images = list(tiny_images(3))
    networks = (Deciding(FOLLOWED["channels"]), tiny("plain"))
    deciding, plain = (explain_batch(classifier(network), images, method="lift-cam") for network in networks)
    for one, other in zip(deciding, plain, strict=True):
        assert (one.map == other.map).all() and one.passes == other.passes


class OneSize(Plain):
    """Takes images of one size alone, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8 * 16, 5)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.features(x)
        if x.shape[2] != 16 or x.shape[3] != 16:
            raise ValueError("16 × 16, please")
        return self.fc(torch.flatten(maps, 1))


def test_network_of_one_size_that_says_so_is_traced_at_it_and_explained() -> None:
    clf = classifier(OneSize())
    assert clf.split().halves.traced
    assert explain(clf, tiny_images(1)[0], method="grad-cam").map.shape == (4, 4)


class Masking(Plain):
    """Takes a mask too, and a scale: nobody gives it either."""

    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(tiny("plain").state_dict())
        self.eval()

    def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float | None = None) -> Tensor:
        maps = self.features(x)
        if mask is not None:
            maps = maps * mask
        if scale is not None:
            maps = scale * maps
        return self.fc(torch.flatten(self.pool(maps), 1))


def test_what_a_network_can_be_given_besides_is_what_it_is_by_default() -> None:
    clf = classifier(Masking())
    assert clf.split().halves.traced and clf.split().halves.tail_graph is not None
    images = tiny_images(2)
    torch.testing.assert_close(clf.logits(images), tiny("plain")(images).detach(), rtol=1e-4, atol=1e-5)
