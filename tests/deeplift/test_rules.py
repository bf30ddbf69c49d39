"""Every rule is complete on its own, networks of them are, and what has no rule is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import DeepLift
from torch import Tensor, nn
from torch.nn import functional

from cam_core.deeplift import contributions
from cam_core.deeplift.rules import MaxPool, PoolWindow
from cam_core.models.split.halves import build_halves
from cam_core.models.split.model import SplitModel
from cam_core.types import UnsupportedOperation

Operation = Callable[[Tensor], Tensor]

ELEMENTWISE: dict[str, Operation] = {
    "relu": functional.relu,
    "relu in place": lambda x: functional.relu(x * 1.5, inplace=True),
    "relu_": lambda x: (x * 1.5).relu_(),
    "relu6": functional.relu6,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "sigmoid": torch.sigmoid,
    "Tensor.sigmoid": lambda x: x.sigmoid(),
    "tanh": torch.tanh,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "softplus": functional.softplus,
    "hardtanh": functional.hardtanh,
    "mish": functional.mish,
    "exp": torch.exp,
    "square": lambda x: x**2,
    "clamp": lambda x: x.clamp(-0.3, 0.4),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 1),
}


def by_variance(variance: Tensor, mean: Tensor, x: Tensor) -> Tensor:
    """Timm's LayerNorm2d as it is written out."""
    return (x - mean) * torch.rsqrt(variance + 1e-5)


def response_norm(x: Tensor, size: Tensor) -> Tensor:
    """ConvNeXt-V2's: channels by their share of the mean size."""
    return x + x * (size / (size.mean(1, keepdim=True) + 1e-6))


def quotient_in_place(x: Tensor) -> Tensor:
    shares = x + 0
    shares.div_(1 + x.abs().mean((2, 3), keepdim=True))
    return shares


def dynamic_convolution(x: Tensor) -> Tensor:
    """Each image by a kernel of its own, as in timm's CondConv."""
    kernels = x.mean((2, 3)).sigmoid().view(-1, 1, 1, 1)
    return functional.conv2d(x.reshape(1, -1, *x.shape[2:]), kernels, groups=len(kernels)).view_as(x)


class Rows(nn.Module):
    """Reads every row from both sides, twice, as timm's Sequencer does; or only keeps the last cells in mind."""

    def __init__(self, hidden: int = 3, *, cells: bool = False, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.lstm = nn.LSTM(6, hidden, 2, bidirectional=True, **{"batch_first": True, **options})
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        read, (_, cells) = self.lstm(rows if self.lstm.batch_first else rows.transpose(0, 1))
        if self.cells:
            return cells.movedim(1, 0).reshape(-1, 4, 6, 2)
        return (read if self.lstm.batch_first else read.transpose(0, 1)).reshape(x.shape)


attention = functional.scaled_dot_product_attention

COMPOSITE: dict[str, Operation] = {
    "product of two": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "product in place": lambda x: (x + 0).mul_(x.mean((2, 3), keepdim=True)),
    "quotient": lambda x: x / (1 + x.abs().mean((2, 3), keepdim=True)),
    "quotient in place": quotient_in_place,
    "quotient whose denominator changes its sign": lambda x: x / (x.mean((2, 3), keepdim=True) - 0.05),
    "quotient of a number": lambda x: 2 / (1 + x.sigmoid()),
    "layer norm": lambda x: functional.layer_norm(x, x.shape[1:]),
    "layer norm of channels": lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2),
    "group norm": lambda x: functional.group_norm(x, 2, torch.linspace(1, 2, 4).to(x), torch.linspace(-1, 1, 4).to(x)),
    "RMS norm": lambda x: functional.rms_norm(x, x.shape[1:]),
    "RMS norm of channels": lambda x: functional.rms_norm(
        x.permute(0, 2, 3, 1), (4,), torch.linspace(1, 2, 4).to(x), 1e-6
    ).permute(0, 3, 1, 2),
    "norm by var_mean": lambda x: by_variance(*torch.var_mean(x, dim=1, unbiased=False, keepdim=True), x),
    "norm by var": lambda x: x * (x.var((2, 3), keepdim=True) + 1e-5) ** -0.5,
    "norm by std": lambda x: x / (x.std((2, 3), keepdim=True) + 1e-3),
    "norm by norm": lambda x: x / (x.norm(dim=1, keepdim=True) + 1e-3),
    "norm by vector_norm": lambda x: x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-3),
    "product with a norm": lambda x: x * torch.norm(x, 2, 1, True),
    "normalize": lambda x: functional.normalize(x, dim=1),
    "global response norm": lambda x: response_norm(x, x.norm(p=2, dim=(2, 3), keepdim=True)),
    "softmax": lambda x: x.softmax(1),
    "softmax of peaks": lambda x: (300 * x).softmax(1),
    "softmax of a masked row": lambda x: x.masked_fill(
        torch.arange(x.shape[1])[:, None, None] == 1, -torch.inf
    ).softmax(1),
    "product of matrices": lambda x: x @ x.relu().transpose(2, 3),
    "product of matrices, broadcast": lambda x: torch.matmul(x, x.mean(1, keepdim=True).transpose(2, 3)),
    "product of batches": lambda x: torch.bmm(x.flatten(0, 1), x.flatten(0, 1).sigmoid()).view_as(x),
    "sum of a product": lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2].relu(), beta=0.5, alpha=2)[:, None],
    "sum of an elementwise product": lambda x: torch.addcmul(x, x.relu(), x.sigmoid(), value=2),
    "Einstein's sum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x.exp())[..., None],
    "dynamic convolution": dynamic_convolution,
    "attention": lambda x: attention(x, x.relu(), x.sigmoid()),
    "attention with a mask": lambda x: attention(x, x, x, x.new_ones(6, 6).tril().bool()),
    "attention, causal and scaled": lambda x: functional.scaled_dot_product_attention(
        x, x, x, is_causal=True, scale=2.0
    ),
    "LSTM": Rows(),
    "LSTM without biases": Rows(batch_first=False, bias=False),
    "LSTM's cells": Rows(cells=True),
    "gated linear unit": lambda x: functional.glu(x, 1),
    "max of a dimension": lambda x: x * x.max(1, keepdim=True)[0],
    "max of positions": lambda x: x.amax(2, keepdim=True) - x.flatten(2).max(dim=2).values[:, :, None, None],
    "max-pool": lambda x: functional.max_pool2d(x, 2),
    "max-pool, overlapping, padded": lambda x: functional.max_pool2d(x, 3, stride=2, padding=1),
    "max-pool, ceiling": lambda x: functional.max_pool2d(x, 3, stride=2, ceil_mode=True),
    "max-pool, dilated": lambda x: functional.max_pool2d(x, 2, stride=1, dilation=2),
    "max-pool, padded by −∞": lambda x: functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2),
    "adaptive max-pool": lambda x: functional.adaptive_max_pool2d(x, 2),
    "adaptive average": lambda x: functional.adaptive_avg_pool2d(x, 3),
    "average": lambda x: functional.avg_pool2d(x, 2),
    "concatenation": lambda x: torch.cat([x, x.relu()], 1),
    "chunks": lambda x: torch.stack(x.chunk(2, 1)).sum(0),
    "interpolation": lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
}


class Net(nn.Module):
    """conv (the layer) → the operation → conv → ReLU → the operation's like → linear."""

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 4, 3, padding=1)
        self.mix = nn.LazyConv2d(4, 1)
        self.head = nn.LazyLinear(5)
        self.operation = operation
        with torch.no_grad():
            self(torch.randn(1, 3, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.operation(self.layer(x))
        return self.head(self.mix(x).relu().flatten(1))


def split(module: nn.Module, dtype: str = "float64", hooks: bool = False) -> tuple[SplitModel, Tensor]:
    images = torch.randn(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    halves = build_halves(module, "layer", images[:1].float(), precision=dtype, force_hooks=hooks)
    net = SplitModel(halves, dtype)
    with torch.no_grad():
        return net, net.head(images.to(net.dtype))


@pytest.mark.parametrize("hooks", [False, True], ids=["traced", "not traced"])
@pytest.mark.parametrize("name", [*ELEMENTWISE, *COMPOSITE])
def test_complete(name: str, hooks: bool) -> None:
    net, acts = split(Net((ELEMENTWISE | COMPOSITE)[name]), hooks=hooks)
    target = torch.tensor([1, 3])
    for reference in (
        None,
        0.5 * torch.randn(acts.shape, dtype=acts.dtype, generator=torch.Generator().manual_seed(2)),
    ):
        result = contributions(net, acts, reference, target)
        zeros = torch.zeros_like(acts) if reference is None else reference
        change = (net.tail(acts) - net.tail(zeros)).gather(1, target[:, None])[:, 0]
        torch.testing.assert_close(result.delta, change)
        torch.testing.assert_close(result.values.sum((1, 2, 3)), change, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "silu", "relu6"])
def test_multiplier_of_one_unit_is_the_quotient(name: str) -> None:
    """y = f(2a + 1) with a = 0.7 against 0: the contribution is f(2.4) − f(1)."""

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return ELEMENTWISE[name](2 * self.layer(x) + 1).sum((2, 3))

    image = torch.tensor([0.7, 0.0, -3.0]).view(1, 3, 1, 1)
    net = SplitModel(build_halves(One(), "layer", image))
    values = contributions(net, net.head(image), None, torch.tensor([0])).values
    points = torch.tensor([2.4, 1.0])
    f = ELEMENTWISE[name](points.clone())
    torch.testing.assert_close(values.flatten(), torch.stack([f[0] - f[1], torch.tensor(0.0), torch.tensor(0.0)]))


def test_max_pool_follows_the_line() -> None:
    """Elements (1 − t)·1 + t·0 and t·2 cross at t = 1/3: shares 1/3 and 2/3, change 2 − 1 = −1·1/3 + 2·2/3."""
    reference = torch.tensor([[[[1.0, 0.0]]]])
    value = torch.tensor([[[[0.0, 2.0]]]]).requires_grad_()
    MaxPool.apply(value, reference, PoolWindow((1, 2))).sum().backward()
    torch.testing.assert_close(value.grad, torch.tensor([[[[1 / 3, 2 / 3]]]]))


def test_max_pool_against_a_fine_integral() -> None:
    """Where the largest element changes several times on the way, against the gradient averaged along the line."""
    generator = torch.Generator().manual_seed(3)
    value, reference = (torch.randn(1, 2, 7, 7, dtype=torch.float64, generator=generator) for _ in range(2))
    window = PoolWindow(3, stride=2, padding=1)
    leaf = value.clone().requires_grad_()
    MaxPool.apply(leaf, reference, window).square().sum().backward()
    weight = 2 * window.pool(value)
    mean = torch.zeros_like(value)
    steps = 4000
    for step in range(steps):
        point = reference.lerp(value, (step + 0.5) / steps).requires_grad_()
        mean += torch.autograd.grad((window.pool(point) * weight).sum(), point)[0] / steps
    torch.testing.assert_close(leaf.grad, mean, atol=5e-3, rtol=0)


@pytest.mark.parametrize(
    ("name", "operation"),
    {
        "sort": lambda x: x.sort(1).values,
        "sin": torch.sin,
        "cdist": lambda x: torch.cdist(x, x),
        "einsum": lambda x: torch.einsum("bchw,bchw,bchw->bchw", x, x, x),
        "maximum": lambda x: torch.maximum(x, x.flip(1)),
        "norm": lambda x: x / x.norm(p=1, dim=1, keepdim=True),
        "batch": lambda x: x * x.var(),
        "LSTM only without projections": Rows(4, proj_size=3),
    }.items(),
)
def test_operation_without_a_rule_is_named(name: str, operation: Operation) -> None:
    net, acts = split(Net(operation))
    with pytest.raises(UnsupportedOperation, match=name):
        contributions(net, acts, None, torch.tensor([0, 0]))
    torch.testing.assert_close(net.tail(acts), net.tail(acts))  # and the tail still runs


def test_max_pool_like_captum_on_request() -> None:
    """Captum's rule, by our option, on a network where input and reference have different largest elements.

    With a ReLU beside the pool, Captum's contributions do not sum to the change, which by its own rule they should.
    """

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(4)
            self.layer = nn.Conv2d(3, 4, 3, padding=1)
            self.mix, self.pool = nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(2)
            self.flat, self.head = nn.Flatten(), nn.Linear(36, 5)

        def tail(self, acts: Tensor) -> Tensor:
            return self.head(self.flat(self.pool(self.mix(acts))))

        def forward(self, x: Tensor) -> Tensor:
            return self.tail(self.layer(x))

    module = Pooled()
    net, acts = split(module)
    module.double()

    class Tail(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = module

        def forward(self, acts: Tensor) -> Tensor:
            return self.whole.tail(acts)

    reference = torch.randn(acts.shape, dtype=acts.dtype, generator=torch.Generator().manual_seed(5))
    # Captum mixes up samples where Δin is 0, so one at a time.
    theirs = DeepLift(Tail()).attribute(acts[:1].contiguous(), reference[:1], target=1)
    view = net.sample(0)
    ours = contributions(view, acts[:1], reference[:1], torch.tensor([1]), captum_max_pool=True).values
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
    complete = contributions(view, acts[:1], reference[:1], torch.tensor([1])).values
    assert not torch.allclose(complete, theirs)


def test_cancellation_is_computed_in_float64_and_said() -> None:
    class Cancelling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            a = self.layer(x)
            return (1e6 * a[:, 0] - 1e6 * a[:, 1]).mean((1, 2))[:, None] + a.mean((2, 3))

    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(6))
    image[:, 1] = image[:, 0]
    net = SplitModel(build_halves(Cancelling(), "layer", image))
    result = contributions(net, net.head(image), None, torch.tensor([2]))
    assert bool(result.double[0])
    assert "float64" in result.warnings[0][0]
    assert float(result.gap.abs() / result.delta) < 1e-6


def test_remembered_zero_pass_equals_a_fresh_one() -> None:
    """At one size, at another, and at the first again."""
    module = nn.Sequential()
    torch.manual_seed(7)
    module.add_module("layer", nn.Conv2d(3, 4, 3, padding=1))
    module.add_module("rest", nn.Sequential(nn.SiLU(), nn.Conv2d(4, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1)))
    module.add_module("head", nn.Sequential(nn.Flatten(), nn.Linear(4, 5)))
    net, _ = split(module)
    target = torch.tensor([1, 2])
    for size in (6, 9, 6):
        acts = net.head(torch.randn(2, 3, size, size, dtype=torch.float64))
        ours = contributions(net, acts, None, target)
        fresh = contributions(net, acts, torch.zeros_like(acts), target)
        torch.testing.assert_close(ours.values, fresh.values, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(ours.delta, fresh.delta, rtol=1e-12, atol=1e-14)
