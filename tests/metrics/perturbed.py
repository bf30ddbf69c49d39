"""One map's way through one image, to look at."""

from __future__ import annotations

from typing import Any

from PIL import Image
from torch import Tensor

from cam_core import Classifier
from cam_core.metrics.curves.perturbation import Kind, Perturbation
from cam_core.metrics.curves.points import curve_settings, perturbations
from cam_core.metrics.samples import Saliency
from cam_core.run import Run


def perturbation(
    clf: Classifier,
    image: Image.Image | Tensor,
    saliency: Saliency,
    kind: Kind = "deletion",
    seed: int = 0,
    **params: Any,
) -> Perturbation:
    """One map's way through one image, to look at: `perturbation(…).picture(0.3)` is the image at 30 %."""
    tensor = clf.as_batch(image)[0]
    run = Run(seed=seed, mean=clf.preprocessing.mean, std=clf.preprocessing.std)
    return perturbations(tensor, {"": saliency}, curve_settings(kind, **params), run)[""]
