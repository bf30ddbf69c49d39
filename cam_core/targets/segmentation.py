"""Targets for networks that score every position, such as torchvision's DeepLab: the mean score over a mask.

clf = Classifier(deeplab, labels, logits=mean_scores)             # as a classifier: the mean over the whole image
explain(clf, image, target=MaskMean("cat", mask))                 # why is a cat there, where the mask is?
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx
from torch.nn import functional

from cam_core.models.brought.answers import NAMES, Choose
from cam_core.targets.scores import Class, Find, LinearScore
from cam_core.types import Logits, TargetError


def mean_scores(output: Any) -> Logits:
    """The scores (B, C, h, w) that a segmentation network returns, alone or as "out" → their means over the image."""
    return _scores_in(output).mean((2, 3))


@dataclass(frozen=True)
class Mask:
    """A mask as plain data: `bits` are those of (height, width) in rows, eight in a byte."""

    height: int
    width: int
    bits: bytes

    @classmethod
    def of(cls, array: npt.ArrayLike) -> Mask:
        """The mask of an array (H, W), true where it counts.

        Raises:
            TargetError: another shape or dtype, or true nowhere.
        """
        mask = np.asarray(array)
        if mask.ndim != 2 or mask.dtype != bool:
            raise TargetError(f"a mask is (H, W) of bool, not {mask.shape} of {mask.dtype}")
        if not mask.any():
            raise TargetError("the mask is true nowhere: there is nothing to take the mean of")
        height, width = mask.shape
        return cls(height, width, np.packbits(mask).tobytes())

    @property
    def tensor(self) -> Tensor:
        """(1, 1, height, width) float32, 0 and 1."""
        bits = np.unpackbits(np.frombuffer(self.bits, dtype=np.uint8), count=self.height * self.width)
        return torch.from_numpy(bits.astype(np.float32)).reshape(1, 1, self.height, self.width)

    @property
    def digest(self) -> str:
        """Eight digits that tell it from others."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:8]


@dataclass(frozen=True, init=False)
class MaskMean(LinearScore):
    """The mean of a class's scores over the positions of a mask: why are they that class?

    After Vinogradova et al. 2020 (Seg-Grad-CAM, arXiv:2002.11434), whose sum over the positions this is, divided by
    their number. For a network that returns scores (B, C, h, w), alone or as "out", brought as
    `Classifier(…, logits=mean_scores)`.

    Args:
        mask: (H, W) of bool, of the frame that the network sees. Where its scores have another size, the mask is
            brought to that: each position then counts by the share of it that the mask covers.
    """

    quantity = "mean score"
    unit = "units of the score"
    of: Class
    mask: Mask

    def __init__(self, of: Class, mask: npt.ArrayLike | Mask) -> None:
        object.__setattr__(self, "of", of)
        object.__setattr__(self, "mask", mask if isinstance(mask, Mask) else Mask.of(mask))

    def resolved(self, find: Find) -> MaskMean:
        return MaskMean(find(self.of), self.mask)

    @property
    def text(self) -> str:
        return f"mask {self.mask.digest}: {self.of}"

    def title(self, labels: Sequence[str]) -> str:
        return f"{labels[int(self.of)]} in the mask"

    def weights(self) -> Mapping[int, float]:
        return {int(self.of): 1.0}

    @property
    def choose(self) -> Choose:
        return _MeansOver(self.mask)


@dataclass(frozen=True)
class _MeansOver:
    mask: Mask

    def __call__(self, output: Any) -> Logits:
        return _means_over(_scores_in(output), self.mask.tensor)


def _scores_in(output: Any) -> Tensor:
    """Also while `torch.fx` traces, when it is none of torch's tensors."""
    if isinstance(output, Mapping):
        output = next((output[name] for name in NAMES if output.get(name) is not None), output)
    if isinstance(output, Tensor) and output.ndim != 4:
        raise TargetError(f"the mean over a mask is of scores (B, C, h, w), and the network returns {_shape(output)}")
    if not isinstance(output, Tensor | fx.Proxy):
        raise TargetError(
            f"the mean over a mask is of scores (B, C, h, w), and the network returns {type(output).__name__}"
        )
    return output  # type: ignore[return-value]


def _shape(scores: Tensor) -> str:
    return " × ".join(map(str, scores.shape))


def _means_over(scores: Tensor, mask: Tensor) -> Logits:
    """(B, C, h, w), (1, 1, H, W) → (B, C)."""
    size = (scores.shape[2], scores.shape[3])
    weights = functional.interpolate(mask.to(scores), size, mode="area")
    return (scores * (weights / weights.sum())).sum((2, 3))


# The size of the scores is known when it runs, and not when it is traced.
fx.wrap("_means_over")
