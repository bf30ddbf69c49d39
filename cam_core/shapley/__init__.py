"""Shapley values of channels or positions: a game in, values with standard errors out.

One file per estimator. `channel_shap` and `stream_channel_shap` do all of it for the channels of one image.
"""

from cam_core.shapley.channels import ChannelEstimate, channel_shap, stream_channel_shap
from cam_core.shapley.estimate import BUDGET, CONVERGED_GAP, CONVERGED_NOISE, Estimate
from cam_core.shapley.estimators import ESTIMATORS, Estimator, estimates, exact_within, expected_passes, passes_each
from cam_core.shapley.exact import exact
from cam_core.shapley.games import Baseline, ChannelGame, Game, PositionGame
from cam_core.shapley.kernel import kernel
from cam_core.shapley.owen import owen
from cam_core.shapley.permutation import permutation
from cam_core.shapley.removal import Removal, remove_channels

__all__ = [
    "BUDGET",
    "CONVERGED_GAP",
    "CONVERGED_NOISE",
    "ESTIMATORS",
    "Baseline",
    "ChannelEstimate",
    "ChannelGame",
    "Estimate",
    "Estimator",
    "Game",
    "PositionGame",
    "Removal",
    "channel_shap",
    "estimates",
    "exact",
    "exact_within",
    "expected_passes",
    "kernel",
    "owen",
    "passes_each",
    "permutation",
    "remove_channels",
    "stream_channel_shap",
]
