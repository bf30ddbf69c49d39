"""Colour of 16 bits per channel, which Pillow has no mode for: as it is shown in 8 bits, with the levels beside that.

Pillow decodes such files, and keeps the higher byte of each level. Told that the bytes lie the other way round, it
keeps the lower ones.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Levels = npt.NDArray[np.uint16]

WHITE: Final = 65535
_TO_8_BITS: Final = np.rint(np.arange(WHITE + 1) / 257).astype(np.uint8)
_GREY: Final = (0.299, 0.587, 0.114)  # as Pillow weighs the colours
# Pillow's names for the order of a file's bytes, and those for the other one.
_FOREIGN: Final = "B" if sys.byteorder == "little" else "L"
_OTHER_WAY: Final = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", _FOREIGN))
}


class DeepColour(Image.Image):
    """An RGB image of 8 bits, not to be drawn into, that knows its levels.

    A part cut out by `crop` knows its own; whatever else Pillow makes of it is an ordinary image.

    Args:
        levels: (H, W, 3), from 0, black, to 65535.
    """

    def __init__(self, levels: Levels) -> None:
        super().__init__()
        shown = Image.fromarray(_TO_8_BITS[levels])
        self.__setstate__([{}, shown.mode, shown.size, None, shown.tobytes()])
        self.levels = levels

    def crop(self, box: tuple[float, float, float, float] | None = None) -> Image.Image:
        left, top, right, bottom = (0, 0, *self.size) if box is None else map(round, box)
        if left < 0 or top < 0 or right > self.width or bottom > self.height:
            return super().crop(box)
        return DeepColour(self.levels[top:bottom, left:right])

    def __reduce__(self) -> tuple[Any, ...]:
        return DeepColour, (self.levels,)

    def bands(self) -> list[Image.Image]:
        """Red, green and blue from 0 to 255, with fractions ("F")."""
        return [Image.fromarray(self.levels[..., band].astype(np.float32) / 257) for band in range(3)]

    def grey(self) -> npt.NDArray[np.float64]:
        """(H, W) from 0 to 255, with fractions."""
        return self.levels @ (np.array(_GREY) / 257)


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an image that was opened, and not decoded, has colour of 16 bits that can be read whole."""
    tiles = getattr(image, "tile", ())
    return bool(tiles) and "transparency" not in image.info and all(_other(tile.args) for tile in tiles)


def the_other_way(image: Any) -> None:
    """Have an image for which `is_deep_colour` decoded with the bytes of each level in the other order."""
    image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]


def joined(high: Image.Image, low: Image.Image) -> DeepColour:
    """The image of which one has the higher bytes, and the other one the lower; transparency over white."""
    levels = np.asarray(high).astype(np.uint16)
    levels <<= 8
    levels |= np.asarray(low)
    if levels.shape[-1] == 3:
        return DeepColour(levels)
    alpha = levels[..., 3:] / np.float32(WHITE)
    return DeepColour(np.rint(levels[..., :3] * alpha + WHITE * (1 - alpha)).astype(np.uint16))


def _other(args: Any) -> str | None:
    mode = args if isinstance(args, str) else args[0] if args else ""
    return _OTHER_WAY.get(mode) if isinstance(mode, str) else None


def _swapped(args: Any) -> Any:
    return _other(args) if isinstance(args, str) else (_other(args), *args[1:])
