"""Where the logits are in what a network returns, and what makes one row per image of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from cam_core.types import ModelError

Choose: TypeAlias = Callable[[Any], Tensor]
"""What a network returns → its logits."""

NAMES: Final = ("logits", "out")
"""The names that transformers, and torchvision's networks with several outputs, give to logits."""
_HOW: Final = "say which by Classifier(…, logits=lambda output: …)"


def as_they_are(output: Any) -> Tensor:
    """For a network that is known to return logits (B, C ≥ 2) in float32: nothing is looked for."""
    logits: Tensor = output
    return logits


@dataclass(frozen=True)
class Answer:
    """How to get at the logits.

    Attributes:
        path: the keys, places and attributes that lead to them; ignored where `choose` is given.
        classes: numbers per image; a single one has two sides: see `two_sided`.
        reshaped: whether their shape may be another than (B, classes).
        cast: whether their dtype is another than float32.
    """

    choose: Choose | None
    path: tuple[str | int, ...]
    classes: int
    reshaped: bool
    cast: bool

    @property
    def single(self) -> bool:
        """Whether there is one number per image."""
        return self.classes == 1

    @property
    def plain(self) -> bool:
        """Whether the output is the logits (B, C ≥ 2) as they are."""
        return not (self.choose or self.path or self.single or self.reshaped or self.cast)

    def __call__(self, output: Any) -> Tensor:
        """The logits (B, classes) in an output."""
        logits = _at(self.path, output) if self.choose is None else self.choose(output)
        logits = logits.reshape(-1, self.classes) if self.reshaped else logits
        return logits.float() if self.cast else logits


def answer_in(one: Any, two: Any, choose: Choose | None) -> Answer:
    """How to get at the logits, learnt from what a network returned.

    Args:
        one, two: for one image, and for two at once.
    Raises:
        ModelError: there is no tensor of class scores in them, one row per image.
    """
    path = () if choose is not None else _path(two)
    row, rows = (_chosen(output, choose, path) for output in (one, two))
    classes = _classes(rows)
    usual = row.shape == (1, classes) and rows.shape == (2, classes)
    return Answer(choose, path, classes, reshaped=not usual, cast=rows.dtype != torch.float32)


def _chosen(output: Any, choose: Choose | None, path: tuple[str | int, ...]) -> Tensor:
    if choose is None:
        tensor: Tensor = _at(path, output)
        return tensor
    try:
        logits = choose(output)
    except Exception as error:  # a foreign function may raise anything
        raise ModelError(f"logits=… failed on {_described(output)}: {type(error).__name__}: {error}") from error
    if not isinstance(logits, Tensor):
        raise ModelError(f"logits=… gave {_described(logits)}, not a tensor")
    return logits


def _path(output: Any) -> tuple[str | int, ...]:
    """The way to the logits: the tensor itself, an entry by name, the only one, or the first of several."""
    if isinstance(output, Tensor):
        return ()
    step, inner = _step(output)
    return (step, *_path(inner))


def _step(output: Any) -> tuple[str | int, Any]:
    for name in NAMES:
        if isinstance(output, Mapping) and output.get(name) is not None:
            return name, output[name]
    if getattr(output, "logits", None) is not None:
        return "logits", output.logits
    tensors = [(key, value) for key, value in _entries(output) if isinstance(value, Tensor)]
    if len(tensors) == 1 or (tensors and not isinstance(output, Mapping)):
        return tensors[0]
    raise ModelError(f"the network returns {_described(output)}, and none of it is known to be logits: {_HOW}")


def _entries(output: Any) -> list[tuple[str | int, Any]]:
    if isinstance(output, Mapping):
        return list(output.items())
    return list(enumerate(output)) if isinstance(output, tuple | list) else []


def _at(path: tuple[str | int, ...], output: Any) -> Any:
    for step in path:
        named = isinstance(step, str) and not isinstance(output, Mapping)
        output = getattr(output, str(step)) if named else output[step]
    return output


def _classes(rows: Tensor) -> int:
    """Numbers per image in an answer to two images."""
    shape = " × ".join(map(str, rows.shape))
    if not rows.is_floating_point():
        raise ModelError(f"the network returns {rows.dtype} values, not scores: bring it without its argmax")
    if rows.ndim == 0 or len(rows) != 2 or not rows.numel():
        raise ModelError(f"for 2 images the network returns {shape or 'one number'}, not one row of logits per image")
    if rows.ndim > 2 and rows.numel() > rows.shape[0] * rows.shape[1]:
        raise ModelError(
            f"for 2 images the network returns {shape}: {_several(rows.ndim)}, not one row of logits per image; if you "
            "ask about their mean, say so by Classifier(…, logits=cam_core.targets.mean_scores)"
        )
    return rows.numel() // 2


def _several(dimensions: int) -> str:
    return "one score per position, as segmentation or a feature extractor does" if dimensions == 4 else "several rows"


def _described(output: Any) -> str:
    name = type(output).__name__
    keys = ", ".join(str(key) for key, value in _entries(output) if value is not None)
    return f"{name} ({keys})" if isinstance(output, Mapping) else name
