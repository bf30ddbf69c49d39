"""DeepLIFT (Rescale) contributions of activations to a logit, through any tail.

Shrikumar, Greenside & Kundaje 2017, arXiv:1704.02685. No module is touched: a `TorchFunctionMode` gives nonlinear
functions their multipliers while the tail runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from cam_core.deeplift.rules import RuleMode
from cam_core.masked import class_score
from cam_core.models.split.halves import Halves
from cam_core.models.split.model import SplitModel
from cam_core.models.tails import pooled_linear_or_none
from cam_core.types import Activations, ClassIndex

# Float32 carries seven digits: where contributions cancel to a part in ten thousand, too few are left for the sum.
_WORST_CANCELLATION = 1e4
_WORST_GAP = 1e-4


@dataclass(frozen=True)
class Contributions:
    """What each activation contributed to the change in logit from the reference to the input.

    Attributes:
        values: (B, K, h, w), logits, signed.
        delta: (B,) y_c(A) − y_c(reference).
        gap: (B,) Σ values − delta, the failure of summation-to-delta: rounding, where every rule is complete.
        cancellation: (B,) Σ |values| / |delta|.
        warnings: one sentence a sample, or "".
    """

    values: Activations
    delta: Tensor
    gap: Tensor
    cancellation: Tensor
    warnings: tuple[str, ...]


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
    tail = net.tail_in(torch.float32) if net.precision == "bfloat16" else net
    result = _contributions(tail, acts, reference, target, captum_max_pool)
    poor = _lost_digits(result)
    if not bool(poor.any()) or acts.dtype == torch.float64:
        return result
    return _merge(result, _contributions(net.tail_in(torch.float64), acts, reference, target, captum_max_pool), poor)


def _contributions(
    net: SplitModel, acts: Activations, reference: Activations | None, target: ClassIndex, captum_max_pool: bool
) -> Contributions:
    acts = acts.detach().to(net.dtype)
    mode = partial(RuleMode, captum_max_pool=captum_max_pool, write_back=not net.halves.traced)
    if reference is None:
        difference = acts
        tape, reference_logits = _zero_pass(net, acts, mode)
    else:
        reference = reference.detach().to(net.dtype)
        difference = acts - reference
        tape, reference_logits = _record(net, reference, mode)
    before = class_score(reference_logits.expand(len(acts), -1), target)
    multipliers, after = _multipliers(net, acts, target, partial(mode, tape))
    values = multipliers * difference
    delta = after - before
    total = values.sum((1, 2, 3))
    magnitude = values.abs().sum((1, 2, 3))
    cancellation = magnitude / delta.abs().clamp_min(torch.finfo(delta.dtype).tiny)
    return Contributions(values, delta, total - delta, cancellation, ("",) * len(acts))


def _multipliers(
    net: SplitModel, acts: Activations, target: ClassIndex, mode: Callable[[], RuleMode]
) -> tuple[Activations, Tensor]:
    """(B, K, h, w) multipliers and (B,) logits of the targets."""
    linear = None if net.context else pooled_linear_or_none(net.halves)
    if linear is not None:  # the multipliers of a linear tail are its weights: no rule has anything to do
        with torch.no_grad():
            after = class_score(net.tail(acts), target)
        weights = linear.weight[target].to(acts.dtype) / (acts.shape[-2] * acts.shape[-1])
        return weights[:, :, None, None], after
    leaf = acts.clone().requires_grad_()
    with torch.enable_grad():
        with mode():
            logits = net.tail(leaf)
        after = class_score(logits, target)
        (multipliers,) = torch.autograd.grad(after.sum(), leaf)
    return multipliers, after.detach()


Tape = list[tuple[Tensor, ...]]

# The last zero pass of each tail. It depends on nothing but the weights where no skip connection crosses the cut, so
# that repeated explanations of one layer pay for it once.
_zero_passes: WeakKeyDictionary[Halves, tuple[torch.Size, Tape, Tensor]] = WeakKeyDictionary()


def _zero_pass(net: SplitModel, acts: Activations, mode: Callable[[], RuleMode]) -> tuple[Tape, Tensor]:
    if net.context:
        return _record(net, torch.zeros_like(acts), mode)
    known = _zero_passes.get(net.halves)
    if known is None or known[0] != acts.shape[1:]:
        tape, logits = _record(net, torch.zeros_like(acts[:1]), mode)
        known = _zero_passes[net.halves] = (acts.shape[1:], tape, logits)
    return known[1], known[2]


def _record(net: SplitModel, reference: Activations, mode: Callable[[], RuleMode]) -> tuple[Tape, Tensor]:
    """What the rules need of the reference's pass, and its logits."""
    with torch.no_grad(), mode() as recorder:
        logits = net.tail(reference)
    return recorder.tape, logits


def _lost_digits(result: Contributions) -> Tensor:
    relative = result.gap.abs() / result.delta.abs().clamp_min(torch.finfo(result.delta.dtype).tiny)
    # Not a number is unfit too, hence the negations; Σ |contribution| is one where any contribution is.
    return ~(result.cancellation <= _WORST_CANCELLATION) | ~(relative <= _WORST_GAP)


def _merge(single: Contributions, double: Contributions, poor: Tensor) -> Contributions:
    """Take the float64 result for the samples that need it alone, so that no sample depends on its neighbours."""

    def choose(one: Tensor, two: Tensor) -> Tensor:
        return torch.where(poor.view(-1, *[1] * (one.ndim - 1)), two.to(one.dtype), one)

    warnings = tuple(
        f"Contributions cancel to one part in {float(ratio):.0e} here, so they were computed in float64." if bad else ""
        for bad, ratio in zip(poor.tolist(), double.cancellation, strict=True)
    )
    return Contributions(
        choose(single.values, double.values),
        choose(single.delta, double.delta),
        choose(single.gap, double.gap),
        choose(single.cancellation, double.cancellation),
        warnings,
    )
