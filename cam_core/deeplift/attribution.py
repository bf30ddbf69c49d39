"""DeepLIFT (Rescale) contributions of activations to a logit, through any tail.

Shrikumar, Greenside & Kundaje 2017, arXiv:1704.02685. No module is touched: a `TorchFunctionMode` gives nonlinear
functions their multipliers while the tail runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cam_core.deeplift.dispatch import RuleMode
from cam_core.masked import class_score
from cam_core.models.batching import is_out_of_memory
from cam_core.models.devices import home_of, in_dtype
from cam_core.models.precision import COARSE, computing_in
from cam_core.models.split.halves import Halves
from cam_core.models.split.model import SplitModel
from cam_core.models.tails import pooled_linear_or_none
from cam_core.numbers import significant
from cam_core.types import Activations, ClassIndex

# Float32 carries seven digits: where contributions cancel to a part in ten thousand, too few are left for the sum.
_WORST_CANCELLATION = 1e4
_WORST_GAP = 1e-4

# What is said to the reader. A change in logit that is small beside the logits themselves is not divided by.
_SMALLEST_CHANGE = 1e-3
_INCOMPLETE = 1e-3
_CANCELLING = 100.0


@dataclass(frozen=True)
class Contributions:
    """Each activation's contribution to the change in logit from the reference to the input.

    Attributes:
        values: (B, K, h, w), logits, signed.
        delta: (B,) y_c(A) − y_c(reference).
        scale: (B,) what a gap is small or large against: |delta|, but at least a thousandth of the largest |logit|.
        gap: (B,) Σ values − delta, the failure of summation-to-delta: rounding, where every rule is complete.
        cancellation: (B,) Σ |values| / |delta|.
        double: (B,) bool, whether it took float64 to compute them.
        warnings: sentences, per sample.
    """

    values: Activations
    delta: Tensor
    scale: Tensor
    gap: Tensor
    cancellation: Tensor
    double: Tensor
    warnings: tuple[tuple[str, ...], ...] = ()


def contributions(
    net: SplitModel,
    acts: Activations,
    reference: Activations | None,
    target: ClassIndex,
    *,
    captum_max_pool: bool = False,
) -> Contributions:
    """Rescale contributions of `acts` against `reference`, in float32, and again in float64 where digits run out.

    Args:
        net: only its tail is run, with the context of the images that `acts` (B, K, h, w) come from.
        reference: (B, K, h, w); None for zeros, whose pass is remembered where nothing else crosses the cut.
        target: (B,) int64.
        captum_max_pool: Captum's rule for max-pooling instead of the complete one, for comparison.
    Raises:
        UnsupportedOperation: the tail holds an operation without a rule; it is named.
    """
    tail = net.tail_in(torch.float32) if net.precision in COARSE else net
    result = _contributions(tail, acts, reference, target, captum_max_pool)
    poor = _lost_digits(result)
    if bool(poor.any()) and acts.dtype != torch.float64:
        double = _in_float64(net, acts, reference, target, captum_max_pool)
        result = result if double is None else _merge(result, double, poor)
    return replace(result, warnings=_warnings(result))


def _in_float64(
    net: SplitModel, acts: Activations, reference: Activations | None, target: ClassIndex, captum_max_pool: bool
) -> Contributions | None:
    """None for a tail that turns its values into float32 itself, and then cannot go on with float64 weights."""
    try:
        return _contributions(net.tail_in(torch.float64), acts, reference, target, captum_max_pool)
    except RuntimeError as error:
        if is_out_of_memory(error) or "type" not in str(error):
            raise
        return None


def _contributions(
    net: SplitModel, acts: Activations, reference: Activations | None, target: ClassIndex, captum_max_pool: bool
) -> Contributions:
    acts = in_dtype(acts.detach(), net.dtype)
    target = target.to(acts.device)
    mode = partial(RuleMode, captum_max_pool=captum_max_pool, write_back=net.halves.tail_graph is None)
    if reference is None:
        difference = acts
        tape, reference_logits = _zero_pass(net, acts, mode)
    else:
        reference = in_dtype(reference.detach(), net.dtype)
        difference = acts - reference
        tape, reference_logits = _record(net, reference, mode)
    before = class_score(reference_logits.expand(len(acts), -1), target)
    multipliers, logits = _multipliers(net, acts, target, partial(mode, tape))
    values = multipliers * difference
    delta = class_score(logits, target) - before
    scale = torch.maximum(delta.abs(), _SMALLEST_CHANGE * logits.abs().amax(1))
    total = values.sum((1, 2, 3))
    magnitude = values.abs().sum((1, 2, 3))
    cancellation = magnitude / delta.abs().clamp_min(torch.finfo(delta.dtype).tiny)
    return Contributions(values, delta, scale, total - delta, cancellation, torch.zeros_like(delta, dtype=torch.bool))


def _multipliers(
    net: SplitModel, acts: Activations, target: ClassIndex, mode: Callable[[], RuleMode]
) -> tuple[Activations, Tensor]:
    """(B, K, h, w) multipliers and (B, C) logits."""
    linear = None if net.context else pooled_linear_or_none(net.halves)
    if linear is not None:  # the multipliers of a linear tail are its weights: no rule has anything to do
        with torch.no_grad():
            logits = net.tail(acts)
        weights = linear.weight[target].to(acts.dtype) / (acts.shape[-2] * acts.shape[-1])
        return weights[:, :, None, None], logits
    leaf = acts.clone().requires_grad_()
    with torch.enable_grad():
        with mode():
            logits = net.tail(leaf)
        with computing_in(net.precision, leaf.device):
            (multipliers,) = torch.autograd.grad(class_score(logits, target).sum(), leaf)
    return multipliers, logits.detach()


Tape = list[tuple[Tensor, ...]]

# The last zero pass of each tail. It depends on nothing but the weights where no skip connection crosses the cut, so
# that repeated explanations of one layer pay for it once.
_zero_passes: WeakKeyDictionary[Halves, tuple[torch.Size, Tape, Tensor]] = WeakKeyDictionary()


def _zero_pass(net: SplitModel, acts: Activations, mode: Callable[[], RuleMode]) -> tuple[Tape, Tensor]:
    if net.context:
        return _record(net, torch.zeros_like(acts), mode)
    # A view that counts for itself: the pass is the layer's, whoever asks first, and not one that this image costs.
    net = SplitModel(net.halves, net.precision)
    known = _zero_passes.get(net.halves)
    if known is None or not _serves(known, acts):
        known = _zero_passes[net.halves] = (acts[:1].shape, *_record(net, torch.zeros_like(acts[:1]), mode))
        if not _serves(known, acts):
            known = _zero_passes[net.halves] = (acts.shape, *_record(net, torch.zeros_like(acts), mode))
    return known[1], known[2]


def _serves(known: tuple[torch.Size, Tape, Tensor], acts: Activations) -> bool:
    """Whether a zero pass fits: one of as many rows; or of one, that broadcasts wherever rows are not folded.

    A window of tokens, an attention head or a place in a sequence may share the first dimension with the rows.
    """
    shape, tape, _ = known
    return shape == acts.shape or (shape == acts[:1].shape and not any(map(_folds, (v for vs in tape for v in vs))))


def _folds(value: Tensor) -> bool:
    return value.ndim > 0 and len(value) != 1 and not isinstance(value, nn.Parameter)


def _record(net: SplitModel, reference: Activations, mode: Callable[[], RuleMode]) -> tuple[Tape, Tensor]:
    """The values of the reference's pass that the rules need, and its logits."""
    with torch.no_grad(), mode() as recorder:
        logits = net.tail(reference)
    return recorder.tape, logits


def _lost_digits(result: Contributions) -> Tensor:
    relative = result.gap.abs() / result.delta.abs().clamp_min(torch.finfo(result.delta.dtype).tiny)
    # Not a number is unfit too, hence the negations; Σ |contribution| is one where any contribution is.
    return ~(result.cancellation <= _WORST_CANCELLATION) | ~(relative <= _WORST_GAP)


def _merge(single: Contributions, double: Contributions, poor: Tensor) -> Contributions:
    """Take the float64 result for the samples that need it alone, so that no sample depends on its neighbours."""

    def choose(coarse: Tensor, fine: Tensor) -> Tensor:
        return torch.where(poor.view(-1, *[1] * (coarse.ndim - 1)), fine.to(coarse), coarse)

    return Contributions(
        choose(single.values, double.values),
        choose(single.delta, double.delta),
        choose(single.scale, double.scale),
        choose(single.gap, double.gap),
        choose(single.cancellation, double.cancellation),
        double=poor,
    )


def _warnings(result: Contributions) -> tuple[tuple[str, ...], ...]:
    """The sentences that a reader of the contributions should know, per sample."""
    magnitudes = result.values.sum((2, 3)).abs().sum(1)
    columns = (result.double, result.cancellation, result.delta, result.scale, result.gap, magnitudes)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    device = result.values.device
    place = "" if home_of(torch.float64, device) == device else ", on the CPU: Apple's GPU has none"
    return tuple(tuple(_sentences(place, *row)) for row in rows)


def _sentences(
    place: str, double: bool, cancellation: float, delta: float, scale: float, gap: float, magnitude: float
) -> Iterator[str]:
    if double:
        part = significant(cancellation, 1)
        yield f"Contributions cancel to one part in {part} here, so they were computed in float64{place}."
    if not abs(gap) <= _INCOMPLETE * scale:  # not a number is a failure too
        yield (
            f"DeepLIFT is incomplete here: its contributions sum to {significant(delta + gap, 4)}, but the logit "
            f"changes by {significant(delta, 4)}."
        )
    if magnitude > _CANCELLING * scale:
        yield (
            "DeepLIFT's contributions cancel: over the channels, their magnitudes sum to "
            f"{significant(magnitude, 4)}, but the logit changes by {significant(delta, 4)}."
        )
