"""The pretended device itself: its values are the CPU's, and it refuses what the real ones refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.pretend.device import pretend


@pytest.fixture(params=["cuda", "mps"])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    with pretend(request.param):
        yield request.param


def test_values_and_gradients_are_the_cpus() -> None:
    x, w = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3)

    def loss(x: Tensor, w: Tensor) -> Tensor:
        return functional.max_pool2d(functional.conv2d(x, w).relu(), 2).square().sum()

    (here,) = torch.autograd.grad(loss(leaf := x.clone().requires_grad_(), w), leaf)
    with pretend("mps"):
        (there,) = torch.autograd.grad(loss(leaf := x.to("mps").requires_grad_(), w.to("mps")), leaf)
        assert there.device.type == "mps"
        assert torch.equal(here, there.cpu())


@pytest.mark.parametrize(
    ("do", "error"),
    [
        (lambda x: x + torch.ones(3), RuntimeError),
        (lambda x: x.numpy(), TypeError),
        (lambda x: np.asarray(x), TypeError),
        (lambda x: torch.ones(3)[x > 0], RuntimeError),
        (lambda x: torch.cat([x, x.cpu()]), RuntimeError),
        (lambda x: torch.randn(3, device=x.device, generator=torch.Generator()), RuntimeError),
        (lambda x: torch.ones(3).add_(x), RuntimeError),
    ],
)
def test_refused_by_both(kind: str, do: Callable[[Tensor], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        do(torch.ones(3, device=kind))


@pytest.mark.parametrize(
    "do",
    [
        lambda x: x.double(),
        lambda x: x.to("cpu", torch.float64),
        lambda x: torch.zeros(3, dtype=torch.float64, device=x.device),
        lambda x: torch.zeros(3, dtype=torch.float64).to(x.device),
    ],
)
def test_no_float64_on_apples(do: Callable[[Tensor], object]) -> None:
    with pretend("mps"), pytest.raises((TypeError, RuntimeError)):
        do(torch.ones(3, device="mps"))
    with pretend("cuda"):
        do(torch.ones(3, device="cuda"))


def test_what_is_allowed(kind: str) -> None:
    x = torch.arange(6.0, device=kind).view(2, 3)
    assert x[torch.tensor([1])].cpu().tolist() == [[3, 4, 5]]
    assert (x * torch.tensor(2.0)).sum().tolist() == 30
    assert x.cpu().double().sum() == 15
    assert torch.rand(3, dtype=torch.float64).to(x).dtype == torch.float32


@pytest.mark.parametrize(
    "do",
    [lambda x: torch.unique(x, dim=0), torch.linalg.eigh, lambda x: functional.fold(x[:, :1], (2, 2), 2)],
)
def test_what_older_torch_lacks_on_apples(do: Callable[[Tensor], object]) -> None:
    x = torch.eye(4)
    with pretend("mps", old=True), pytest.raises(NotImplementedError, match="MPS"):
        do(x.to("mps"))
    with pretend("mps"):
        do(x.to("mps"))


def test_batch_norm_of_two_dtypes_aborts_on_older_apples() -> None:
    norm, x = torch.nn.BatchNorm2d(3).eval(), torch.ones(1, 3, 4, 4, dtype=torch.bfloat16)
    with pretend("mps", old=True), pytest.raises(SystemError, match="aborts"):
        norm.to("mps")(x.to("mps"))


def test_no_channels_last_on_apples(kind: str) -> None:
    x, w = torch.ones(2, 3, 4, 4, device=kind), torch.ones(2, 3, 2, 2, device=kind)
    functional.conv2d(x, w)
    with pytest.raises(RuntimeError, match="silently wrong") if kind == "mps" else nullcontext():
        functional.conv2d(x.to(memory_format=torch.channels_last), w)


def test_convolutions_round_as_the_switch_says(restored_switches: None) -> None:
    x, w = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3)
    exact = functional.conv2d(x, w)
    with pretend("cuda") as ledger:
        rounded = functional.conv2d(x.to("cuda"), w.to("cuda")).cpu()
        assert 1e-5 < (rounded - exact).abs().max() < 1e-2
        assert ledger.rounded == 1
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        assert torch.equal(functional.conv2d(x.to("cuda"), w.to("cuda")).cpu(), exact)
    with pretend("mps"):
        assert torch.equal(functional.conv2d(x.to("mps"), w.to("mps")).cpu(), exact)


@pytest.mark.parametrize(("kind", "error"), [("cuda", torch.OutOfMemoryError), ("mps", RuntimeError)])
def test_memory_ends_for_more_than_one_row(kind: str, error: type[Exception]) -> None:
    with pretend(kind, oom=1.0) as ledger:
        weight = torch.ones(1, 3, 1, 1, device=kind)
        functional.conv2d(torch.ones(1, 3, 2, 2, device=kind), weight)
        with pytest.raises(error, match="out of memory"):
            functional.conv2d(torch.ones(2, 3, 2, 2, device=kind), weight)
        assert ledger.ooms == 1


def test_it_is_there_inside_the_block_alone(kind: str) -> None:
    device = torch.ones(1, device=kind).device
    assert device.type == kind
    with pretend("mps" if kind == "cuda" else "cuda"):
        pass
    assert torch.ones(1, device=kind).sum() == 1
