"""From a photo to the network's input, and back to where on the photo that was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cam_core.images.deep_colour import DeepColour
from cam_core.images.files import as_grey, as_rgb, check_size, is_deep
from cam_core.types import ImageError, ModelError, Picture

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

Fit: TypeAlias = Literal["crop", "letterbox", "stretch"]
"""How a photo comes to have the shape of the network's input."""
FITS: Final[tuple[Fit, ...]] = get_args(Fit)

_RESAMPLING: Final = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """From a photo to the network's input; with a crop bit for bit as torchvision does it.

    `Resize(resize)`, `CenterCrop(input_size)`, `ToTensor()`, `Normalize(mean, std)`. A letterbox takes the place of the
    first two: the whole photo, scaled to fit, in the middle of the mean colour, which is 0 once normalised. So does
    stretching: the whole photo, its sides scaled each for itself.

    Attributes:
        input_size: (H, W) of the network's input, pixels.
        resize: length in pixels that the image's shorter side is scaled to before a crop.
        interpolation: "bilinear" or "bicubic", antialiased.
        mean, std: one number per channel, for pixels in [0, 1]. With one channel photos are read as grey. With two, or
            more than three, there are tensors alone: no photo has them. 16 bits keep all their levels.
        fit: "crop", "letterbox" or "stretch".
    """

    input_size: tuple[int, int] = (224, 224)
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        """Raises ModelError: no such interpolation or fit, or a size or standard deviation that is not positive."""
        if self.fit not in FITS:
            raise ModelError(f"resize {self.fit!r} is not one of {', '.join(FITS)}")
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

        It reaches beyond the image where a small `resize` leaves less than the crop, there the network sees black; and
        where a letterbox is padded.

        Args:
            size: (width, height) of the original, pixels.
        """
        resized = self._resized(size)
        left, top = self._corner(resized)
        height, width = self.input_size
        across, down = size[0] / resized[0], size[1] / resized[1]
        return left * across, top * down, (left + width) * across, (top + height) * down

    def shown(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """`box` without what lies beyond the image: what is drawn of it.

        Args:
            size: (width, height) of the original, pixels.
        """
        left, top, right, bottom = self.box(size)
        return max(left, 0.0), max(top, 0.0), min(right, float(size[0])), min(bottom, float(size[1]))

    def picture(self, size: tuple[int, int]) -> Picture:
        """The part of the network's input that shows the photo, as (left, top, right, bottom) in its pixels.

        All of it, but for padding.

        Args:
            size: (width, height) of the original, pixels.
        """
        resized = self._resized(size)
        left, top = self._corner(resized)
        height, width = self.input_size
        return max(0, -left), max(0, -top), min(width, resized[0] - left), min(height, resized[1] - top)

    def frame(self, image: Image.Image) -> Image.Image:
        """The image as the network sees it, of exactly `input_size`: RGB, or "L" for a network of one channel.

        Raises:
            ImageError: the image is too small, too large or too narrow, or the network takes other channels than a
                photo has.
        """
        pixels = self.denormalise(self.tensor(image)).clamp(0, 1)
        values = (pixels * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
        return Image.fromarray(values if self.channels == 3 else values[..., 0])

    def tensor(self, image: Image.Image) -> Tensor:
        """PIL image → (channels, H, W) float32, normalised.

        Raises:
            ImageError: as `frame`.
        """
        values = torch.from_numpy(self._framed(image))
        planes = values[None] if values.ndim == 2 else values.permute(2, 0, 1)
        pixels = planes.expand(self.channels, -1, -1).contiguous().clamp(0, 255).div(255)
        return self._padded(self.normalise(pixels), image.size)

    def _framed(self, image: Image.Image) -> npt.NDArray[np.float32]:
        """Scaled, and cropped to what the network sees: (h, w, 3), or grey (h, w), from 0 to 255."""
        if self.channels not in (1, 3):
            raise ImageError(
                f"the network takes {self.channels} channels, and a photo has 3, or 1 that is grey: give a tensor "
                f"({self.channels}, H, W), normalised"
            )
        check_size(image.size)
        if self.channels == 3 and isinstance(image, DeepColour):
            return np.stack([self._fitted(band) for band in image.bands()], axis=-1)
        return self._fitted(as_rgb(image) if self.channels == 3 and not is_deep(image) else as_grey(image))

    def _fitted(self, whole: Image.Image) -> npt.NDArray[np.float32]:
        resized = whole.resize(self._resized(whole.size), _RESAMPLING[self.interpolation])
        if self.fit == "letterbox":
            return np.array(resized, dtype=np.float32)
        left, top = self._corner(resized.size)
        height, width = self.input_size
        return np.array(resized.crop((left, top, left + width, top + height)), dtype=np.float32)

    def _padded(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """A letterbox's picture among zeros; any other as it is."""
        height, width = self.input_size
        if picture.shape[-2:] == (height, width):
            return picture
        left, top, right, bottom = self.picture(size)
        return functional.pad(picture, (left, width - right, top, height - bottom))

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
        """(width, height) after scaling. For a crop, the shorter side becomes `resize`; the longer is rounded down."""
        width, height = size
        if self.fit != "crop":
            across, down = self.input_size[1] / width, self.input_size[0] / height
            least = min(across, down)
            across, down = (least, least) if self.fit == "letterbox" else (across, down)
            return max(1, round(width * across)), max(1, round(height * down))
        if width <= height:
            return self.resize, int(self.resize * height / width)
        return int(self.resize * width / height), self.resize

    def _corner(self, resized: tuple[int, int]) -> tuple[int, int]:
        """Left and top of the input in the resized image; negative where the image is smaller than the input."""
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
