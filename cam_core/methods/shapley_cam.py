"""ShapleyCAM: the gradient corrected by half a Hessian-vector product, a second-order utility's Shapley values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from cam_core.declarations.parameters import Parameter
from cam_core.deeplift.attention import multi_head_attention_forward, scaled_dot_product_attention
from cam_core.masked import class_score
from cam_core.methods.registry import SAME_GRADIENT, Planned, Pooled, method
from cam_core.models.precision import computing_in
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images, Passes

_ATTENTION: Final[Mapping[Callable[..., Any], Callable[..., Any]]] = {
    functional.scaled_dot_product_attention: scaled_dot_product_attention,
    functional.multi_head_attention_forward: multi_head_attention_forward,
}


@method(
    "shapley-cam",
    title="ShapleyCAM",
    plain="Grad-CAM corrected for how the gradients change while channels are switched off.",
    family="Gradients",
    paper="Cai, “CAMs as Shapley Value-based Explainers”, 2025, arXiv:2501.06261, eq. 13",
    formula="w_k = mean_ij (g − ½ H A)_k, H A the Hessian-vector product of the score",
    cost="one forward and two backward passes of the tail",
    planned=lambda site, p: Planned(tail=1, backward=Passes(0, 2)),
    pooled=Pooled(SAME_GRADIENT, {"score": "logit"}),
    fails="On piecewise-linear tails H A = 0 and it is Grad-CAM; a quadratic is a poor model far from A.",
    score="logit, or logit plus log-probability",
    unit="logits per unit of activation",
    claim="A second-order model of the score brings gradient weights closer to Shapley values.",
)
def shapley_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    score: Annotated[
        Literal["logit", "rest"],
        Parameter("what is explained: the logit, or ReST, the sum of logit and log-probability"),
    ] = "logit",
) -> Coefficients:
    """w_k = mean_ij (g_k − ½ (H A)_k), with g = ∂s/∂A and H A its derivative along A.

    Returns:
        (B, K), signed.
    """
    acts = acts.detach().requires_grad_()
    with torch.enable_grad(), _TwiceDifferentiable():
        logits = net.tail(acts)
        value = class_score(logits, target)
        if score == "rest":
            value = value + class_score(logits.log_softmax(1), target)
        with computing_in(net.precision, acts.device):
            (gradient,) = torch.autograd.grad(value.sum(), acts, create_graph=True)
            along = (gradient * acts.detach()).sum()
            curvature = torch.autograd.grad(along, acts, allow_unused=True)[0] if along.requires_grad else None
    first = gradient.detach()
    return (first if curvature is None else first - curvature / 2).mean(dim=(2, 3))


class _TwiceDifferentiable(TorchFunctionMode):
    """Hard-sigmoid as relu6(x + 3) / 6, and attention as two products and a softmax.

    Torch knows no second derivative of hard-sigmoid itself, nor of its fused attention on the CPU.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is functional.hardsigmoid:
            return functional.relu6((args[0] if args else options["input"]) + 3) / 6
        if func in _ATTENTION:
            return _ATTENTION[func](*args, **options)
        return func(*args, **options)
