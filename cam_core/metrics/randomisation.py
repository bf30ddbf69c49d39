"""The model-parameter randomisation check: a map that survives random weights does not depend on what was learned.

The network's weights are replaced from the top layer down, on a private copy, and the image is explained again after
each step. Adebayo et al. 2018, arXiv:1810.03292, section 3 (cascading randomisation).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from cam_core.declarations.parameters import Parameter
from cam_core.maps import within
from cam_core.metrics.base import Scores, metric
from cam_core.metrics.samples import ExplainWith, Samples, as_saliency
from cam_core.metrics.similarity import spearman, ssim
from cam_core.models.classifier import Classifier
from cam_core.models.devices import double
from cam_core.models.split.model import SplitModel
from cam_core.models.split.tracing import private_copy
from cam_core.run import Run
from cam_core.types import FloatArray, Picture


@dataclass(frozen=True)
class RandomisationStep:
    """The map after one more step of the cascade.

    Attributes:
        layers: the modules whose weights this step replaced, from the top down; those of earlier steps stay replaced.
        saliency: (H, W), the map of the network as it is now.
        spearman, ssim: its similarity to the map of the trained network; correlation 0 where one of them is constant.
    """

    layers: tuple[str, ...]
    saliency: FloatArray
    spearman: float
    ssim: float


def randomisation_steps(
    clf: Classifier, saliency: Tensor, explain_with: ExplainWith, run: Run, steps: int, picture: Picture | None = None
) -> Iterator[RandomisationStep]:
    """Replace the weights of a copy of the network from the top down in `steps` steps, and explain after each.

    Weights are redrawn from a normal distribution with the mean and the spread of those they replace: signals keep
    their size on the way, whereas a fresh initialisation lets them die or explode in a deep network without trained
    normalisation, and a map of zeros differs from anything.

    Args:
        saliency: (H, W), the map of the trained network.
        explain_with: classifier → map of the same image for the same class.
        picture: the part of the map that lies over the photo, and counts; all of it for None.
    """
    private = private_copy(clf.network, clf.input_shape)
    generator = run.generator()
    for layers in cascade(private, steps):
        for name in layers:
            _redraw(private.get_submodule(name), generator)
        # A new classifier each time: it keeps prepared copies of the weights it has seen.
        changed = clf.changed(private, name=f"{clf.name}, weights random down to {layers[-1]}")
        again = as_saliency(explain_with(changed), (saliency.shape[0], saliency.shape[1]))
        before, after = (within(plane, picture).numpy() for plane in (saliency, again))
        correlation = spearman(before, after)
        yield RandomisationStep(
            layers,
            again.float().numpy(),
            0.0 if math.isnan(correlation) else correlation,
            ssim(before, after),
        )


def cascade(module: nn.Module, steps: int) -> list[tuple[str, ...]]:
    """The modules that have weights of their own, from the last to the first, in at most `steps` even groups."""
    names = [name for name, part in module.named_modules() if any(True for _ in part.parameters(recurse=False))]
    groups = np.array_split(np.array(names[::-1], dtype=object), min(steps, len(names)))
    return [tuple(group) for group in groups]


def _redraw(part: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for weights in part.parameters(recurse=False):
            noise = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
            known = double(weights)
            drawn = known.mean() + known.std(correction=0) * noise.to(known)
            weights.copy_(drawn.to(weights))


@metric(
    "parameter-randomisation",
    title="Parameter randomisation",
    plain="Likeness to maps of the network with its weights made random",
    direction="lower",
    range=(0, 1),
    source="Adebayo et al. 2018, arXiv:1810.03292, section 3",
    formula="mean over the steps of |Spearman(S of the trained network, S with random weights from the top down)|",
    edge_cases="A constant map counts as uncorrelated.",
    cost="one explanation with a new network per step",
    expensive=True,
    stochastic=True,
    needs=("explain_with",),
)
def parameter_randomisation(
    net: SplitModel,
    batch: Samples,
    run: Run,
    steps: Annotated[int, Parameter("groups of layers that are randomised one after the other", low=1, high=1000)] = 8,
) -> Scores:
    """How much of the map survives when what the network learned is taken away. Extras: `spearman`, `ssim` by step.

    Of an image in a letterbox, the map over the photo counts.
    """
    planned = len(cascade(private_copy(batch.clf.network, batch.clf.input_shape), steps))
    run.expect(len(batch) * planned)
    cascades = [list(_reported(batch, index, run, steps)) for index in range(len(batch))]
    rank = [np.array([step.spearman for step in taken]) for taken in cascades]
    structure = [np.array([step.ssim for step in taken]) for taken in cascades]
    return Scores(_mean_size(rank), {"spearman": rank, "ssim": structure})


def _mean_size(rows: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> Tensor:
    return torch.tensor([np.abs(row).mean() for row in rows], dtype=torch.float64)


def _reported(batch: Samples, index: int, run: Run, steps: int) -> Iterator[RandomisationStep]:
    explain_with = batch.explain_with[index]
    assert explain_with is not None, "checked before the metric was called"
    for step in randomisation_steps(batch.clf, batch.saliency[index], explain_with, run, steps, batch.pictures[index]):
        run.advance()
        yield step
