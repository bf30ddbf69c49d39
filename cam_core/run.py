"""Run: what a method may ask of its surroundings — randomness, progress, warnings, masked images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cam_core.masked import MaskRows, masked_scores
from cam_core.models.classifier import Classifier
from cam_core.models.split.model import SplitModel
from cam_core.options import Options
from cam_core.types import Images, Progress


def _silent(done: int, total: int) -> None:
    """Progress nobody listens to."""


class Run:
    """One call of one method on one batch.

    Args:
        batch: number of images.
        mean, std: of the classifier's preprocessing, one number per channel: they say what a black pixel is in the
            normalised input.
        progress: called as work advances; may raise `Cancelled`.

    Attributes:
        seconds_told: spent in `progress`, which may let others compute meanwhile.
    """

    def __init__(
        self,
        *,
        batch: int = 1,
        seed: int = 0,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        progress: Progress | None = None,
    ) -> None:
        self.seed = seed
        self.warnings: list[list[str]] = [[] for _ in range(batch)]
        self._mean, self._std = mean, std
        self._progress = progress or _silent
        self._done, self._total = 0, 0
        self.seconds_told = 0.0

    @classmethod
    def of(cls, clf: Classifier, options: Options, batch: int = 1) -> Run:
        """A call on `batch` images of this classifier."""
        frame = clf.preprocessing
        return cls(batch=batch, seed=options.seed, mean=frame.mean, std=frame.std, progress=options.progress)

    def generator(self, stream: int = 0) -> torch.Generator:
        """A fresh CPU generator; the same seed and stream give the same numbers.

        Take one per sample: every sample then draws the same numbers, so that a result depends neither on the
        batch around it nor on the device. Draws that may be repeated or batched differently (after running out of
        memory, say) take a stream each.
        """
        # The odd constant of a Weyl sequence spreads streams over all seeds; stream 0 is the seed itself.
        return torch.Generator().manual_seed((self.seed + 0x9E3779B97F4A7C15 * stream) % (1 << 63))

    def expect(self, total: int) -> None:
        """Announce `total` further units of work."""
        self._total += total
        self._tell()

    def advance(self, done: int = 1) -> None:
        """Report `done` units as finished. Raises whatever the progress callback raises, such as `Cancelled`."""
        self._done += done
        self._total = max(self._total, self._done)
        self._tell()

    def _tell(self) -> None:
        began = time.perf_counter()
        try:
            self._progress(self._done, self._total)
        finally:
            self.seconds_told += time.perf_counter() - began

    def warn(self, sample: int, message: str) -> None:
        """Attach a sentence to the explanation of image `sample`."""
        self.warnings[sample].append(message)

    def fill(self, mask_space: str, like: Tensor) -> Tensor:
        """The value of a masked pixel, (1, channels, 1, 1): the mean colour ("normalized") or black ("pixel")."""
        if mask_space == "normalized":
            return torch.zeros(1, len(self._mean), 1, 1, dtype=like.dtype, device=like.device)
        black = [-mean / std for mean, std in zip(self._mean, self._std, strict=True)]
        return torch.tensor(black, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)

    def masked(
        self,
        net: SplitModel,
        image: Images,
        rows: MaskRows,
        count: int,
        target: Tensor | int,
        *,
        mask_space: str = "normalized",
        score: str = "logit",
        advance: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Scores (count,) of one image (1, channels, H, W) under `count` masks: see `cam_core.masked.masked_scores`."""
        return masked_scores(
            net,
            image,
            rows,
            count,
            target,
            fill=self.fill(mask_space, image),
            score=score,
            advance=self.advance if advance is None else advance,
        )
