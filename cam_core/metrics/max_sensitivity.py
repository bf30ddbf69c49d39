"""Max-sensitivity: how far does the map move when the image hardly does?"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from cam_core.declarations.parameters import Parameter
from cam_core.metrics.base import Scores, metric
from cam_core.metrics.samples import Samples
from cam_core.models.split.model import SplitModel
from cam_core.run import Run


@metric(
    "max-sensitivity",
    title="Max-sensitivity",
    plain="Largest change of the map when the image hardly changes",
    direction="lower",
    range=(0, float("inf")),
    source="Yeh et al. 2019, arXiv:1901.09392, definition 2.2; relative to the map's norm, as in captum",
    formula="max over ‖δ‖∞ ≤ radius of ‖S(x + δ) − S(x)‖ / ‖S(x)‖, from random δ",
    edge_cases="Not divided where the map is zero.",
    cost="one explanation per noisy copy",
    expensive=True,
    stochastic=True,
    needs=("explain_again",),
)
def max_sensitivity(
    net: SplitModel,
    batch: Samples,
    run: Run,
    samples: Annotated[int, Parameter("noisy copies of the image that are explained", low=1, high=1000)] = 10,
    radius: Annotated[float, Parameter("largest change of a value of the normalised input", low=0, high=10)] = 0.02,
) -> Scores:
    """How far the map moves when the image hardly does. Extra: `changes`, one per noisy copy.

    Noise and map are those of the photo: a letterbox's padding stays as it is, and does not count.
    """
    run.expect(len(batch) * samples)
    changes = []
    for index, saliency in enumerate(batch.planes):
        photo, generator = batch.photo(index), run.generator()
        length = float(saliency.norm()) or 1.0
        distances = []
        for _ in range(samples):
            noise = (2 * torch.rand(photo.shape, generator=generator, dtype=torch.float64) - 1) * radius
            again = batch.mapped_again(index, batch.padded(index, (photo + noise.to(photo))[None])[0])
            distances.append(float((again - saliency).norm()) / length)
            run.advance()
        changes.append(np.array(distances))
    return Scores(torch.tensor([moves.max() for moves in changes], dtype=torch.float64), {"changes": changes})
