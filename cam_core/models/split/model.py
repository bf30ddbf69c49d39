"""SplitModel: a classifier cut in two after a layer, so that what varies only the activations runs the tail alone.

    image → head → activations → tail → logits

The head's *context*, every value that crosses the cut beside the activations, is remembered by the SplitModel and
expanded to the tail's batch. See `cam_core.models.split.halves` for the halves themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cam_core.models.devices import in_dtype, layout
from cam_core.models.precision import DTYPES, computing_in, dtype_of
from cam_core.models.split.halves import Context, Halves
from cam_core.models.split.tracing import (
    called_modules,
    module_outputs,
)
from cam_core.types import Activations, Images, Logits, Passes


class SplitModel:
    """One user's view of a pair of halves: remembers the context of its own image and counts its own passes.

    Cheap to make; the halves behind it are shared. Not to be shared between threads: `fork` one per thread.
    """

    def __init__(
        self,
        halves: Halves,
        precision: str = "float32",
        counter: list[int] | None = None,
        exact: Callable[[], Halves] | None = None,
    ) -> None:
        self.halves = halves
        self.precision = precision
        self.context: Context = ()
        self._images = 1  # that the context is of
        self._exact = exact
        # float64 stays float64; bfloat16 is for the halves alone, methods compute on float32.
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self._inner = dtype_of(precision)
        self._counter = [0, 0] if counter is None else counter

    @property
    def passes(self) -> Passes:
        """Images pushed through head and tail so far, by this view and its samples."""
        return Passes(*self._counter)

    def fork(self) -> SplitModel:
        """A fresh view of the same halves, without context; it counts into the same passes."""
        return SplitModel(self.halves, self.precision, self._counter, self._exact)

    def exact(self) -> SplitModel | None:
        """A fresh view of the network in float32, where this one is coarser and it is known; counts the same passes."""
        return None if self._exact is None else SplitModel(self._exact(), "float32", self._counter)

    def sample(self, index: int) -> SplitModel:
        """A view whose context is that of image `index` alone: its tail takes any number of rows for that image."""
        view = self.fork()
        view.context = tuple(_of_image(value, index, self._images) for value in self.context)
        return view

    def tail_in(self, dtype: torch.dtype) -> SplitModel:
        """This view with the tail, and the context, in another dtype: float64 where float32 loses too many digits.

        On the CPU where the device has no such dtype: see `cam_core.models.devices.in_dtype`.
        """
        precision = next(name for name, kind in DTYPES.items() if kind == dtype)
        halves = self.halves if dtype == self._inner else self.halves.tail_in(dtype)
        view = SplitModel(halves, precision, self._counter)
        view.context = tuple(in_dtype(value, dtype) for value in self.context)
        view._images = self._images
        return view

    def head(self, images: Images) -> Activations:
        """The head: (B, channels, H, W) → (B, K, h, w); remembers the context for `tail`."""
        acts, self.context = self._run_head(images)
        self._images = len(images)
        return acts.to(self.dtype)

    def head_exactly(self, images: Images) -> Activations:
        """`head` in float32 where that is finer, for jobs in which one such pass is lost among the many that follow."""
        exact = self.exact()
        if exact is None:
            return self.head(images)
        acts = exact.head(images)
        self.context = tuple(value.to(self._inner) for value in exact.context)
        self._images = len(images)
        return acts

    def tail(self, acts: Activations) -> Logits:
        """The tail: (B·M, K, h, w) → (B·M, C), rows in the order b0m0, b0m1, …; never writes into `acts`."""
        return self._run_tail(acts.to(self._inner), self.context).to(self.dtype)

    def model(self, images: Images) -> Logits:
        """Head and tail in one: (B, channels, H, W) → (B, C); leaves the remembered context alone."""
        self._counter[0] += len(images)
        self._counter[1] += len(images)
        with computing_in(self.precision, images.device):
            return self.halves.whole(self._laid_out(images)).to(self.dtype)

    def outputs_of(self, images: Images, acts: Activations, names: Sequence[str]) -> tuple[Tensor, ...] | None:
        """The outputs of inner modules, one tensor per name, for `images` with `acts` and this view's context.

        Costs a pass of the half that holds them all; None where neither does, or the network was not traced.
        """
        for half, graph in ((1, self.halves.tail_graph), (0, self.halves.head_graph)):
            if graph is not None and set(names) <= called_modules(graph):
                self._counter[half] += len(images)
                inputs = (acts.to(self._inner), *self.context) if half else (self._laid_out(images),)
                with computing_in(self.precision, images.device):
                    return tuple(output.to(self.dtype) for output in module_outputs(graph, inputs, names))
        return None

    def _run_head(self, images: Images) -> tuple[Activations, Context]:
        self._counter[0] += len(images)
        with computing_in(self.precision, images.device):
            return self.halves.head(self._laid_out(images))

    def _laid_out(self, images: Images) -> Images:
        return images.to(self._inner, memory_format=layout(images.device))

    def _run_tail(self, acts: Activations, context: Context) -> Logits:
        self._counter[1] += len(acts)
        with computing_in(self.precision, acts.device):
            return self.halves.tail(acts, tuple(_expanded(value, self._images, len(acts)) for value in context))


def _of_image(value: Tensor, index: int, images: int) -> Tensor:
    """The part of a context value that is of one image; where windows are folded into its rows, all of that image."""
    per_image = max(1, len(value) // images)
    return value if len(value) == 1 else value[index * per_image : (index + 1) * per_image]


def _expanded(value: Tensor, images: int, rows: int) -> Tensor:
    """A context value of `images`, each of them repeated for its share of a tail batch of `rows`."""
    if images == rows:
        return value
    if len(value) == 1:
        return value.expand(rows, *value.shape[1:])
    if images == 0 or rows % images:
        raise ValueError(f"a tail batch of {rows} rows does not divide among {images} images")
    if len(value) == images:
        return value.repeat_interleave(rows // images, dim=0)
    # Heads or windows folded into the rows, those of one image together.
    per_image = value.reshape(images, len(value) // images, *value.shape[1:])
    return per_image.repeat_interleave(rows // images, dim=0).flatten(0, 1)
