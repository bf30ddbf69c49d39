"""Compiling the whole prepared network for jobs long enough to earn it back: one batch shape, weights frozen in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from cam_core.models.batching import is_out_of_memory
from cam_core.models.devices import layout
from cam_core.models.split.halves import Context, Halves
from cam_core.types import Activations, Images, Logits


class CompiledHalves:
    """Halves whose joint forward pass is compiled by `torch.compile` at its first call without gradients.

    Every batch is padded to the largest seen so far, because each new shape would compile anew. Where compiling fails
    (there is no C++ compiler, say) the network runs as it is, and `problem` says why.
    """

    def __init__(self, halves: Halves) -> None:
        self._halves = halves
        self.traced = halves.traced
        self.head_graph, self.tail_graph = halves.head_graph, halves.tail_graph
        self.problem = ""
        self._rows = 0
        self._lock = threading.Lock()
        # The type of a compiled function depends on torch's version.
        compile_function = cast(Any, torch.compile)
        self._whole: Callable[[Tensor], Tensor] = compile_function(
            _readable(halves), dynamic=False, options={"freezing": True}
        )

    def head(self, images: Images) -> tuple[Activations, Context]:
        return self._halves.head(images)

    def tail(self, acts: Activations, context: Context) -> Logits:
        return self._halves.tail(acts, context)

    def tail_in(self, dtype: torch.dtype) -> Halves:
        return self._halves.tail_in(dtype)

    def whole(self, images: Images) -> Logits:
        if torch.is_grad_enabled() or self.problem:
            return self._halves.whole(images)
        with self._lock:
            self._rows = max(self._rows, len(images))
            padding = images[-1:].expand(self._rows - len(images), *images.shape[1:])
            padded = torch.cat([images, padding]) if len(padding) else images
            try:
                return self._whole(padded.contiguous(memory_format=layout(padded.device)))[: len(images)]
            except Exception as error:  # the compiler's errors have no common base
                if is_out_of_memory(error):
                    self._rows = 0
                    raise
                self.problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        return self._halves.whole(images)


def _readable(halves: Halves) -> Callable[[Images], Logits]:
    """The forward pass as its graphs say it: a compiler cannot look into what was fused by hand."""
    head, tail = halves.head_graph, halves.tail_graph
    if head is None or tail is None:
        return halves.whole

    def whole(images: Images) -> Logits:
        acts, context = head(images)
        logits: Logits = tail(acts, *context)
        return logits

    return whole
