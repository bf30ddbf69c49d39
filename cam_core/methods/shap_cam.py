"""Shap-CAM: the Shapley value of each position of the feature map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch

from cam_core.declarations.parameters import Parameter
from cam_core.methods.registry import Planned, Result, Site, method
from cam_core.methods.shapley_values import shapley_values
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.shapley import Baseline, PositionGame
from cam_core.types import Activations, ClassIndex, Images


def _planned(site: Site, params: Mapping[str, Any]) -> Planned:
    additive = site.pooled and params["score"] == "logit"
    return Planned(tail=2 + (0 if additive else params["permutations"] * (site.positions - 1)))


@method(
    "shap-cam",
    title="Shap-CAM",
    plain=(
        "Each position's fair share of the probability: what it adds on average when positions are uncovered in random "
        "order."
    ),
    family="Fair shares",
    paper=(
        "Zheng et al., “Shap-CAM: Visual Explanations for Convolutional Neural Networks based on Shapley Value”, ECCV "
        "2022, arXiv:2208.03608"
    ),
    formula="φ_ij = mean over orders of the positions of v(S ∪ ij) − v(S), S = those before (i, j)",
    cost="100 × (h·w − 1) tail passes; none behind pooling and a linear layer with the logit as score",
    planned=_planned,
    fails="On pooled linear tails nearly Grad-CAM; what it calls absent is a mean activation, which is not nothing.",
    score="probability",
    stochastic=True,
    expensive=True,
    exact=False,
    claim="Better average drop, average increase and localisation than Grad-CAM, Grad-CAM++ and Score-CAM.",
)
def shap_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    baseline: Annotated[
        Baseline, Parameter("what an absent position holds: each channel's mean over positions, one mean of all, or 0")
    ] = "channel_mean",
    score: Annotated[
        Literal["probability", "logit"], Parameter("the value of a coalition of positions")
    ] = "probability",
    map: Annotated[
        Literal["phi", "phi-activation"],
        Parameter("the values themselves, or times the mean activation of their position"),
    ] = "phi",
    permutations: Annotated[
        int, Parameter("orders in which the positions enter, reversed ones included", low=4, high=1_000_000)
    ] = 100,
    antithetic: Annotated[bool, Parameter("follow each order by its reverse")] = True,
) -> Result:
    """φ_ij of the game whose players are the h·w positions, all channels of one together.

    Returns:
        (B, h, w) signed, in probability or logits, with standard errors of the same shape; the values sum to
        v(all) − v(none), order by order.
    """
    games = [
        PositionGame(net.sample(b), acts[b : b + 1], target[b], baseline=baseline, score=score, advance=run.advance)
        for b in range(len(acts))
    ]
    estimator = "permutation" if antithetic else "independent-permutation"
    repetitions = -(-permutations // 2) if antithetic else permutations
    estimates = shapley_values(games, run, estimator, repetitions=repetitions)
    shape = len(acts), *acts.shape[2:]
    phi = torch.stack([estimate.phi for estimate in estimates]).to(acts).view(shape)
    stderr = torch.stack([estimate.stderr for estimate in estimates]).to(acts).view(shape)
    if map == "phi-activation":
        weight = acts.mean(1)
        return Result(map=phi * weight, stderr=stderr * weight.abs())
    return Result(map=phi, stderr=stderr)
