"""The multipliers of DeepLIFT-Rescale as autograd functions: the value is the operation's, the gradient the multiplier.

Shrikumar et al. 2017, arXiv:1704.02685. Each function is complete on its own: Σ multiplier · Δinput = Δoutput.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cam_core.models.devices import device_for


class Rescale(torch.autograd.Function):
    """An elementwise operation with the multiplier Δout / Δin (section 3.5.2, Rescale)."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, operation: Callable[[Tensor], Tensor], reference: Tensor, reference_out: Tensor
    ) -> Tensor:
        out = operation(value)
        ctx.save_for_backward(_rescale_multiplier(operation, value, out, reference, reference_out))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (multiplier,) = ctx.saved_tensors
        return grads[0] * multiplier, None, None, None


def _rescale_multiplier(
    operation: Callable[[Tensor], Tensor], value: Tensor, out: Tensor, reference: Tensor, reference_out: Tensor
) -> Tensor:
    """Δout / Δin, and the slope halfway where Δin is too small for the quotient to mean anything.

    Too small is relative to the values: below √eps of them, rounding of Δout costs the quotient more digits than the
    slope halfway, wrong by O(Δin²), does.
    """
    delta = value - reference
    bound = torch.maximum(value.abs(), reference.abs()).mul_(torch.finfo(value.dtype).eps ** 0.5)
    tiny = delta.abs() <= bound
    quotient = (out - reference_out).div_(delta.masked_fill_(tiny, 1.0))
    if not bool(tiny.any()):
        return quotient
    slope = _slope(operation, (value + reference) / 2)
    # A root stands at 0 on an infinite slope. Nothing moves there, so nothing is to be handed on.
    return torch.where(tiny, slope.masked_fill_(~slope.isfinite(), 0.0), quotient)


def _slope(operation: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    point = at.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(operation(point).sum(), point)
    return slope


class Product(torch.autograd.Function):
    """The product of two varying tensors by the midpoint rule: Δ(ab) = ā·Δb + b̄·Δa, which is exact."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, a_reference: Tensor, b_reference: Tensor) -> Tensor:
        ctx.save_for_backward((a + a_reference) / 2, (b + b_reference) / 2)
        ctx.shapes = a.shape, b.shape
        return a * b

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        a_mean, b_mean = ctx.saved_tensors
        a_shape, b_shape = ctx.shapes
        return (grads[0] * b_mean).sum_to_size(a_shape), (grads[0] * a_mean).sum_to_size(b_shape), None, None


class ScaledProduct(torch.autograd.Function):
    """A value times a factor 1/√(…) or 1/(…) by the endpoint rule: Δ(c·r) = r·Δc + c_ref·Δr, which is exact.

    The midpoint rule would hand on (r + r_ref)/2. At a reference that is constant, as zeros are, r_ref is 1/√ε:
    hundreds of times r, and with nothing behind it, since c_ref is 0 there.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: Tensor, value_reference: Tensor) -> Tensor:
        ctx.save_for_backward(factor, value_reference)
        ctx.shapes = value.shape, factor.shape
        return value * factor

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        factor, value_reference = ctx.saved_tensors
        value_shape, factor_shape = ctx.shapes
        of_value, of_factor = grads[0] * factor, grads[0] * value_reference
        return of_value.sum_to_size(value_shape), of_factor.sum_to_size(factor_shape), None


class Quotient(torch.autograd.Function):
    """q = a / b by the midpoint rule of the product a = q·b, solved for Δq = (Δa − q̄·Δb) / b̄, which is exact.

    As the product a · (1/b) it would hand on (1/b + 1/b_ref)/2: where b nearly vanishes at one end, as the denominator
    of linear attention does, thousands of times as much as stands at the other, only to take it back through b.
    By the endpoint rule, Δq = (Δa − q_ref·Δb) / b, for norms, as in `ScaledProduct`, and where b̄ says nothing because
    b changes its sign.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, a_reference: Tensor, b_reference: Tensor, endpoint: bool) -> Tensor:
        out, before = a / b, a_reference / b_reference
        ends = endpoint | (b * b_reference <= 0)
        divisor = torch.where(ends, b, (b + b_reference) / 2)
        ctx.save_for_backward(divisor, torch.where(ends, before, (out + before) / 2))
        ctx.shapes = a.shape, b.shape
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        divisor, quotient = ctx.saved_tensors
        a_shape, b_shape = ctx.shapes
        of_a = grads[0] / divisor
        return of_a.sum_to_size(a_shape), (-of_a * quotient).sum_to_size(b_shape), None, None, None


class MaxPool(torch.autograd.Function):
    """Max-pooling by the straight line from reference to input: complete, and exact because it is piecewise linear.

    Along r + t·Δ, t in [0, 1], the maximum follows one element after another; an element's multiplier is the measure of
    the t for which it is the largest. Where input and reference have the same largest element, that is 1.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, reference: Tensor, window: PoolWindow) -> Tensor:
        elements, reference_elements = window.unfold(value), window.unfold(reference)
        ctx.save_for_backward(_share_of_line(reference_elements, elements))
        # Asked here, on the thread of whoever explains: the backward pass runs on one of its own.
        ctx.window, ctx.shape, ctx.place = window, value.shape, device_for("fold", value.device)
        return window.pool(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (share,) = ctx.saved_tensors
        columns = (grads[0].flatten(2)[:, :, None] * share).to(ctx.place)
        return ctx.window.fold(columns, ctx.shape).to(share.device), None, None


def _share_of_line(start: Tensor, end: Tensor) -> Tensor:
    """For each element of each window, the measure of the t in [0, 1] for which (1 − t)·start + t·end is the largest.

    Args:
        start, end: (B, K, n, L), n elements of L windows.
    Returns:
        (B, K, n, L), not negative, summing to 1 over n.
    """
    first, last = start.argmax(dim=2, keepdim=True), end.argmax(dim=2, keepdim=True)
    # What is largest at both ends of a line is largest all along it.
    shares = torch.zeros_like(start).scatter_(2, last, 1.0)
    contested = (first != last)[:, :, 0]
    if bool(contested.any()):
        moved = shares.movedim(2, 3)
        moved[contested] = _upper_envelope(start.movedim(2, 3)[contested], (end - start).movedim(2, 3)[contested])
    return shares


def _upper_envelope(start: Tensor, delta: Tensor) -> Tensor:
    """The share of [0, 1] that each of n lines start + t·delta spends on top: (N, n) → (N, n), rows summing to 1.

    Among identical lines the first takes all.
    """
    ahead = start[:, :, None] - start[:, None, :]  # ahead + t · gain ≥ 0 where line i is above line j
    gain = delta[:, :, None] - delta[:, None, :]
    parallel = gain == 0
    crossing = -ahead / torch.where(parallel, torch.ones_like(gain), gain)
    enters = torch.where(gain > 0, crossing, torch.zeros_like(gain)).amax(dim=2).clamp_min(0)
    leaves = torch.where(gain < 0, crossing, torch.ones_like(gain)).amin(dim=2).clamp_max(1)
    earlier = torch.ones_like(gain[0], dtype=torch.bool).tril(-1)
    beaten = (parallel & ((ahead < 0) | ((ahead == 0) & earlier))).any(dim=2)
    share = torch.where(beaten, torch.zeros_like(enters), (leaves - enters).clamp_min(0))
    return share / share.sum(dim=1, keepdim=True)


class CaptumMaxPool(torch.autograd.Function):
    """Captum's max-pool rule, for parity: Δout is handed to the input's and the reference's largest elements.

    The element that is largest in the input takes max(out, out_ref) − out_ref, the one that is largest in the reference
    takes out − max(out, out_ref), each divided by its own Δin. Not complete where that Δin is 0.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, reference: Tensor, window: PoolWindow) -> Tensor:
        out, at = functional.max_pool2d(value, return_indices=True, **window.arguments)
        out_ref, at_ref = functional.max_pool2d(reference, return_indices=True, **window.arguments)
        ctx.save_for_backward(value - reference, out, out_ref, at, at_ref)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        delta, out, out_ref, at, at_ref = ctx.saved_tensors
        top = torch.maximum(out, out_ref)
        handed = torch.zeros_like(delta).flatten(2)
        slope = torch.zeros_like(handed)
        handed.scatter_add_(2, at.flatten(2), (grads[0] * (top - out_ref)).flatten(2))
        handed.scatter_add_(2, at_ref.flatten(2), (grads[0] * (out - top)).flatten(2))
        slope.scatter_add_(2, at.flatten(2), grads[0].flatten(2))
        flat = delta.flatten(2)
        tiny = flat.abs() < 1e-10
        multiplied = torch.where(tiny, slope, handed / torch.where(tiny, torch.ones_like(flat), flat))
        return multiplied.view_as(delta), None, None


class PoolWindow:
    """The windows of one max-pooling: unfolded to their elements, and back."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> None:
        self.kernel, self.padding, self.dilation = _pair(kernel_size), _pair(padding), _pair(dilation)
        self.stride = _pair(stride) if stride else self.kernel
        self.arguments: dict[str, Any] = {
            "kernel_size": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": ceil_mode,
        }

    def pool(self, value: Tensor) -> Tensor:
        """(B, K, H, W) → (B, K, h, w)."""
        pooled: Tensor = functional.max_pool2d(value, **self.arguments)
        return pooled

    def unfold(self, value: Tensor) -> Tensor:
        """(B, K, H, W) → (B, K, n, L); padding is so low that it never is the largest.

        So is what the network itself has padded with −∞, as timm's "same" pooling does: between two infinities there is
        no line to follow.
        """
        lowest = torch.finfo(value.dtype).min / 8
        padded = functional.pad(value.clamp_min(lowest), self._margins(value.shape), value=lowest)
        return self._columns(padded).view(*value.shape[:2], self.kernel[0] * self.kernel[1], -1)

    def fold(self, columns: Tensor, shape: torch.Size) -> Tensor:
        """The adjoint of `unfold`: (B, K, n, L) → `shape`, overlapping windows added."""
        left, right, top, bottom = self._margins(shape)
        height, width = shape[2] + top + bottom, shape[3] + left + right
        whole = functional.fold(
            columns.flatten(1, 2), (height, width), self.kernel, stride=self.stride, dilation=self.dilation
        )
        return whole[:, :, top : top + shape[2], left : left + shape[3]]

    def _columns(self, padded: Tensor) -> Tensor:
        return functional.unfold(padded, self.kernel, stride=self.stride, dilation=self.dilation)

    def _margins(self, shape: torch.Size) -> tuple[int, int, int, int]:
        """Padding (left, right, top, bottom), with what `ceil_mode` lets windows hang over the edge."""
        probe = functional.max_pool2d(torch.empty(1, 1, *shape[2:], device="meta"), **self.arguments)
        reach = [
            (out - 1) * step + spread * (size - 1) + 1
            for out, step, spread, size in zip(probe.shape[2:], self.stride, self.dilation, self.kernel, strict=True)
        ]
        (top, left), (height, width) = self.padding, shape[2:]
        return left, max(left, reach[1] - width - left), top, max(top, reach[0] - height - top)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, list | tuple) else (int(value), int(value))
