"""LIME-CAM: a sparse linear model fitted to the class score with channels left out, LIFT-CAM's sibling."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from cam_core.declarations.parameters import Parameter
from cam_core.masked import class_score, tail_rows
from cam_core.methods.registry import Planned, method
from cam_core.models.batching import in_batches
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images, MethodError


@method(
    "lime-cam",
    title="LIME-CAM",
    plain="Switches random halves of the channels off, and fits a straight line to what that does to the score.",
    family="Fair shares",
    paper="Jung & Oh 2021, arXiv:2102.05228, section 4; the Lasso by Captum",
    formula="α = coefficients of a Lasso fitted to y_c with random halves of the channels set to 0",
    cost="as many tail passes as there are channels",
    planned=lambda site, p: Planned(tail=p["samples"] or site.channels),
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
        int,
        Parameter(
            "random subsets of the channels; 0 for as many as there are channels",
            low=0,
            high=100_000,
            zero=lambda before: "one per channel",
        ),
    ] = 0,
    alpha: Annotated[float, Parameter("strength of the Lasso's penalty", title="penalty, α", low=0, high=10)] = 0.01,
) -> Coefficients:
    """Coefficients of LIME on channel presence: subsets drawn with probability ½, cosine kernel of width 1.

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
    """LIME on one sample: (K,).

    Captum's `LimeBase` draws, masks and weighs subset by subset, and asks the device for the weight of each: hundreds
    of launches and waits per batch. Here it is all done batch by batch; the Lasso is Captum's.
    """
    lasso = _captum("_utils.models.linear_model").SkLearnLasso(alpha=alpha)
    present = torch.bernoulli(torch.full((count, acts.shape[1]), 0.5), generator=run.generator())

    def answers(start: int, stop: int) -> Tensor:
        rows = acts * present[start:stop, :, None, None].to(acts)
        cosine = functional.cosine_similarity(acts.flatten(1).float(), rows.flatten(1).float())
        return torch.stack([class_score(net.tail(rows), target).float(), cosine], dim=1)

    with torch.no_grad():
        scores, cosines = in_batches(answers, count, tail_rows(net, acts), run.advance).cpu().unbind(1)
    weights = (-((1 - cosines) ** 2) / 2).double().exp().float()
    lasso.fit([(present, scores, weights)])
    fitted: Tensor = lasso.representation()
    return fitted[0]


def _captum(module: str) -> Any:
    """A module of Captum, imported when it is first needed.

    Raises:
        MethodError: Captum, or the scikit-learn behind its linear models, is not installed.
    """
    try:
        return importlib.import_module(f"captum.{module}")
    except ImportError:
        raise MethodError("lime-cam needs the package captum: pip install captum scikit-learn") from None
