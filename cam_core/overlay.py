"""Maps as pictures: colours, limits, overlays, colour bars. Plain images in and out, for pages, figures and the shell.

    values = display_values(explanation.map, (448, 448), signed=True)
    picture = overlay(photo, values, opacity=0.5, colour_map="RdBu_r", limits=limits([values], signed=True))

All colour maps offered are perceptually uniform or, where diverging, symmetric in lightness about a neutral middle, and
legible to colour-blind readers; but for those that are chosen against a reason (`UNEVEN`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from matplotlib import colormaps
from matplotlib.colors import Colormap
from PIL import Image, ImageDraw, ImageFilter

from cam_core import maps
from cam_core.images import as_rgb
from cam_core.types import CamError, FloatArray

SEQUENTIAL = ("inferno", "magma", "plasma", "viridis", "cividis")
"""Colour maps for values from 0 up; the first is the default."""

DIVERGING = ("RdBu_r", "PuOr_r", "BrBG_r", "coolwarm")
"""Colour maps for signed values, whose middle is 0; the first is the default.

Their warm end is what speaks for a class, their cold end what speaks against it, as `palette.FOR` and `AGAINST` are.
"""

CRAMERI_SEQUENTIAL = ("cmc.batlow", "cmc.lipari", "cmc.imola")
"""Fabio Crameri's, of the package cmcrameri, for whoever has it."""

CRAMERI_DIVERGING = ("cmc.vik", "cmc.broc")
"""The same for signed values."""

UNEVEN = ("jet", "rainbow")
"""Colour maps for values from 0 up that whoever insists may ask for by name; nothing here chooses one."""

AGAINST_UNEVEN = (
    "It is brightest in its middle and changes in jumps: it shows edges where the map has none, and in grey print, or "
    "with a colour-vision deficiency, high and low look alike."
)
"""The reason against these."""

VISIONS: Mapping[str, tuple[tuple[float, float, float], ...]] = MappingProxyType(
    {
        "deuteranopia": (
            (0.367322, 0.860646, -0.227968),
            (0.280085, 0.672501, 0.047413),
            (-0.011820, 0.042940, 0.968881),
        ),
        "protanopia": (
            (0.152286, 1.052583, -0.204868),
            (0.114503, 0.786281, 0.099216),
            (-0.003882, -0.048116, 1.051998),
        ),
        "tritanopia": (
            (1.255528, -0.076749, -0.178779),
            (-0.078411, 0.930809, 0.147602),
            (0.004733, 0.691367, 0.303900),
        ),
        "grey print": ((0.2126, 0.7152, 0.0722),) * 3,
    }
)
"""Matrices of linear light that show colours as others see them, after Machado, Oliveira & Fernandes 2009, "A
Physiologically-based Model for Simulation of Color Vision Deficiency", severity 1.0; and as a printer without colour
prints them, by their luminance (ITU-R BT.709)."""

ACTIVATION = "PiYG"
"""The colour map of a channel's activation, which is no evidence: its middle is 0 too, neither end is warm or cold."""

LEVELS = (0.25, 0.5, 0.75)
"""Shares of the largest magnitude that lines are drawn at."""

_CENTRED = (*DIVERGING, *CRAMERI_DIVERGING, ACTIVATION)
_STRONGEST = 0.85  # opacity where a channel is most active

Pixels = npt.NDArray[np.uint8]
Limits = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


class ColourMapError(CamError, ValueError):
    """The colour map is not one of those offered."""


def display_values(
    raw: FloatArray, size: tuple[int, int], *, signed: bool = False, part: Box | None = None
) -> FloatArray:
    """The values of a raw map that are drawn: ReLU unless signed, then bilinear (align_corners=False) to `size`.

    Args:
        raw: (h, w), signed.
        size: (H, W) of the picture.
        part: of the map that the picture shows, as shares of its width and height: `Explanation.part`. All of it for
            None; the rest lies over padding.
    Returns:
        (H, W) float32 in the map's own unit.
    """
    values = torch.from_numpy(np.ascontiguousarray(raw, dtype=np.float32))[None]
    values = values if signed else values.relu()
    if part is None:
        return maps.upsample(values, size)[0].numpy()
    left, top, right, bottom = part
    height, width = whole = round(size[0] / (bottom - top)), round(size[1] / (right - left))
    down, across = min(round(top * height), height - size[0]), min(round(left * width), width - size[1])
    spread = maps.upsample(values, whole)[0].numpy()
    return np.ascontiguousarray(spread[down : down + size[0], across : across + size[1]])


def limits(values: Sequence[FloatArray], *, signed: bool = False) -> Limits:
    """The common range of one or several maps: (min, max), or (−m, m) with m = max |value| where signed.

    One map gives its own scale, several a shared one. (0, 0) for no map at all.
    """
    if not values:
        return 0.0, 0.0
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    if not signed:
        return low, high
    largest = max(abs(low), abs(high))
    return -largest, largest


def percentiles(values: FloatArray) -> FloatArray:
    """The share of the picture, in per cent, whose values are no farther from 0 than each value is; with its sign.

    0 stays 0. Maps in different units so become comparable: 90 is exceeded by a tenth of every picture, unless values
    are equal. A constant map ranks nothing and becomes 0.

    Returns:
        Of the shape of `values`, −100 to 100.
    """
    if np.ptp(values) == 0:
        return np.zeros_like(values, dtype=np.float32)
    size = np.abs(values)
    shares = np.searchsorted(np.sort(size, axis=None), size, side="right") * (100 / size.size)
    return np.asarray(np.sign(values) * shares, dtype=np.float32)


def colourise(values: FloatArray, colour_map: str = SEQUENTIAL[0], limits: Limits = (0.0, 1.0)) -> Pixels:
    """(H, W) numbers → (H, W, 3) RGB, `limits` at the two ends of the colour map.

    Values beyond the limits take the colour of the nearer end. Where the limits coincide, there is no scale: everything
    takes the lowest colour of a sequential map and the neutral middle of a diverging one.

    Raises:
        ColourMapError: not one of `SEQUENTIAL` and `DIVERGING` or Crameri's, nor `UNEVEN` or `ACTIVATION`.
    """
    table = _colour_map(colour_map)
    low, high = limits
    if high > low:
        unit = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    else:
        unit = np.full(np.shape(values), 0.5 if colour_map in _CENTRED else 0.0)
    return np.asarray(table(unit.clip(0, 1), bytes=True)[..., :3], dtype=np.uint8)


def overlay(
    image: Image.Image,
    values: FloatArray,
    opacity: float = 0.5,
    colour_map: str = SEQUENTIAL[0],
    limits: Limits = (0.0, 1.0),
) -> Image.Image:
    """Blend a colourised map over a photo: (1 − opacity) · photo + opacity · colours.

    Args:
        image: any size; the map is stretched over all of it, so pass the frame that the network saw.
        values: (h, w), such as `Explanation.saliency`, or `display_values` of `Explanation.map`.
        opacity: 0 shows the photo alone, 1 the map alone.
    Returns:
        RGB, of the size of `image`.
    Raises:
        ColourMapError: not one of `SEQUENTIAL` and `DIVERGING`.
        ValueError: opacity outside [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity {opacity} is out of range (0 to 1)")
    size = (image.height, image.width)
    if values.shape != size:
        values = display_values(values, size, signed=True)
    colours = Image.fromarray(colourise(values, colour_map, limits))
    return Image.blend(image.convert("RGB"), colours, opacity)


def shaded(image: Image.Image, values: FloatArray) -> Image.Image:
    """A channel's activation over a grey photo: the weaker it is, the less it covers.

    Args:
        values: (H, W) of `image`, signed; see `display_values`.
    Returns:
        RGB: `ACTIVATION` with 0 in its middle, as opaque as |value| is large; the photo alone where the channel is 0.
    """
    cover = Image.fromarray((255 * _STRONGEST * _strength(values)).astype(np.uint8))
    colours = Image.fromarray(colourise(values, ACTIVATION, limits([values], signed=True)))
    return Image.composite(colours, image.convert("L").convert("RGB"), cover)


def outlined(image: Image.Image, values: FloatArray) -> Image.Image:
    """A channel's activation as lines on the photo, at a quarter, a half and three quarters of the largest |value|.

    Args:
        values: (H, W) of `image`, signed.
    """
    picture = np.array(image.convert("RGB"))
    for level in LEVELS:
        inside = Image.fromarray((_strength(values) >= level).astype(np.uint8) * 255)
        picture[_rim(inside, 5)] = 0
        picture[_rim(inside, 3)] = 255
    return Image.fromarray(picture)


def _strength(values: FloatArray) -> FloatArray:
    """|value| as a share of the largest; 0 where all are."""
    magnitude: FloatArray = np.abs(values)
    return magnitude / (magnitude.max() or 1.0)


def _rim(inside: Image.Image, width: int) -> npt.NDArray[np.bool_]:
    """(H, W): within half of `width`, which is odd, of the border between black and white."""
    grown, shrunk = (np.asarray(inside.filter(f(width))) for f in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    rim: npt.NDArray[np.bool_] = grown != shrunk
    return rim


def close_up(image: Image.Image, box: Box, side: int) -> Image.Image:
    """The frame that the network sees, cut from the original, so that it is shown sharper than the network has it.

    Args:
        box: `Preprocessing.box(image.size)`; beyond the image it is black.
        side: length in pixels of the longer side of the picture.
    """
    left, top, right, bottom = (round(edge) for edge in box)
    frame = as_rgb(image).crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    scale = side / max(frame.size)
    size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
    return frame.resize(size, Image.Resampling.LANCZOS)


def framed(image: Image.Image, box: Box, side: int) -> Image.Image:
    """The whole photo with the frame that the network sees: a line around it, what is cut off darkened.

    Args:
        box: `Preprocessing.box(image.size)`, pixels of `image`.
        side: length in pixels of the longer side of the picture.
    """
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    photo = as_rgb(image).resize(size, Image.Resampling.LANCZOS)
    left, top = (max(0, round(edge * scale)) for edge in box[:2])
    right, bottom = (min(length, round(edge * scale)) for edge, length in zip(box[2:], size, strict=True))
    picture = Image.blend(photo, Image.new("RGB", size), 0.6)
    picture.paste(photo.crop((left, top, right, bottom)), (left, top))
    ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), outline="white", width=2)
    return picture


def colour_bar(colour_map: str, width: int = 256, height: int = 12) -> Image.Image:
    """The colour map itself, lowest value at the left: (width × height) pixels, RGB."""
    row = np.linspace(0, 1, width, dtype=np.float32)
    return Image.fromarray(colourise(np.tile(row, (height, 1)), colour_map))


def colour_stops(colour_map: str, count: int = 9, vision: str = "") -> list[str]:
    """`count` evenly spaced colours, lowest value first, as "#rrggbb": for a gradient drawn elsewhere.

    Args:
        vision: one of `VISIONS`, by which they are seen; as they are where empty.
    """
    row = colourise(np.linspace(0, 1, count, dtype=np.float32)[None], colour_map)[0]
    row = seen_by(row, vision) if vision else row
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in row]


def seen_by(colours: Pixels, vision: str) -> Pixels:
    """RGB colours (…, 3) as one of `VISIONS` has them."""
    encoded = colours / 255.0
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = (light @ np.array(VISIONS[vision]).T).clip(0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * encoded), dtype=np.uint8)


def has_crameri() -> bool:
    """Whether Crameri's colour maps are installed; matplotlib knows them from then on."""
    try:
        import cmcrameri.cm  # noqa: F401  (it registers them)
    except ImportError:
        return False
    return True


def check_crameri(name: str) -> None:
    """Raises ColourMapError: a colour map of Crameri's, and they are not installed."""
    if not has_crameri():
        raise ColourMapError(f"the colour map {name} is one of the package cmcrameri: pip install cmcrameri")


def _colour_map(name: str) -> Colormap:
    if name.startswith("cmc."):
        check_crameri(name)
    if name not in SEQUENTIAL + CRAMERI_SEQUENTIAL + UNEVEN + _CENTRED:
        raise ColourMapError(f"unknown colour map {name!r}; there are: {', '.join(SEQUENTIAL + DIVERGING)}")
    return colormaps[name]


def highlight(image: Image.Image, mask: npt.NDArray[np.bool_], darkness: float = 0.8) -> Image.Image:
    """The image, dark where the mask (h, w), stretched over it, is false.

    Args:
        darkness: 0 leaves the image as it is, 1 blackens it there.
    """
    kept = Image.fromarray(mask.astype(np.uint8) * 255).resize(image.size, Image.Resampling.BILINEAR)
    return Image.composite(image, Image.blend(image, Image.new("RGB", image.size), darkness), kept)
