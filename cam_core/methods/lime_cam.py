"""LIME-CAM: a sparse linear model fitted to the class score with channels left out, LIFT-CAM's sibling."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import torch
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.masked import class_score, tail_rows
from cam_core.methods.registry import method
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images, MethodError


@method(
    "lime-cam",
    title="LIME-CAM",
    paper="Jung & Oh 2021, arXiv:2102.05228, section 4; LIME by Captum",
    formula="α = coefficients of a Lasso fitted to y_c with random halves of the channels set to 0",
    cost="as many tail passes as there are channels",
    fails="As many samples as unknowns: the fit is noisy, and the Lasso sets most channels to 0.",
    unit="logits",
    stochastic=True,
    expensive=True,
    exact=False,
    claim="A local linear fit approximates SHAP values less well than LIFT-CAM at the same cost or more.",
)
def lime_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    samples: Annotated[
        int, Parameter("random subsets of the channels; 0 for as many as there are channels", low=0, high=100_000)
    ] = 0,
    alpha: Annotated[float, Parameter("strength of the Lasso's penalty", low=0, high=10)] = 0.01,
) -> Coefficients:
    """Coefficients of Captum's LIME on channel presence: subsets drawn with probability ½, cosine kernel of width 1.

    Returns:
        (B, K), logits, signed.
    Raises:
        MethodError: Captum or scikit-learn is not installed.
    """
    count = samples or acts.shape[1]
    run.expect(count * len(acts))
    fits = [_fit(net.sample(b), acts[b : b + 1], target[b], run, count, alpha) for b in range(len(acts))]
    return torch.stack(fits).to(acts)


def _fit(net: SplitModel, acts: Activations, target: Tensor, run: Run, count: int, alpha: float) -> Coefficients:
    """LIME on one sample: (K,)."""
    lime = _captum("attr._core.lime")
    lasso = _captum("_utils.models.linear_model").SkLearnLasso
    generator = run.generator()

    def presence(original: Tensor, **_: Any) -> Tensor:
        # Captum's own sampler draws from the global generator, which concurrent runs share.
        return torch.bernoulli(torch.full((1, original.shape[1]), 0.5), generator=generator).to(original.device)

    def masked(present: Tensor, original: Tensor, **_: Any) -> Tensor:
        return original * present.view(1, -1, 1, 1).to(original.dtype)

    def score(rows: Tensor) -> Tensor:
        with torch.no_grad():
            scores = class_score(net.tail(rows), target)
        run.advance(len(rows))
        return scores

    surrogate = lime.LimeBase(
        score,
        interpretable_model=lasso(alpha=alpha),
        similarity_func=lime.get_exp_kernel_similarity_function(),
        perturb_func=presence,
        perturb_interpretable_space=True,
        from_interp_rep_transform=masked,
        to_interp_rep_transform=None,
    )
    fitted: Tensor = surrogate.attribute(acts, n_samples=count, perturbations_per_eval=tail_rows(acts))
    return fitted[0] if fitted.ndim == 2 else fitted


def _captum(module: str) -> Any:
    """A module of Captum, imported when it is first needed.

    Raises:
        MethodError: Captum, or the scikit-learn behind its linear models, is not installed.
    """
    try:
        return importlib.import_module(f"captum.{module}")
    except ImportError:
        raise MethodError("lime-cam needs the package captum: pip install captum scikit-learn") from None
