"""The pictures behind a curve: the image with a share of its pixels changed, per map, and how the network scores it.

film = Film(clf, image, {"Grad-CAM": first, "LIFT-CAM": second}, kinds=("deletion", "insertion"))
film.at(0.3)["Grad-CAM", "deletion"].photo
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core.deprecated import formerly_positional
from cam_core.maps import within
from cam_core.masked import class_score
from cam_core.metrics.curves.perturbation import Kind, Perturbation
from cam_core.metrics.curves.points import curve_settings, explained_target, perturbations
from cam_core.metrics.samples import Saliency, untouched
from cam_core.metrics.scoring import exact_logits
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.run import Run
from cam_core.targets.asking import Target, ask
from cam_core.types import MetricError


@dataclass(frozen=True)
class Frame:
    """One picture: the photo as the network sees it, without padding, and its score as the curve has it."""

    photo: Image.Image
    value: float


Frames = dict[tuple[str, Kind], Frame]
"""By name of the map and kind of curve, as `Curves` are."""


class Film:
    """The frames of several maps at any fraction. What fractions share is made once: baselines, order of the pixels.

    Args:
        saliencies: maps (H, W) in [0, 1], or explanations, by name.
        target, seed, precision, params: as of `curve_points`.
    Raises:
        MetricError: an unknown kind or parameter, or a map that is none.
        TargetError: a class that does not exist.
    """

    @formerly_positional("kinds", "target")
    def __init__(
        self,
        clf: Classifier,
        image: Image.Image | Tensor,
        saliencies: Mapping[str, Saliency],
        *,
        kinds: Sequence[Kind] = ("deletion",),
        target: Target = None,
        seed: int = 0,
        precision: str = "float32",
        **params: Any,
    ) -> None:
        clf, asked_class = ask(clf, explained_target(saliencies) if target is None else target)
        self._clf = clf
        seen = untouched(clf, [image], [asked_class], precision)
        self._net, self._target = seen.net, int(seen.target)
        run = Run.of(clf, Options(seed, precision))
        self._picture = clf.picture(image)
        self._ways: dict[tuple[str, Kind], Perturbation] = {}
        for kind in kinds:
            ways = perturbations(seen.images[0], saliencies, curve_settings(kind, **params), run, self._picture)
            self._ways |= {(name, kind): way for name, way in ways.items()}

    def at(self, fraction: float) -> Frames:
        """All frames at one fraction, scored in one pass.

        Args:
            fraction: share of the pixels that is changed, from 0 to 1; rounded to whole pixels.
        Raises:
            MetricError: a fraction out of range.
        """
        if not 0 <= fraction <= 1:
            raise MetricError(f"fraction={fraction} must be from 0 to 1")
        if not self._ways:
            return {}
        pictures = torch.stack([way.picture(fraction) for way in self._ways.values()])
        score = next(iter(self._ways.values())).settings.score
        values = class_score(exact_logits(self._net, pictures), self._target, score)
        photos = [as_photo(self._clf, within(picture, self._picture)) for picture in pictures]
        return {key: Frame(photo, float(v)) for key, photo, v in zip(self._ways, photos, values, strict=True)}


def as_photo(clf: Classifier, picture: Tensor) -> Image.Image:
    """A normalised picture (channels, H, W) as an RGB image; what lies outside the range of colours is cut to it.

    Grey where there are not three channels: their mean.
    """
    pixels = clf.preprocessing.denormalise(picture.detach().float().cpu()).clamp(0, 1)
    if len(pixels) != 3:
        pixels = pixels.mean(0, keepdim=True).expand(3, -1, -1)
    return Image.fromarray((pixels * 255).round().permute(1, 2, 0).numpy().astype(np.uint8))
