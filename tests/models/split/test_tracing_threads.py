"""Tracing in one thread while others compute: `torch.fx` replaces what every module of the process is called by."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cam_core.models.split.sized_tracing import _SizedTracer
from cam_core.models.split.tracing import trace
from tests.tiny import tiny

SOON = 30.0
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class Slow(nn.Module):
    """Waits in the middle of its forward pass, in a thread that traces it too."""

    def __init__(self, wait: Callable[[], None]) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
        self._wait = [wait]

    def __deepcopy__(self, memo: object) -> Slow:
        duplicate = Slow(self._wait[0])
        duplicate.load_state_dict(self.state_dict())
        return duplicate

    def forward(self, images: Tensor) -> Tensor:
        acts = self.first(images)
        if isinstance(acts, torch.fx.Proxy):
            self._wait[0]()
        return self.last(acts).mean((2, 3))


def test_others_compute_while_a_network_is_traced() -> None:
    entered, go = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert go.wait(SOON)

    network = tiny("residual", 0).eval()
    graph = torch.fx.GraphModule(network, trace(network, (64, 64)).graph)
    with torch.no_grad():
        expected = network(IMAGES)
    traced = []
    tracing = threading.Thread(target=lambda: traced.append(trace(Slow(wait).eval(), (64, 64))))
    tracing.start()
    assert entered.wait(SOON)
    with torch.no_grad():
        assert torch.equal(network(IMAGES), expected)
        assert torch.allclose(graph(IMAGES), expected)
    go.set()
    tracing.join(SOON)
    targets = [str(node.target) for node in traced[0].graph.nodes if node.op == "call_module"]
    assert targets == ["first", "last"], "nothing of the others is in the graph"


def test_networks_traced_in_several_threads_leave_modules_as_they_were() -> None:
    call, errors = nn.Module.__call__, []

    def work(seed: int) -> None:
        try:
            for _ in range(5):
                trace(tiny("residual", seed).eval(), (64, 64))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not errors and nn.Module.__call__ is call


def test_who_is_inside_a_module_when_a_trace_ends_computes_on() -> None:
    tracer, layer = _SizedTracer((3, 64, 64), buffers=False), nn.ReLU()
    vars(tracer).clear()  # as the end of a trace does
    assert torch.equal(tracer.call_module(layer, layer.forward, (IMAGES,), {}), IMAGES.relu())
    assert tracer.getattr("scale", 2.0, {}) == 2.0
