"""Folding, batches that survive running out of memory, precision, and the compiled form."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cam_core.masked import distinct_channels
from cam_core.models import batching
from cam_core.models.batching import batches_within, in_batches
from cam_core.models.precision import dtype_of
from cam_core.models.split.halves import build_halves
from cam_core.models.split.model import SplitModel
from cam_core.models.split.prepare import fold_batch_norms
from cam_core.run import Run
from cam_core.types import DeviceError
from tests.pretend.device import Pretended, pretend
from tests.pretend.refusals import name_of
from tests.pretend.tensors import PretendTensor
from tests.tiny import enliven, tiny, tiny_classifier, tiny_images


def test_batches_are_concatenated_in_order_and_reported() -> None:
    told: list[int] = []
    result = in_batches(lambda a, b: torch.arange(a, b), 10, 4, told.append)
    assert result.tolist() == list(range(10)) and told == [4, 4, 2]


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    asked: list[tuple[int, int]] = []

    def hungry(start: int, stop: int) -> Tensor:
        asked.append((start, stop))
        if stop - start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.arange(start, stop)

    assert in_batches(hungry, 10, 8).tolist() == list(range(10))
    assert asked == [(0, 8), (0, 4), (0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]


def test_out_of_memory_on_the_cpu_is_recognised() -> None:
    def hungry(start: int, stop: int) -> Tensor:
        if stop - start > 1:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte"
            )
        return torch.zeros(1)

    assert len(in_batches(hungry, 5, 4)) == 5


def test_one_row_too_large_is_a_clear_error() -> None:
    def starving(start: int, stop: int) -> Tensor:
        raise MemoryError

    with pytest.raises(DeviceError, match="even for one image"):
        in_batches(starving, 3, 2)


def test_other_errors_pass_through() -> None:
    def broken(start: int, stop: int) -> Tensor:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        in_batches(broken, 3, 2)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(DeviceError, match="float16"):
        dtype_of("float16")


def test_folding_leaves_no_batch_norm_behind_a_convolution_and_changes_nothing() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    with torch.no_grad():
        for norm in (module[1], module[3]):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.normal_()
            norm.bias.normal_()
        image = torch.randn(2, 3, 8, 8)
        expected = module(image)
        graph = torch.fx.symbolic_trace(module)
        fold_batch_norms(graph)
        kinds = [type(graph.get_submodule(node.target)) for node in graph.graph.nodes if node.op == "call_module"]
        assert kinds == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d]
        torch.testing.assert_close(graph(image), expected, rtol=1e-5, atol=1e-6)


def test_a_shared_convolution_is_not_folded() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.norm(self.conv(x)))

    module = Shared().eval()
    module.norm.running_var.fill_(4)
    image = torch.randn(1, 3, 4, 4)
    graph = torch.fx.symbolic_trace(module)
    fold_batch_norms(graph)
    torch.testing.assert_close(graph(image), module(image))


def test_bfloat16_is_close_and_float64_exact() -> None:
    module, images = tiny("residual"), tiny_images(2, seed=0)
    with torch.no_grad():
        expected = module.double()(images.double())
        module.float()
        for precision, bound in (("bfloat16", 0.05), ("float32", 1e-5), ("float64", 1e-12)):
            net = SplitModel(build_halves(module, "conv2", images, precision=precision), precision)
            found = net.tail(net.head(images.to(net.dtype)))
            assert (found.double() - expected).abs().max() <= bound * expected.abs().max()


def test_distinct_channels_counts_constant_ones_once_and_keeps_first_appearance() -> None:
    map_a, map_b = torch.rand(2, 3, 3).unbind()
    acts = torch.stack([map_b, torch.full((3, 3), 5.0), map_a, torch.zeros(3, 3), map_b, map_a])
    first, kind = distinct_channels(acts)
    assert first.tolist() == [0, 1, 2] and kind.tolist() == [0, 1, 2, 1, 0, 2]


def test_streams_differ_and_repeat() -> None:
    run = Run(seed=3)
    draws = [torch.rand(4, generator=run.generator(stream)) for stream in (0, 1, 0)]
    assert torch.equal(draws[0], draws[2]) and not torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], torch.rand(4, generator=torch.Generator().manual_seed(3)))


@pytest.mark.slow
def test_compiled_equals_uncompiled_whatever_the_batch() -> None:
    from cam_core.models.split.compiled import CompiledHalves

    module, images = tiny("plain"), tiny_images(5, seed=0)
    halves = build_halves(module, "features", images[:1])
    compiled = CompiledHalves(halves)
    with torch.no_grad():
        for count in (5, 2, 4):
            torch.testing.assert_close(
                compiled.whole(images[:count]), halves.whole(images[:count]), rtol=1e-4, atol=1e-5
            )
    assert not compiled.problem


def test_failing_compiler_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from cam_core.models.split import compiled as compilation

    def broken(function: object, **options: object) -> object:
        def call(*args: object) -> Tensor:
            raise RuntimeError("no C++ compiler was found")

        return call

    monkeypatch.setattr(compilation.torch, "compile", broken)
    images = tiny_images(2, seed=0)
    halves = build_halves(tiny("plain"), "features", images[:1])
    compiled = compilation.CompiledHalves(halves)
    with torch.no_grad():
        torch.testing.assert_close(compiled.whole(images), halves.whole(images))
    assert "C++ compiler" in compiled.problem


def test_batches_last_no_longer_than_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row takes 0.04 s here: two fit into 0.1 s. While nobody waits, batches are as large as ever."""
    now, sizes, waiting = [0.0], [], [True]
    monkeypatch.setattr(batching, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def function(start: int, stop: int) -> Tensor:
        now[0] += 0.04 * (stop - start)
        sizes.append(stop - start)
        waiting[0] = start < 7
        return torch.arange(start, stop)

    with batches_within(lambda: 0.1 if waiting[0] else None):
        assert in_batches(function, 30, 8).tolist() == list(range(30))
    assert sizes == [2, 2, 2, 2, 2, 8, 8, 4]
    assert in_batches(function, 16, 8).tolist() == list(range(16))
    assert sizes[8:] == [8, 8], "outside there is no limit"


def test_a_gpu_that_never_answers_alike_still_has_the_network_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN may take another algorithm at the second pass; to the bit is asked of the CPU alone."""
    run = Pretended.run

    def unsteady(device: Pretended, func: Any, args: Any, kwargs: Any) -> Any:
        out = run(device, func, args, kwargs)
        there = name_of(func) == "convolution" and isinstance(out, PretendTensor)
        return out * (1 + 1e-6 * torch.rand(1).item()) if there else out

    monkeypatch.setattr(Pretended, "run", unsteady)
    with pretend("cuda"):
        net, image = tiny_classifier("residual", device="cuda").split(), tiny_images(1).to("cuda")
        assert net.halves.traced
        assert not torch.equal(net.model(image).cpu(), net.model(image).cpu())


@pytest.mark.parametrize("network", ["dense", "residual"])
def test_a_batch_norm_gets_its_own_dtype_on_apples_gpu(network: str) -> None:
    """In `dense` it follows no convolution and cannot be folded."""
    here = tiny_classifier(network).logits(tiny_images(2), precision="bfloat16")
    with pretend("mps", old=True):
        there = tiny_classifier(network, device="mps").logits(tiny_images(2), precision="bfloat16").cpu()
    torch.testing.assert_close(there, here, rtol=0.02, atol=0.02 * float(here.abs().max()))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_a_tail_of_apples_gpu_goes_on_in_float64(affine: bool, tracked: bool) -> None:
    """A batch norm that keeps float32 beside bfloat16 follows when its tail is converted: nothing is rounded there."""
    head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    norm = nn.BatchNorm2d(4, affine=affine, track_running_stats=tracked)
    module = nn.Sequential(head, norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    enliven(module)
    acts = torch.rand(2, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    answers = []
    for kind in ("cpu", "mps"):
        with pretend("mps", old=True), torch.no_grad():
            halves = build_halves(module, "0", tiny_images(2).to(kind), precision="bfloat16")
            tail = SplitModel(halves, "bfloat16").tail_in(torch.float64)
            answers.append(tail.tail(acts))
            assert answers[-1].dtype == torch.float64 and answers[-1].device.type == "cpu"
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-12, atol=1e-12)
