"""Owen-CAM: the channels' Shapley values by gradients of the multilinear extension, all channels in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cam_core.declarations.parameters import Parameter
from cam_core.methods.registry import SAME_SHARES, Planned, Pooled, Result, Site, method
from cam_core.methods.shapley_values import coefficients, shapley_values
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.shapley import ChannelGame
from cam_core.types import Activations, ClassIndex, Images, Passes


def _planned(site: Site, params: Mapping[str, Any]) -> Planned:
    """Few channels are tried out in every subset."""
    passes = 2 if site.pooled else min(params["budget"], 2 ** min(site.channels, 24))
    return Planned(tail=passes, backward=Passes(0, 0 if site.pooled else passes))


@method(
    "owen-cam",
    title="Owen-CAM",
    plain="Each channel's fair share of the score, estimated from gradients while random channels are switched off.",
    family="Fair shares",
    paper="Owen 1972, doi:10.1287/mnsc.18.5.64, by gradients; game of Jung & Oh 2021, arXiv:2102.05228",
    formula="φ_k ≈ ∫₀¹ E[∂y_c/∂z_k] dq, z = a random coalition of channels, each inside with probability q",
    cost="64 forward and backward passes of the tail; none where the tail is pooling and a linear layer",
    planned=_planned,
    pooled=Pooled(SAME_SHARES),
    fails="A gradient stands in for a difference: the values need not quite sum to the change in logit.",
    unit="logits",
    stochastic=True,
    expensive=True,
    exact=False,
    claim="SHAP's coefficients within seconds.",
)
def owen_cam(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    budget: Annotated[int, Parameter("tail passes, forward and backward", low=16, high=1_000_000)] = 64,
) -> Result:
    """φ_k of the game v(S) = y_c with the channels outside S set to 0: see `cam_core.shapley.owen`.

    Returns:
        (B, K) in logits, with standard errors; exact, with error 0, where the tail is pooling and one linear layer, or
        the channels are few enough to try every subset.
    """
    games = [ChannelGame(net.sample(b), acts[b : b + 1], target[b], advance=run.advance) for b in range(len(acts))]
    return coefficients(shapley_values(games, run, "owen", budget), like=acts)
