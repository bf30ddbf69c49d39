"""From a photo to the network's input, and back to where on the photo that was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core.images.files import as_grey, as_rgb, check_size
from cam_core.types import ImageError, ModelError

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

_RESAMPLING: Final = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """From a photo to the network's input, bit for bit as torchvision does it.

    `Resize(resize)`, `CenterCrop(input_size)`, `ToTensor()`, `Normalize(mean, std)`.

    Attributes:
        input_size: (H, W) of the network's input, pixels.
        resize: length in pixels that the image's shorter side is scaled to before the crop.
        interpolation: "bilinear" or "bicubic", antialiased.
        mean, std: one number per channel, for pixels in [0, 1]. With one channel photos are read as grey, and those of
            16 bits keep all their levels. With two, or more than three, there are tensors alone: no photo has them.
    """

    input_size: tuple[int, int] = (224, 224)
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        """Raises ModelError: no such interpolation, or a size or standard deviation that is not positive."""
        if self.interpolation not in _RESAMPLING:
            raise ModelError(f"interpolation {self.interpolation!r} is not one of {', '.join(_RESAMPLING)}")
        if min(*self.input_size, self.resize) < 1:
            raise ModelError(f"input_size={self.input_size} and resize={self.resize} must be positive")
        if not self.mean or len(self.mean) != len(self.std) or not min(self.std) > 0:
            raise ModelError(f"mean={self.mean} and std={self.std} must be one number per channel each, std positive")

    @property
    def channels(self) -> int:
        """How many the network's input has."""
        return len(self.mean)

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """The frame that the network sees, as (left, top, right, bottom) in pixels of the original.

        It reaches beyond the image where a small `resize` leaves less than the crop: there the network sees black.

        Args:
            size: (width, height) of the original, pixels.
        """
        resized = self._resized(size)
        left, top = self._corner(resized)
        height, width = self.input_size
        across, down = size[0] / resized[0], size[1] / resized[1]
        return left * across, top * down, (left + width) * across, (top + height) * down

    def frame(self, image: Image.Image) -> Image.Image:
        """The image as the network sees it, of exactly `input_size`: RGB, or "L" for a network of one channel.

        Raises:
            ImageError: the image is too small, too large or too narrow, or the network takes other channels than a
                photo has.
        """
        framed = self._framed(image)
        return framed.convert("L") if framed.mode == "F" else framed

    def tensor(self, image: Image.Image) -> Tensor:
        """PIL image → (channels, H, W) float32, normalised.

        Raises:
            ImageError: as `frame`.
        """
        values = torch.from_numpy(np.array(self._framed(image), dtype=np.float32))
        pixels = values.reshape(*self.input_size, self.channels).permute(2, 0, 1).contiguous()
        return self.normalise(pixels.div(255))

    def _framed(self, image: Image.Image) -> Image.Image:
        if self.channels not in (1, 3):
            raise ImageError(
                f"the network takes {self.channels} channels, and a photo has 3, or 1 that is grey: give a tensor "
                f"({self.channels}, H, W), normalised"
            )
        check_size(image.size)
        whole = as_rgb(image) if self.channels == 3 else as_grey(image)
        resized = whole.resize(self._resized(image.size), _RESAMPLING[self.interpolation])
        left, top = self._corner(resized.size)
        height, width = self.input_size
        return resized.crop((left, top, left + width, top + height))

    def normalise(self, pixels: Tensor) -> Tensor:
        """(…, channels, H, W) in [0, 1] → the network's input: (x − mean) / std."""
        return (pixels - self._channels(self.mean, pixels)) / self._channels(self.std, pixels)

    def denormalise(self, images: Tensor) -> Tensor:
        """The inverse of `normalise`; not clamped to [0, 1]."""
        return images * self._channels(self.std, images) + self._channels(self.mean, images)

    @staticmethod
    def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) after the shorter side is scaled to `resize`; the longer is rounded down."""
        width, height = size
        if width <= height:
            return self.resize, int(self.resize * height / width)
        return int(self.resize * width / height), self.resize

    def _corner(self, resized: tuple[int, int]) -> tuple[int, int]:
        """Left and top of the crop in the resized image; negative where the image is smaller than the crop."""
        height, width = self.input_size
        return _offset(resized[0], width), _offset(resized[1], height)


def part_of(size: tuple[int, int], place: float) -> tuple[int, int, int, int]:
    """A square as large as the image allows, somewhere along its longer side: (left, top, right, bottom) in pixels.

    Of a photo that is far from square the network sees the middle alone; of this part of it, what lies elsewhere.

    Args:
        size: (width, height) of the image, pixels.
        place: 0 at the left or the top, 1 at the right or the bottom.
    """
    side = min(size)
    left, top = (round(place * (length - side)) for length in size)
    return left, top, left + side, top + side


def _offset(length: int, crop: int) -> int:
    """Python's round (halves to even) and a padding rounded down: torchvision's `center_crop`."""
    return round((length - crop) / 2) if length >= crop else -((crop - length) // 2)
