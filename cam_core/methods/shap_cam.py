"""Shap-CAM: the Shapley value of each position of the feature map."""

from __future__ import annotations

import torch

from cam_core.methods.registry import Parameter, Result, method
from cam_core.methods.shapley_values import shapley_values
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.shapley import BASELINES, PositionGame
from cam_core.types import Activations, ClassIndex, Images


@method(
    "shap-cam",
    title="Shap-CAM",
    paper="Zheng et al. 2022, arXiv:2208.03608",
    formula="φ_ij = mean over orders of the positions of v(S ∪ ij) − v(S), S = those before (i, j)",
    cost="100 × (h·w − 1) tail passes; none behind pooling and a linear layer with the logit as score",
    fails="On pooled linear tails nearly Grad-CAM; what it calls absent is a mean activation, which is not nothing.",
    score="probability",
    stochastic=True,
    expensive=True,
    exact=False,
    claim="Better average drop, average increase and localisation than Grad-CAM, Grad-CAM++ and Score-CAM.",
    parameters=(
        Parameter(
            "baseline",
            "channel_mean",
            "what an absent position holds: each channel's mean over positions, one mean of all, or 0",
            choices=BASELINES,
        ),
        Parameter("score", "probability", "what a set of positions is worth", choices=("probability", "logit")),
        Parameter(
            "map",
            "phi",
            "the values themselves, or times the mean activation of their position",
            choices=("phi", "phi-activation"),
        ),
        Parameter("permutations", 100, "orders in which the positions enter, reversed ones included", 4, 1_000_000),
        Parameter("antithetic", True, "follow each order by its reverse"),
    ),
)
def shap_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    baseline: str,
    score: str,
    map: str,
    permutations: int,
    antithetic: bool,
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
    found = shapley_values(games, run, estimator, repetitions=repetitions)
    shape = len(acts), *acts.shape[2:]
    phi = torch.stack([estimate.phi for estimate in found]).to(acts).view(shape)
    stderr = torch.stack([estimate.stderr for estimate in found]).to(acts).view(shape)
    if map == "phi-activation":
        weight = acts.mean(1)
        return Result(map=phi * weight, stderr=stderr * weight.abs())
    return Result(map=phi, stderr=stderr)
