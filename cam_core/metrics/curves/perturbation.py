"""An image on its way to a baseline, or back, pixel by pixel in the order of a map: deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from cam_core.declarations.lazy import lazy
from cam_core.declarations.parameters import DeclaredParameter, MaskSpace, Parameter
from cam_core.declarations.signatures import declared_fields
from cam_core.maps import within
from cam_core.metrics.scoring import Score, descending_order, ranks
from cam_core.models.devices import double
from cam_core.run import Run
from cam_core.types import Images, MetricError, Picture

Kind = Literal["deletion", "insertion"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# The kernel of the published code is 11 pixels wide.
_BLUR_RADIUS = 5


@dataclass(frozen=True)
class Settings:
    """The settings of a curve; all but its kind are parameters."""

    kind: Kind
    steps: Annotated[
        int, Parameter("points after the first; 224 at 224 × 224 is one row of pixels each", low=1, high=1 << 20)
    ] = 224
    baseline: Annotated[
        Literal["zero", "mean", "blur", "noise"],
        Parameter("what a pixel becomes: the mask space's zero, the image's mean colour, the image blurred, or noise"),
    ] = "zero"
    blur_sigma: Annotated[
        float, Parameter("standard deviation in pixels of the 11 × 11 kernel of the blur", low=0.1, high=100)
    ] = 5.0
    mask_space: MaskSpace = "normalized"
    score: Score = "probability"

    def counts(self, pixels: int) -> Tensor:
        """The number of pixels changed at each point: 0, s, 2 s, …, all; s = ⌈pixels / steps⌉."""
        step = -(-pixels // self.steps)
        return torch.tensor([*range(0, pixels, step), pixels])


# As published: deletion ends in zeros, insertion starts from blur.
DEFAULTS: dict[Kind, Settings] = {
    "deletion": Settings("deletion"),
    "insertion": Settings("insertion", baseline="blur"),
}


def curve_parameters(kind: Kind) -> tuple[DeclaredParameter, ...]:
    """The parameters of one kind of curve: the fields of `Settings`."""
    return declared_fields(DEFAULTS[kind], f"the {kind} curve", MetricError)


class Perturbation:
    """One image of which more and more pixels are deleted, or inserted, the most salient first.

    Ties: of equally salient pixels the one further up goes first, then the one further left.

    Args:
        image: (channels, H, W), normalised.
        saliency: (H, W).
        baseline: (channels, H, W), what deletion ends in and insertion starts from.
        picture: the part of the image that is no padding; all of it for None. Padding neither goes nor counts.
    """

    def __init__(
        self, image: Tensor, saliency: Tensor, baseline: Tensor, settings: Settings, picture: Picture | None = None
    ) -> None:
        start, end = (image, baseline) if settings.kind == "deletion" else (baseline, image)
        # Channels last, as the network wants its pictures: no copy between here and the first convolution.
        self._start, self._end = (p.permute(1, 2, 0).contiguous() for p in (start, end))
        self._size, self._picture = saliency.shape, picture
        self._saliency = within(saliency, picture)
        self.settings = settings
        self.pixels = self._saliency.numel()
        self.counts = settings.counts(self.pixels)

    @lazy
    def _places(self) -> Tensor:
        """(H, W): when each pixel's turn comes. Sorted when first needed, for a curve's first point not to wait."""
        places = ranks(descending_order(self._saliency)).view(self._saliency.shape)
        whole = places.new_full(self._size, self.pixels)  # never: no count is larger
        within(whole, self._picture).copy_(places)
        return whole.to(self._start.device)

    @lazy
    def fractions(self) -> Tensor:
        """(n + 1,) float64: the share of pixels that is changed at each point, from 0 to 1."""
        return self.counts.double() / self.pixels

    @lazy
    def shares(self) -> list[float]:
        """`fractions`, as numbers."""
        return self.fractions.tolist()

    def pictures(self, counts: Tensor) -> Images:
        """(n,) numbers of changed pixels → (n, channels, H, W)."""
        changed = self._places < counts.to(self._places.device)[:, None, None]
        return torch.where(changed[..., None], self._end, self._start).permute(0, 3, 1, 2)

    def picture(self, fraction: float) -> Tensor:
        """(channels, H, W): the image with this share of its pixels changed, rounded to whole pixels."""
        return self.pictures(torch.tensor([round(fraction * self.pixels)]))[0]


def padded_baseline(image: Tensor, settings: Settings, run: Run, picture: Picture | None) -> Tensor:
    """`baseline_image` of the part of an image that is no padding, which stays as it is around it."""
    if picture is None:
        return baseline_image(image, settings, run)
    whole = image.clone()
    within(whole, picture).copy_(baseline_image(within(image, picture), settings, run))
    return whole


def baseline_image(image: Tensor, settings: Settings, run: Run) -> Tensor:
    """The picture that replaces the pixels of `image` (channels, H, W), of the same shape.

    - zero: 0 in the mask space, that is the mean colour of the training images (normalized) or black (pixel);
    - mean: the mean colour of this image;
    - blur: a Gaussian of 11 × 11 pixels, borders mirrored. The published code of RISE builds its kernel by filtering a
      delta within the 11 × 11 window, which folds the tails back into it, and pads with zeros: a darker border;
    - noise: independent normal draws with the mean and spread of the training images, the same for one seed.
    """
    return _BASELINE[settings.baseline](image, settings, run)


def _zero(image: Tensor, settings: Settings, run: Run) -> Tensor:
    return run.fill(settings.mask_space, image)[0].expand_as(image)


def _mean(image: Tensor, settings: Settings, run: Run) -> Tensor:
    return image.mean(dim=(1, 2), keepdim=True).expand_as(image)


def _blur(image: Tensor, settings: Settings, run: Run) -> Tensor:
    planes = double(image).cpu().numpy()
    blurred = [gaussian_filter(plane, settings.blur_sigma, radius=_BLUR_RADIUS, mode="reflect") for plane in planes]
    return torch.from_numpy(np.stack(blurred)).to(image)


def _noise(image: Tensor, settings: Settings, run: Run) -> Tensor:
    return torch.randn(image.shape, generator=run.generator(), dtype=torch.float64).to(image)


_BASELINE: dict[str, Callable[[Tensor, Settings, Run], Tensor]] = {
    "zero": _zero,
    "mean": _mean,
    "blur": _blur,
    "noise": _noise,
}
