"""Decisions that a network makes by the shapes of its tensors, while it is traced.

`torch.fx` follows symbols, and `if x.shape[1] != self.channels` asks one for a truth. A truth about shapes, dtypes and
devices that changes neither with the number of images nor with their size holds for all that the graph will be run on.
What depends on values stays refused.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from cam_core.models.noise import InputSize, image_shape, noise_for

_ATTRIBUTES: Final = frozenset("shape ndim dtype device is_cuda is_mps layout".split())
_METHODS: Final = frozenset("size dim ndimension numel nelement is_floating_point is_complex get_device".split())


class Decisions:
    """Runs what has been traced so far, as far as a decision needs it, on noise of several batch sizes and two sizes.

    Args:
        root: the module that is being traced.
        graph: grows meanwhile.
    """

    def __init__(self, root: nn.Module, graph: fx.Graph, input_size: InputSize) -> None:
        channels, height, width = image_shape(input_size)
        # Of another parity and another shape: what a network pads, or asks to be square, is no truth for all sizes.
        larger = (channels, height + 33, width + 50)
        self._usual = [_Run(root, graph, noise_for(root, input_size, images=count)) for count in (1, 2)]
        self._larger = _Run(root, graph, noise_for(root, larger, images=3))

    def about(self, node: fx.Node) -> bool | None:
        """The truth of a node's value; None where it depends on more than shapes, or differs from image to image."""
        if not _is_of_shapes(node):
            return None
        truths = {bool(run.value(node)) for run in self._usual}
        with suppress(Exception):  # a foreign network may raise anything; this one takes images of one size alone
            truths.add(bool(self._larger.value(node)))
        return truths.pop() if len(truths) == 1 else None


class _Run(fx.Interpreter):
    """An interpreter of a graph that is still growing."""

    def __init__(self, root: nn.Module, graph: fx.Graph, images: Tensor) -> None:
        super().__init__(root, garbage_collect_values=False, graph=graph)
        self._images = images

    def placeholder(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[0] if args else self._images

    @torch.no_grad()
    def value(self, wanted: fx.Node) -> Any:
        for node in self.graph.nodes:
            if node not in self.env:
                self.env[node] = self.run_node(node)
            if node is wanted:
                break
        return self.env[wanted]


def _is_of_shapes(node: fx.Node) -> bool:
    """Whether a value follows from what is known of tensors without looking into them."""
    if _reads_shape(node):
        return True
    return node.op in ("call_function", "call_method") and all(map(_is_of_shapes, node.all_input_nodes))


def _reads_shape(node: fx.Node) -> bool:
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in _ATTRIBUTES
    return node.op == "call_method" and node.target in _METHODS
