"""Networks that ask for sizes are traced at one size: whatever the number of images, the graph is the network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core.deeplift import contributions
from cam_core.models.split.halves import build_halves
from cam_core.models.split.model import SplitModel
from cam_core.models.split.sized_tracing import trace_at_size

SIZE = (20, 28)


class Windows(nn.Module):
    """Attention within windows of 4 × 4, which share a dimension with the images; padded where the map needs it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.beside = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.qkv, self.head = nn.Linear(8, 24), nn.Linear(8, 5)

    def windows(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        if height % 4 or width % 4:
            x = functional.pad(x, (0, -width % 4, 0, -height % 4))
        rows, columns = int(x.size(2)) // 4, int(x.size(-1)) // 4
        return x.view(batch, channels, rows, 4, columns, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, channels)

    def forward(self, x: Tensor) -> Tensor:
        beside = self.windows(self.beside(x))
        windows = self.windows(self.layer(x))
        q, k, v = self.qkv(windows + beside).chunk(3, dim=-1)
        out = (q @ k.transpose(1, 2)).softmax(-1) @ v
        return self.head(out.reshape(x.shape[0], -1, 8).mean(1))


class Counting(nn.Module):
    """Decides by its values, which no size tells."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return self.head(x.mean((2, 3)) * (2 if bool(x.sum() > 0) else 1))


class Positions(nn.Module):
    """Makes a buffer when it first runs, and repeats it for every image: as ConViT does."""

    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        self.register_buffer("places", torch.zeros(1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.layer(x).flatten(2).transpose(1, 2)
        batch, count, _ = tokens.shape
        if self.places.shape[1] != count:
            self.places = torch.linspace(-1, 1, count)[None]
        weights = self.places.expand(batch, -1).softmax(1)
        return self.head((weights[:, :, None] * tokens.relu()).sum(1))


def images(count: int) -> Tensor:
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def test_sizes_do_not_stand_in_the_way() -> None:
    module = Windows().eval()
    net = SplitModel(build_halves(module, "layer", images(1)))
    assert net.halves.traced
    for count in (1, 2, 5):
        with torch.no_grad():
            found = net.tail(net.head(images(count)))
            torch.testing.assert_close(found, module(images(count)), rtol=1e-5, atol=1e-6)


def test_a_buffer_that_is_made_on_the_way_does_not_either() -> None:
    module = Positions().eval()
    with pytest.raises(TypeError, match="expand"):
        trace_at_size(Positions().eval(), (3, *SIZE))
    net = SplitModel(build_halves(module, "layer", images(1)))
    assert net.halves.traced and module.places.shape == (1, 1), "the network itself never ran"
    for count in (1, 3):
        with torch.no_grad():
            found = net.tail(net.head(images(count)))
            torch.testing.assert_close(found, Positions().eval()(images(count)), rtol=1e-5, atol=1e-6)


def test_windows_that_cross_the_cut_follow_their_image() -> None:
    """Six rows of a tail for two images, three each: the context has twelve windows an image."""
    module = Windows().eval()
    net = SplitModel(build_halves(module, "layer", images(1)))
    hooked = SplitModel(build_halves(module, "layer", images(1), force_hooks=True))
    with torch.no_grad():
        acts = net.head(images(2))
        hooked.head(images(2))
        rows = acts.repeat_interleave(3, 0) * torch.linspace(0, 1, 6).view(6, 1, 1, 1)
        expected = hooked.tail(rows)
        torch.testing.assert_close(net.tail(rows), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(net.sample(1).tail(rows[3:]), expected[3:], rtol=1e-5, atol=1e-6)
    assert [len(value) for value in net.context] == [2, 24]  # the image, which says how many there are, and windows


def test_deeplift_is_complete_where_windows_are_folded_into_rows() -> None:
    net = SplitModel(build_halves(Windows().eval(), "layer", images(1)))
    with torch.no_grad():
        acts = net.head(images(3))
        change = (net.tail(acts) - net.tail(torch.zeros_like(acts)))[:, 2]
    found = contributions(net, acts, None, torch.full((3,), 2))
    torch.testing.assert_close(found.values.sum((1, 2, 3)), change, rtol=1e-3, atol=1e-6)


def test_another_size_takes_the_other_path() -> None:
    module = Windows().eval()
    net = SplitModel(build_halves(module, "layer", images(1)))
    larger = torch.randn(2, 3, 32, 26, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        acts = net.head(larger)
        torch.testing.assert_close(net.tail(acts), module(larger), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(net.model(larger), module(larger), rtol=1e-5, atol=1e-6)
        change = (net.tail(acts) - net.tail(torch.zeros_like(acts)))[:, 1]
    found = contributions(net, acts, None, torch.tensor([1, 1]))
    torch.testing.assert_close(found.values.sum((1, 2, 3)), change, rtol=1e-3, atol=1e-6)


def test_what_decides_by_values_takes_the_other_path() -> None:
    module = Counting().eval()
    with pytest.raises(Exception, match="control flow"):
        trace_at_size(module, SIZE)
    assert not build_halves(module, "layer", images(1)).traced
