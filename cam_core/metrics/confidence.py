"""The class's probability when the image is masked by its map: average drop, increase, gain, drop in deletion.

Y = p(class | x), O = p(class | x under the map), D = p(class | x under one minus the map), all softmax probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from cam_core.declarations.parameters import MaskSpace, Parameter
from cam_core.maps import divide, within
from cam_core.masked import image_rows
from cam_core.metrics.base import Scores, Values, metric
from cam_core.metrics.samples import Samples
from cam_core.metrics.scoring import descending_order, picture_scores, ranks
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.targets.asking import check_probabilities

# 1 − Y below this is rounding, and so is any share of it.
_CERTAIN = 1e-12


@dataclass(frozen=True)
class Masking:
    """The way from a map to a mask."""

    keep_top: Annotated[
        float,
        Parameter(
            "share of the pixels, the most salient ones, whose mask value counts; the rest is 0", low=0.001, high=1
        ),
    ] = 1.0
    mask: Annotated[
        Literal["soft", "binary"], Parameter("a kept pixel counts as much as it is salient (soft) or fully (binary)")
    ] = "soft"
    mask_space: MaskSpace = "normalized"


@dataclass(frozen=True)
class Masked:
    """Each image under its mask or, inverted, under one minus its mask."""

    masking: Masking
    invert: bool = False


def masked(params: Mapping[str, Any], *, invert: bool = False) -> Masked:
    """What a metric with these parameters, those of `Masking` among them, has scored."""
    return Masked(Masking(**{name: params[name] for name in Masking.__dataclass_fields__ if name in params}), invert)


def _unmasked(params: Mapping[str, Any]) -> Masked:
    return masked(params, invert=True)


def probabilities(net: SplitModel, batch: Samples, run: Run, masking: Masking, *, invert: bool = False) -> Tensor:
    """(B,) float64: the class's probability on each image under its mask, or under one minus its mask.

    Scored once, together with all other masks that are wanted of the samples.

    Raises:
        MetricError: what is explained has no probability.
    """
    check_probabilities(batch.clf, "this metric")
    asked = Masked(masking, invert)
    if (net.halves, asked) not in batch.known:
        wanted = [kind for kind in batch.wanted if isinstance(kind, Masked) and (net.halves, kind) not in batch.known]
        kinds = list(dict.fromkeys([asked, *wanted]))
        batch.known.update(zip([(net.halves, kind) for kind in kinds], _scores(net, batch, run, kinds), strict=True))
    return batch.known[net.halves, asked]


def _scores(net: SplitModel, batch: Samples, run: Run, kinds: Sequence[Masked]) -> Tensor:
    """(kinds, B) float64."""
    images = [_under(kind, batch, run) for kind in kinds]
    run.expect(len(kinds) * len(batch))
    target = batch.target.repeat(len(kinds))

    def pictures(start: int, stop: int) -> Tensor:
        places = [divmod(place, len(batch)) for place in range(start, stop)]
        return torch.stack([images[kind](index) for kind, index in places])

    scores = picture_scores(net, pictures, target, image_rows(net, batch.images), advance=run.advance)
    return scores.view(len(kinds), len(batch))


def _under(kind: Masked, batch: Samples, run: Run) -> Callable[[int], Tensor]:
    """Image by number (channels, H, W), under its mask."""
    masks = _masks(batch, kind.masking, kind.invert)[:, None].to(batch.images)
    fill = run.fill(kind.masking.mask_space, batch.images)[0]
    return lambda index: fill + (batch.images[index] - fill) * masks[index]


def _masks(batch: Samples, masking: Masking, invert: bool) -> Tensor:
    """(B, H, W); padding is kept as it is."""
    masks = torch.ones_like(batch.saliency)
    for mask, plane, picture in zip(masks, batch.planes, batch.pictures, strict=True):
        kept = _mask(plane, masking)
        within(mask, picture).copy_(1 - kept if invert else kept)
    return masks


def _mask(saliency: Tensor, masking: Masking) -> Tensor:
    """(h, w) → (h, w): the most salient pixels, exactly as many as asked for; ties by place."""
    if masking.keep_top == 1 and masking.mask == "soft":
        return saliency
    places = ranks(descending_order(saliency)).view_as(saliency)
    kept = places < max(1, round(masking.keep_top * saliency.numel()))
    values = saliency if masking.mask == "soft" else torch.ones_like(saliency)
    return torch.where(kept, values, torch.zeros_like(values))


def drop(before: Tensor, after: Tensor) -> Tensor:
    """max(0, Y − O) / Y, a fraction; 0 where Y = 0."""
    return divide((before - after).clamp(min=0), before)


def _both(before: Tensor, after: Tensor) -> dict[str, list[Values]]:
    return {"before": list(before.numpy()), "after": list(after.numpy())}


@metric(
    "average-drop",
    title="Average drop",
    plain="Probability lost when only the marked part is shown",
    direction="lower",
    range=(0, 100),
    unit="%",
    source="Chattopadhay et al. 2018 (Grad-CAM++), arXiv:1710.11063, section 5.1",
    formula="100 · max(0, Y − O) / Y",
    edge_cases="0 where Y = 0. A map of zeros masks everything.",
    cost="one pass",
    shows=masked,
)
def average_drop(net: SplitModel, batch: Samples, run: Run, masking: Masking) -> Scores:
    """How much of the probability is lost when only what the map shows is left. Extras: `before` Y, `after` O."""
    before, after = batch.score(), probabilities(net, batch, run, masking)
    return Scores(100 * drop(before, after), _both(before, after))


@metric(
    "average-increase",
    title="Average increase",
    plain="Surer of the class when only the marked part is shown",
    indicator=True,
    direction="higher",
    range=(0, 100),
    unit="%",
    source="Chattopadhay et al. 2018 (Grad-CAM++), arXiv:1710.11063, section 5.1",
    formula="100 · [O > Y]",
    edge_cases="Strict: 0 where O = Y.",
    cost="one pass",
    shows=masked,
)
def average_increase(net: SplitModel, batch: Samples, run: Run, masking: Masking) -> Scores:
    """Whether the network is surer of the class when it sees only what the map shows: how often, not how much."""
    before, after = batch.score(), probabilities(net, batch, run, masking)
    return Scores(100.0 * (after > before).double(), _both(before, after))


@metric(
    "average-gain",
    title="Average gain",
    plain="Missing probability gained when only the marked part is shown",
    direction="higher",
    range=(0, 100),
    unit="%",
    source="Zhang et al. 2023 (Opti-CAM), arXiv:2301.07002, eq. 15",
    formula="100 · max(0, O − Y) / (1 − Y)",
    edge_cases="0 where Y = 1 (1 − Y below 1e-12): nothing is left to gain.",
    cost="one pass",
    shows=masked,
)
def average_gain(net: SplitModel, batch: Samples, run: Run, masking: Masking) -> Scores:
    """How much of the missing probability is gained when the network sees only what the map shows.

    Average increase counts the tiniest rise; this weighs it, so that a map that hides nothing (Fake-CAM) gains nothing.
    """
    before, after = batch.score(), probabilities(net, batch, run, masking)
    missing = torch.where(1 - before < _CERTAIN, torch.zeros_like(before), 1 - before)
    return Scores(100 * divide((after - before).clamp(min=0), missing), _both(before, after))


@metric(
    "average-drop-in-deletion",
    title="Average drop in deletion",
    plain="Probability lost when the marked part is taken away",
    direction="higher",
    range=(-float("inf"), 100),
    unit="%",
    source="Jung & Oh 2021 (LIFT-CAM), arXiv:2102.05228; unclipped as in its later evaluations",
    formula="100 · (Y − D) / Y",
    edge_cases="0 where Y = 0. Negative where removing what the map shows makes the network surer; 0 then with clip.",
    cost="one pass",
    shows=_unmasked,
)
def average_drop_in_deletion(
    net: SplitModel,
    batch: Samples,
    run: Run,
    masking: Masking,
    clip: Annotated[
        bool, Parameter("count a rise of the probability as no drop, rather than as a negative one")
    ] = False,
) -> Scores:
    """How much of the probability is lost when what the map shows is taken away. Extras: `before` Y, `after` D."""
    before = batch.score()
    after = probabilities(net, batch, run, masking, invert=True)
    lost = (before - after).clamp(min=0) if clip else before - after
    return Scores(100 * divide(lost, before), _both(before, after))
