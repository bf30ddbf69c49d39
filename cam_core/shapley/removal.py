"""The network's answers when channels are taken away one after the other: the check that anybody can make on phi."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from cam_core.deprecated import formerly_positional
from cam_core.forward import forward
from cam_core.masked import tail_rows
from cam_core.models.batching import in_batches
from cam_core.models.classifier import Classifier
from cam_core.models.devices import double
from cam_core.options import Options
from cam_core.run import Run
from cam_core.shapley.estimate import Estimate
from cam_core.targets.asking import Asked, ClassTarget, Target, ask
from cam_core.types import MethodError, Progress


@dataclass(frozen=True)
class Removal:
    """The network's answer after the first 0, 1, … n channels of an order were set to 0.

    Attributes:
        order: (n,) channel numbers.
        logit, probability: (n + 1,) of the explained class; of another target its value, and no probability unless it
            is one.
        best: (n + 1,) the most probable class.
    """

    order: tuple[int, ...]
    logit: Tensor
    probability: Tensor | None
    best: Tensor

    def predicted(self, estimate: Estimate) -> Tensor:
        """(n + 1,) the logit less the phi of what was removed: what it would be if channels did not interact."""
        changes = estimate.phi[list(self.order)].double()
        return estimate.v_all - torch.cat([changes.new_zeros(1), changes.cumsum(0)])


@formerly_positional("layer", "target", "order", "progress", "precision")
def remove_channels(
    clf: Classifier,
    image: Image.Image | Tensor,
    *,
    layer: str,
    target: Target,
    order: Sequence[int],
    precision: str = "float32",
    progress: Progress | None = None,
) -> Removal:
    """Set channels to 0 cumulatively, in the given order: n + 1 passes of the tail.

    Args:
        image: PIL image, or a normalised float tensor (channels, H, W) or (1, channels, H, W).
        target: class index or label, or another target: see `explain`.
        order: channel numbers, each at most once.
        progress: called as `progress(done, total)` between batches, in tail passes; may raise `Cancelled`.
    Raises:
        MethodError: a channel that the layer does not have, or the same one twice.
        CamError: a subclass that names what else is wrong.
    """
    options = Options(precision=precision, progress=progress)
    asked, asked_class = ask(clf, target)
    base = asked.base if isinstance(asked, Asked) else clf
    seen = forward(base, [image], [None], [layer], options)
    acts, sample = seen.acts[0], seen.nets[0].sample(0)
    run = Run.of(clf, options)
    with torch.no_grad():
        coalitions = _coalitions(order, acts.shape[1]).to(acts)
        run.expect(len(coalitions))

        def evaluate(start: int, stop: int) -> Tensor:
            return sample.tail(acts * coalitions[start:stop, :, None, None])

        logits = double(in_batches(evaluate, len(coalitions), tail_rows(sample, acts), run.advance)).cpu()
    return Removal(tuple(order), *_followed(asked, asked_class, logits), logits.argmax(1))


def _followed(asked: Classifier, asked_class: ClassTarget, logits: Tensor) -> tuple[Tensor, Tensor | None]:
    """What is explained, (B,) of the logits (B, C), and its probability."""
    if isinstance(asked, Asked):
        values = asked.values(logits)
        return values, values if asked.score.is_probability else None
    index = asked.resolve_target(asked_class, logits[0])
    return logits[:, index], logits.softmax(1)[:, index]


def _coalitions(order: Sequence[int], channels: int) -> Tensor:
    """(n + 1, K): row i is 0 for the first i channels of the order."""
    for channel in order:
        if not 0 <= channel < channels:
            raise MethodError(f"there is no channel {channel}: the layer has {channels} (0–{channels - 1})")
    if len(set(order)) < len(order):
        raise MethodError("a channel can be removed only once, but the order names one twice")
    coalitions = torch.ones(len(order) + 1, channels)
    for row, channel in enumerate(order, 1):
        coalitions[row:, channel] = 0
    return coalitions
