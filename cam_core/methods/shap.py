"""SHAP: the channels' Shapley values themselves, by sampling permutations: what others are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cam_core.declarations.parameters import Parameter
from cam_core.methods.registry import SAME_SHARES, Planned, Pooled, Result, Site, method
from cam_core.methods.shapley_values import coefficients, shapley_values
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.shapley import ChannelGame
from cam_core.types import Activations, ClassIndex, Images


def _planned(site: Site, params: Mapping[str, Any]) -> Planned:
    """Two orders and their reverses are made whatever they cost; few channels are tried out in every subset."""
    sampled = max(params["budget"], 4 * site.channels)
    return Planned(tail=2 if site.pooled else min(sampled, 2 ** min(site.channels, 24)))


@method(
    "shap",
    title="SHAP",
    plain=(
        "Each channel's fair share of the score: what it adds on average when channels are switched on in random order."
    ),
    family="Fair shares",
    paper="Shapley 1953; game of Jung & Oh 2021, arXiv:2102.05228; sampling of Castro et al. 2009",
    formula="φ_k = mean over orders of the channels of v(S ∪ k) − v(S), S = those before k, v(S) = y_c of S alone",
    cost="10,000 tail passes; none beyond the prediction where the tail is pooling and a linear layer",
    planned=_planned,
    pooled=Pooled(SAME_SHARES),
    fails="Slow, and still noisy with many channels: a single order of them all costs a pass per channel.",
    unit="logits",
    stochastic=True,
    expensive=True,
    exact=False,
    claim="The only coefficients that share out the logit fairly: efficient, symmetric, additive, nothing for idlers.",
)
def shap(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    budget: Annotated[
        int, Parameter("tail passes; at least two orders and their reverses are sampled", low=16, high=10_000_000)
    ] = 10_000,
) -> Result:
    """φ_k of the game v(S) = y_c with the channels outside S set to 0.

    Returns:
        (B, K) in logits, which sum to y_c(A) − y_c(0), with standard errors; exact, with error 0, where the tail is
        pooling and one linear layer, or the channels are few enough to try every subset.
    """
    games = [ChannelGame(net.sample(b), acts[b : b + 1], target[b], advance=run.advance) for b in range(len(acts))]
    return coefficients(shapley_values(games, run, "permutation", budget), like=acts)
