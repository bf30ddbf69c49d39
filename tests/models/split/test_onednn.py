"""Fused convolutions compute what the plain graph computes: values, gradients, and gradients of gradients."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from cam_core import load_model
from cam_core.models.split.halves import TracedHalves
from cam_core.models.split.onednn import FusedConv2d, PackedWeights, _offered, _supported, conv2d, fused

DTYPES = [
    pytest.param(
        dtype, marks=pytest.mark.skipif(not _offered(dtype), reason=f"oneDNN does not compute {dtype} on this CPU")
    )
    for dtype in (torch.float32, torch.bfloat16)
]


class Residual(nn.Module):
    """Each way in which a convolution meets an addition and an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.silu = nn.SiLU()
        self.side = nn.Conv2d(8, 8, 1, bias=False)
        self.grouped = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.gate = nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(8, 6, (3, 1), stride=(1, 2), padding=(2, 0))
        self.relu6 = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.silu(self.start(x))
        x = functional.relu(self.grouped(x) + self.side(x), inplace=True)
        x = self.silu(x + self.side(x))  # an activation that cannot follow an addition within oneDNN
        x = x + self.gate(x.mean((2, 3), keepdim=True))  # of another shape
        x = self.side(x) + 1.5  # no tensor
        y = self.gate(x)
        x = torch.relu(y + y) + y  # y has three readers
        return self.relu6(self.last(x))


def halves(dtype: torch.dtype) -> tuple[fx.GraphModule, fx.GraphModule, Tensor]:
    torch.manual_seed(0)
    half = fx.symbolic_trace(Residual().eval()).to(dtype).requires_grad_(False)
    return half, fused(half), torch.randn(3, 3, 17, 15, dtype=dtype)


def fused_parts(half: nn.Module) -> list[FusedConv2d]:
    return [module for module in half.modules() if isinstance(module, FusedConv2d)]


def calls(half: fx.GraphModule) -> list[object]:
    return [
        type(half.get_submodule(str(n.target))) if n.op == "call_module" else n.target
        for n in half.graph.nodes
        if n.op in ("call_module", "call_function")
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_those_of_the_plain_graph(dtype: torch.dtype) -> None:
    plain, fast, x = halves(dtype)
    error = 1e-5 if dtype == torch.float32 else 0.05
    with torch.no_grad():
        for layout in (torch.contiguous_format, torch.channels_last):
            for rows in (3, 1):
                image = x[:rows].contiguous(memory_format=layout)
                torch.testing.assert_close(fast(image), plain(image), rtol=error, atol=error)
    assert nn.Conv2d not in calls(fast) and nn.Conv2d in calls(plain)


def test_nothing_given_is_written_to() -> None:
    _, fast, x = halves(torch.float32)
    before = x.clone()
    with torch.no_grad():
        first = fast(x)
        assert torch.equal(fast(x), first) and torch.equal(x, before)


def test_gradients_and_their_gradients_are_those_of_the_plain_graph() -> None:
    plain, fast, x = halves(torch.float32)

    def twice(half: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        image = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(half(image).square().sum(), image, create_graph=True)
        (second,) = torch.autograd.grad((first * x.sin()).sum(), image)
        return first.detach(), second

    for mine, theirs in zip(twice(fast), twice(plain), strict=True):
        assert theirs.abs().max() > 0.01
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3},
        {"kernel_size": 1, "padding": 2},  # more padding than a kernel of 1 can reach
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": (1, 5), "padding": (0, 3), "dilation": (1, 2)},
        {"kernel_size": 3, "padding": 1, "groups": 2},
    ],
    ids=str,
)
def test_a_convolutions_gradient(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, **options).requires_grad_(False)  # type: ignore[arg-type]
    x = torch.randn(2, 4, 13, 14, requires_grad=True)
    theirs = conv(x)
    cotangent = torch.randn_like(theirs)
    mine = conv2d(x, PackedWeights(conv))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(mine, x, cotangent)[0], torch.autograd.grad(theirs, x, cotangent)[0], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_convolutions_of_every_kind(dtype: torch.dtype) -> None:
    """Channels, groups, kernels, strides, paddings, dilations and sizes at random: oneDNN has a path for each."""
    chance = random.Random(0)
    torch.manual_seed(0)
    error = 1e-4 if dtype == torch.float32 else 0.06
    for _ in range(150):
        groups = chance.choice([1, 1, 2, 8])
        conv = nn.Conv2d(
            groups * chance.choice([1, 2, 3, 16]),
            groups * chance.choice([1, 2, 7, 16]),
            chance.choice([1, 2, 3, (1, 3), (7, 1)]),
            chance.choice([1, 2, 3]),
            chance.choice([0, 1, 3]),
            chance.choice([1, 1, 2]),
            groups,
            bias=chance.random() < 0.7,
        ).to(dtype)
        x = torch.randn(chance.choice([1, 3]), conv.in_channels, chance.choice([13, 14]), chance.choice([13, 16])).to(
            dtype
        )
        with torch.no_grad():
            activation = chance.choice([None, nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.5, 2), nn.SiLU(), nn.Hardswish()])
            part, wanted = FusedConv2d(conv, activation), conv(x)
            other = torch.randn_like(wanted)
            then = activation or nn.Identity()
            torch.testing.assert_close(part(x), then(wanted.clone()), rtol=error, atol=error)
            torch.testing.assert_close(part(x, other), then(wanted + other), rtol=error, atol=error)


def test_only_what_one_dnn_computes_is_fused() -> None:
    half = fx.symbolic_trace(Residual().eval())
    double = copy.deepcopy(half).double()
    assert fused(double) is double, "float64 runs as it is"

    class Padded(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(functional.pad(x, (0, 1, 0, 1)))

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, qualified_name: str) -> bool:
            return isinstance(m, nn.Conv2d) or super().is_leaf_module(m, qualified_name)

    odd = nn.Sequential(Padded(3, 4, 2), nn.Conv2d(4, 4, 3, padding="same"), nn.Conv2d(4, 4, 3, padding_mode="reflect"))
    traced = fx.GraphModule(odd, Tracer().trace(odd))
    assert not fused_parts(fused(traced))
    x = torch.randn(1, 3, 9, 9)
    assert torch.equal(fused(traced)(x), odd(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_it_is_offered_it_is_used_and_random_numbers_stay_as_they_are(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert _supported.__wrapped__(dtype)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("fault", ["missing", "wrong"])
def test_a_fault_of_the_library_is_told_and_the_plain_graph_runs(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run(self: PackedWeights, x: Tensor, *operation: object) -> Tensor:
        if fault == "missing":
            raise AttributeError("no such operation")
        return torch.zeros_like(x)

    monkeypatch.setattr(PackedWeights, "run", run)
    assert not _supported.__wrapped__(torch.float32)
    assert {"missing": "no such operation", "wrong": "wrong values with ReLU"}[fault] in caplog.text


def test_a_whole_network_runs_without_an_addition_or_a_relu_of_its_own() -> None:
    clf = load_model("resnet18", weights="random", device="cpu")
    net = clf.split("layer3")
    assert isinstance(net.halves, TracedHalves)
    running = [*calls(net.halves._run_head), *calls(net.halves._run_tail)]
    assert running.count(FusedConv2d) == 20
    assert not {nn.Conv2d, nn.ReLU, torch.add}.intersection(running)
    tail = net.halves.tail_graph
    assert tail is not None and nn.Conv2d in calls(tail), "whoever reads the graph finds the network that was given"
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        theirs = clf.module(x)
        assert (net.model(x) - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def test_the_tail_in_another_dtype_does_not_use_the_old_weights() -> None:
    net = load_model("resnet18", weights="random", device="cpu").split("layer3")
    with torch.no_grad():
        acts = net.head(torch.randn(1, 3, 224, 224))
        single = net.tail(acts)
        double = net.tail_in(torch.float64).tail(acts.double())
    assert double.dtype == torch.float64
    assert 0 < (single - double).abs().max() < 1e-4 * double.abs().max()
