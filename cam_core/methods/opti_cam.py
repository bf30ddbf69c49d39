"""Opti-CAM: for each image, optimise the channel weights so that the masked image keeps its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from cam_core import maps
from cam_core.declarations.parameters import MaskSpace, Parameter
from cam_core.masked import class_score
from cam_core.methods.class_attention import class_attention
from cam_core.methods.registry import Planned, Result, Site, method
from cam_core.models.precision import computing_in
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, FloatArray, Images, Passes

# The paper's 100 steps; the published script's 50.
_PRESET_STEPS = {"paper": 100, "repo": 50}
_EARLY_STOP_CHECKS = 10


def _preset_steps(before: Mapping[str, Any]) -> str:
    return f"preset ({_PRESET_STEPS[before['preset']]})"


@dataclass(frozen=True)
class Recipe:
    """How the weights are optimised."""

    preset: Annotated[Literal["paper", "repo"], Parameter("the paper's 100 steps or the published code's 50")] = "paper"
    steps: Annotated[int, Parameter("optimisation steps; 0 for the preset's", low=0, high=2000, zero=_preset_steps)] = 0
    learning_rate: Annotated[float, Parameter("of Adam", low=1e-4, high=10)] = 0.1
    mask_space: MaskSpace = "pixel"
    objective: Annotated[
        Literal["plain", "difference"],
        Parameter("raise the masked image's logit (plain), or bring it to the whole image's (difference)"),
    ] = "plain"
    normalisation: Annotated[Literal["min-max", "max", "sigmoid"], Parameter("how the map becomes a mask")] = "min-max"
    early_stop: Annotated[bool, Parameter("stop when the objective fell since the last of ten checks")] = True
    keep: Annotated[Literal["last", "best"], Parameter("the map of the last step, or of the best")] = "last"
    channels: Annotated[
        Literal["activations", "class-attention"],
        Parameter("what is mixed: the layer's channels; or, one per head, what the class token takes from the patches"),
    ] = "activations"

    @property
    def planned(self) -> int:
        """Steps, unless it stops early."""
        return self.steps or _PRESET_STEPS[self.preset]


def _planned(site: Site, params: Mapping[str, Any]) -> Planned:
    steps = params["steps"] or _PRESET_STEPS[params["preset"]]
    once = params["channels"] == "class-attention"  # through the tail, for the attention that is mixed
    return Planned(steps + 1, steps + 1 + once, Passes(steps, steps + once))


@method(
    "opti-cam",
    title="Opti-CAM",
    plain="Searches, for this photo alone, the mix of channels that keeps the score highest when it masks the photo.",
    family="Masks",
    paper=(
        "Zhang et al., “Opti-CAM: Optimizing saliency maps for interpretability”, CVIU 248, 2024, arXiv:2301.07002, "
        "eq. 8–11"
    ),
    formula="u* = argmax_u y_c(x · n(up(Σ_k softmax(u)_k ReLU(A_k)))), map = Σ_k softmax(u*)_k ReLU(A_k)",
    cost="100 forward and backward passes of the whole network",
    planned=_planned,
    fails="It optimises what average drop measures: spread-out maps that cover context as well as the object.",
    score="logit of the masked image",
    unit="share (sums to 1)",
    signed=False,
    expensive=True,
    exact=False,
    claim="Best average drop and average gain; localisation need not follow.",
)
def opti_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run, recipe: Recipe) -> Result:
    """Adam on u (K,) per image, from uniform weights, through the masked image alone: activations are constants.

    Of a transformer, the class token's attention maps can be mixed in place of channels: one per head, of the first
    attention behind the layer.

    Returns:
        coefficients: (B, K) softmax(u), shares; None for shares of heads. map: (B, h, w), not negative.
        extras["trace"]: the objective at each step, one array per image.
    Raises:
        MethodError: attention of a class token is asked for where there is none.
    """
    run.expect(recipe.planned * len(image))
    own = recipe.channels == "activations"
    channels = acts.relu() if own else class_attention(net, acts)
    results = [_optimise(net, image, channels, target, run, recipe, index) for index in range(len(image))]
    weights = torch.stack([weight for weight, _ in results])
    return Result(
        coefficients=weights if own else None,
        map=maps.weighted_sum(weights, channels),
        extras={"trace": [trace for _, trace in results]},
    )


def _optimise(
    net: SplitModel, image: Images, mixed: Tensor, target: ClassIndex, run: Run, recipe: Recipe, index: int
) -> tuple[Tensor, FloatArray]:
    """The weights (K,) of one image, and the objective at each step.

    A step's weights are scored before they are stepped on, so the weights returned are the last that were scored.
    """
    picture, channels, label = image[index : index + 1], mixed[index], target[index : index + 1]
    if bool((maps.is_constant(channels)).all()):
        run.warn(index, "Every channel is constant, so no weighting of them prefers a position.")
        return torch.full_like(channels[:, 0, 0], 1 / len(channels)), np.zeros(0, dtype=np.float32)
    fill = run.fill(recipe.mask_space, picture)
    whole = class_score(net.model(picture), label)
    # Any equal start gives uniform weights; 0.5 is the published code's.
    variable = torch.full_like(channels[:, 0, 0], 0.5).requires_grad_()
    adam = torch.optim.Adam([variable], lr=recipe.learning_rate)
    every = max(1, recipe.planned // _EARLY_STOP_CHECKS)
    trace: list[float] = []
    kept, best, checked = variable.detach().clone(), -np.inf, -np.inf
    for step in range(recipe.planned):
        value = _objective(net, picture, channels, label, variable, fill, whole, recipe)
        trace.append(float(value))
        if not np.isfinite(trace[-1]):
            run.warn(index, f"The objective was not finite at step {step}: the last finite weights are shown.")
            break
        if recipe.keep == "last" or trace[-1] > best:
            kept, best = variable.detach().clone(), trace[-1]
        run.advance()
        if recipe.early_stop and step % every == 0:
            if trace[-1] < checked:
                run.advance(recipe.planned - step - 1)
                break
            checked = trace[-1]
        with computing_in(net.precision, variable.device):
            (rise,) = torch.autograd.grad(value, variable)
        variable.grad = -rise  # Adam descends
        adam.step()
    return kept.softmax(0), np.asarray(trace, dtype=np.float32)


def _objective(
    net: SplitModel,
    picture: Tensor,
    channels: Tensor,
    label: Tensor,
    variable: Tensor,
    fill: Tensor,
    whole: Tensor,
    recipe: Recipe,
) -> Tensor:
    """F(u) of one image, to be raised."""
    with torch.enable_grad():
        combined = torch.einsum("k,khw->hw", variable.softmax(0), channels)
        mask = _as_mask(maps.upsample(combined[None], (picture.shape[-2], picture.shape[-1])), recipe.normalisation)
        score = class_score(net.model(fill + (picture - fill) * mask[:, None]), label)
        value = score if recipe.objective == "plain" else -(whole - score).abs()
        return value.sum()


def _as_mask(combined: Tensor, normalisation: str) -> Tensor:
    """n(S), with gradients through minimum and maximum as in the published code; a constant map masks everything."""
    if normalisation == "sigmoid":
        return combined.sigmoid()
    if normalisation == "max":
        return maps.divide(combined, combined.amax(dim=(1, 2), keepdim=True).expand_as(combined))
    return maps.normalise(combined)
