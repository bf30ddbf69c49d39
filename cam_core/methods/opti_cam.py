"""Opti-CAM: for each image, optimise the channel weights so that the masked image keeps its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from cam_core.types import Activations, ClassIndex, Images, Passes

# The paper's 100 steps; the published script's 50.
_PRESET_STEPS = {"paper": 100, "repo": 50}
_EARLY_STOP_CHECKS = 10
# Images that go through the network together.
_AT_ONCE = 8


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
    at_once=_AT_ONCE,
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
    # Any equal start gives uniform weights; 0.5 is the published code's.
    ways = [_Way(start) for start in torch.full_like(channels[..., 0, 0], 0.5)]
    _climb(net, _varying(net, image, channels, target, run, recipe), ways, run, recipe)
    weights = torch.stack([way.kept for way in ways]).softmax(1)
    return Result(
        coefficients=weights if own else None,
        map=maps.weighted_sum(weights, channels),
        extras={"trace": [np.asarray(way.trace, dtype=np.float32) for way in ways]},
        # One for the whole image, and one per step.
        passes=[len(way.trace) + 1 if way.trace else 0 for way in ways],
    )


@dataclass
class _Way:
    """The way of one image: the objective at each step, and the variable (K,) that is returned.

    A step's variable is scored before it is stepped on, so the one returned is the last that was scored.
    """

    kept: Tensor
    trace: list[float] = field(default_factory=list)
    best: float = -np.inf
    checked: float = -np.inf

    def take(self, value: float, variable: Tensor, recipe: Recipe) -> None:
        """Go on to a variable with this objective."""
        self.trace.append(value)
        if np.isfinite(value) and (recipe.keep == "last" or value > self.best):
            self.kept, self.best = variable.detach().clone(), value

    def falls(self, recipe: Recipe) -> bool:
        """Whether the objective is lower than at the last check, where this step is one."""
        step, value = len(self.trace) - 1, self.trace[-1]
        if not recipe.early_stop or step % max(1, recipe.planned // _EARLY_STOP_CHECKS):
            return False
        fell, self.checked = value < self.checked, value
        return fell


@dataclass(frozen=True)
class _Scene:
    """Images that are under way together.

    Attributes:
        places: (A,), the images' places in the batch.
        picture: (A, channels, H, W). fill: what a masked pixel becomes. channels: (A, K, h, w), rectified.
        label: (A,) classes, and their scores on the unmasked images, `whole`.
    """

    places: Tensor
    picture: Tensor
    fill: Tensor
    channels: Tensor
    label: Tensor
    whole: Tensor

    def only(self, going: list[bool]) -> _Scene:
        """Those that go on."""
        if all(going):
            return self
        on = torch.tensor(going, device=self.places.device)
        return _Scene(self.places[on], self.picture[on], self.fill, self.channels[on], self.label[on], self.whole[on])


def _varying(net: SplitModel, image: Images, channels: Tensor, target: ClassIndex, run: Run, recipe: Recipe) -> _Scene:
    """The images of which at least one channel prefers a position; the others are warned of."""
    constant = torch.stack([maps.is_constant(planes).all() for planes in channels])
    for index in constant.nonzero()[:, 0].tolist():
        run.warn(index, "Every channel is constant, so no weighting of them prefers a position.")
    places = (~constant).nonzero()[:, 0]
    picture, label = image[places], target[places]
    whole = class_score(net.model(picture), label) if len(places) else torch.zeros_like(picture[:, 0, 0, 0])
    return _Scene(places, picture, run.fill(recipe.mask_space, image), channels[places], label, whole)


def _climb(net: SplitModel, scene: _Scene, ways: list[_Way], run: Run, recipe: Recipe) -> None:
    """Adam on the variables of all images, of which none depends on the others, nor on those whose search has ended."""
    variable = torch.stack([way.kept for way in ways]).requires_grad_()
    adam = torch.optim.Adam([variable], lr=recipe.learning_rate)
    for _ in range(recipe.planned if len(scene.places) else 0):
        values = _objective(net, scene, variable, recipe)
        going = [
            _goes_on(ways[place], value, variable[place], place, run, recipe)
            for place, value in zip(scene.places.tolist(), values.tolist(), strict=True)
        ]
        if not any(going):
            break
        with computing_in(net.precision, variable.device):
            (rise,) = torch.autograd.grad(values, variable, torch.ones_like(values))
        variable.grad = -rise  # Adam descends
        adam.step()
        scene = scene.only(going)


def _goes_on(way: _Way, value: float, variable: Tensor, place: int, run: Run, recipe: Recipe) -> bool:
    """Whether an image's search goes on after the objective `value` at `variable` (K,)."""
    way.take(value, variable, recipe)
    if not np.isfinite(value):
        step = len(way.trace) - 1
        run.warn(place, f"The objective was not finite at step {step}: the last finite weights are shown.")
        return False
    run.advance()
    if way.falls(recipe):
        run.advance(recipe.planned - len(way.trace))
        return False
    return True


def _objective(net: SplitModel, scene: _Scene, variable: Tensor, recipe: Recipe) -> Tensor:
    """F(u) of each image that is under way (A,), to be raised; `variable` is that of the whole batch (B, K)."""
    picture, fill = scene.picture, scene.fill
    with torch.enable_grad():
        combined = maps.weighted_sum(variable[scene.places].softmax(1), scene.channels)
        mask = _as_mask(maps.upsample(combined, (picture.shape[-2], picture.shape[-1])), recipe.normalisation)
        score = class_score(net.model(fill + (picture - fill) * mask[:, None]), scene.label)
        return score if recipe.objective == "plain" else -(scene.whole - score).abs()


def _as_mask(combined: Tensor, normalisation: str) -> Tensor:
    """n(S), with gradients through minimum and maximum as in the published code; a constant map masks everything."""
    if normalisation == "sigmoid":
        return combined.sigmoid()
    if normalisation == "max":
        return maps.divide(combined, combined.amax(dim=(1, 2), keepdim=True).expand_as(combined))
    return maps.normalise(combined)
