"""What a curve looks at: the image with a share of its pixels changed, for each map, and how the network scores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core.explain import Target
from cam_core.masked import class_score
from cam_core.metrics.curves import curve_settings, explained_class, perturbations
from cam_core.metrics.perturbation import Kind
from cam_core.metrics.scoring import exact_logits
from cam_core.metrics.subjects import Saliency
from cam_core.models.classifier import Classifier
from cam_core.run import Run
from cam_core.types import MetricError


@dataclass(frozen=True)
class Frame:
    """One picture: the photo as the network sees it, and the class's score, as the curve has it at this fraction."""

    photo: Image.Image
    value: float


def frames(
    clf: Classifier,
    image: Image.Image | Tensor,
    saliencies: Mapping[str, Saliency],
    fraction: float,
    kind: Kind = "deletion",
    target: Target = None,
    *,
    seed: int = 0,
    precision: str = "float32",
    **params: Any,
) -> dict[str, Frame]:
    """The image at one fraction of every map's curve, in one pass; arguments as of `curve_points`.

    Args:
        fraction: share of the pixels that is changed, from 0 to 1; rounded to whole pixels.
    Raises:
        MetricError: a fraction out of range, an unknown kind or parameter, or a map that is none.
    """
    if not 0 <= fraction <= 1:
        raise MetricError(f"fraction={fraction} must be from 0 to 1")
    settings = curve_settings(kind, **params)
    net = clf.split(None, precision)
    tensor = clf.as_batch(image).to(net.dtype)[0]
    run = Run(seed=seed, mean=clf.preprocessing.mean, std=clf.preprocessing.std)
    ways = perturbations(tensor, saliencies, settings, run)
    if not ways:
        return {}
    pictures = torch.stack([way.picture(fraction) for way in ways.values()])
    logits = exact_logits(net, torch.cat([tensor[None], pictures]))
    index = clf.resolve_target(explained_class(saliencies) if target is None else target, logits[0])
    values = class_score(logits[1:], index, settings.score)
    photos = [as_photo(clf, picture) for picture in pictures]
    return {name: Frame(photo, float(v)) for name, photo, v in zip(ways, photos, values, strict=True)}


def as_photo(clf: Classifier, picture: Tensor) -> Image.Image:
    """A normalised picture (3, H, W) as an RGB image; what lies outside the range of colours is cut to it."""
    pixels = clf.preprocessing.denormalise(picture.detach().float().cpu()).clamp(0, 1)
    return Image.fromarray((pixels * 255).round().permute(1, 2, 0).numpy().astype(np.uint8))
