"""Read an image file whatever it is, or say in one sentence why not."""

from __future__ import annotations

import hashlib
import io
import math
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from cam_core.images import dicom
from cam_core.images.deep_colour import DeepColour, is_deep_colour, joined, the_other_way
from cam_core.types import ImageError

MIN_SIDE: Final = 8
MAX_PIXELS: Final = 50_000_000
_HALVED_PIXELS: Final = 80_000_000  # below Pillow's own limit
# A JPEG is scaled down strip by strip while it is decoded.
_HALVED_JPEG_PIXELS: Final = 500_000_000
_JPEG_START: Final = b"\xff\xd8\xff"
# Scaling the shorter side up lengthens the other with it: without a bound, 8 × 6,000,000 would become 50 gigapixels.
MAX_ASPECT: Final = 50

_UNNAMED: Final = "the image"

# Formats with decoders fit for strangers' files; Pillow knows others, some of which start foreign programs (EPS).
FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM")
EXTENSIONS: Final = (
    *("jpg", "jpeg", "png", "webp", "avif", "gif", "tif", "tiff", "bmp", "ppm", "pgm"),
    *dicom.ENDINGS,
)

_DEEP: Final = "I;16"  # the one mode for grey of more than 8 bits: 0 is black, 65535 white

# EXIF orientation → what turns the stored pixels upright.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FIRST_LYING: Final = 5  # from this orientation on, width and height change places


def load_image(source: str | Path | bytes | BinaryIO) -> Image.Image:
    """An image file as RGB, upright: EXIF rotation applied, first frame of an animation, transparency over white.

    Grey of more than 8 bits keeps its levels: it is of mode "I;16", from 0, black, to 65535. So is a grey DICOM file,
    by its own window (see `cam_core.images.dicom`). Colour of 16 bits per channel in a PNG or TIFF file does too, up
    to 50 megapixels: it is a `DeepColour`, of which the network is given the levels, and Pillow shows 8 bits. Of other
    such files the higher 8 are read.

    The size is checked before a pixel is decoded. Of more than 50 megapixels, it is halved until it has no more; DICOM
    of that size is refused.

    Args:
        source: a path, the file's bytes, or an open binary file, which is read from its start and left open.
    Raises:
        ImageError: no such file, not an image, damaged or cut short, too small, too large, too narrow. Of DICOM also:
            several frames, a compression without a decoder, or pydicom is not installed.
    Examples:
        >>> from cam_core import SAMPLES, load_image
        >>> load_image(SAMPLES[0].path).mode
        'RGB'
        >>> load_image("holiday.jpg")
        Traceback (most recent call last):
        cam_core.types.ImageError: holiday.jpg cannot be opened: No such file or directory
    """
    if isinstance(source, str | Path):
        try:
            with Path(source).open("rb") as stream:
                return _decode(stream, Path(source).name)
        except (OSError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(f"{source} cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(io.BytesIO(source), _UNNAMED)
    name = getattr(source, "name", None)
    return _decode(source, Path(name).name if isinstance(name, str) else _UNNAMED)


def upright_size(data: bytes) -> tuple[int, int]:
    """(width, height) of an image file as `load_image` turns it, before it halves it; no pixel is decoded.

    Raises:
        ImageError: not an image.
    """
    stream = io.BytesIO(data)
    try:
        if dicom.is_dicom(stream):
            return dicom.Dicom(stream, _UNNAMED).size
        with _opened(stream) as image:
            lying = image.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_LYING
            return (image.height, image.width) if lying else image.size
    except Exception as error:  # whatever a decoder raises: there is no common class
        raise ImageError(f"{_UNNAMED} has no size that can be read ({error})") from error


def is_image(data: bytes) -> bool:
    """Whether a file begins as an image that `load_image` reads, of a size that it reads; no pixel is decoded."""
    stream = io.BytesIO(data)
    try:
        if dicom.is_dicom(stream):
            check_size(dicom.Dicom(stream, _UNNAMED).size)
            return True
        with _opened(stream) as image:
            check_size(image.size, most=_most(image))
    except Exception:  # whatever a decoder raises: there is no common class
        return False
    return True


def as_rgb(image: Image.Image) -> Image.Image:
    """Any PIL image as RGB of 8 bits: transparency over white, 16-bit, 32-bit and float grey scaled, never clipped.

    Raises:
        ImageError: values that are not finite, or a colour space without a conversion to RGB.
    """
    try:
        image.load()
        return _to_rgb(image)
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"the image (mode {image.mode}) cannot be turned into RGB: {error}; save it as RGB") from error


def as_grey(image: Image.Image) -> Image.Image:
    """Any PIL image as grey levels from 0 to 255: "L", or "F" (no whole numbers) where it has more than 8 bits.

    Raises:
        ImageError: as `as_rgb`.
    """
    if is_deep(image) or isinstance(image, DeepColour):
        return Image.fromarray(_grey_levels(image).astype(np.float32))
    return as_rgb(image).convert("L")


def is_deep(image: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def check_size(size: tuple[int, int], name: str = _UNNAMED, most: int = MAX_PIXELS) -> None:
    """Refuse what is too small to say anything about, or too large to hold.

    Args:
        size: (width, height) in pixels.
        most: pixels.
    Raises:
        ImageError: a side below 8 pixels, more pixels than that, or one side over 50 times the other.
    """
    width, height = size
    if min(size) < MIN_SIDE:
        raise ImageError(f"{name} is {width} × {height} pixels; each side must have at least {MIN_SIDE}")
    if width * height > most:
        raise ImageError(
            f"{name} is {width} × {height} pixels; at most {most // 10**6} megapixels are read: scale it down"
        )
    if max(size) > MAX_ASPECT * min(size):
        raise ImageError(f"{name} is {width} × {height} pixels: too narrow; crop it to at most 1 : {MAX_ASPECT}")


def image_digest(image: Image.Image) -> str:
    """SHA-256 over size and pixels, of 8 or of 16 bits, in hexadecimal: two images of the same have the same."""
    deep = is_deep(image)
    photo = _of_16_bits(as_grey(image)) if deep else as_rgb(image)
    kind = f" {_DEEP}" if deep else " RGB;16" if isinstance(image, DeepColour) else ""
    pixels = image.levels if isinstance(image, DeepColour) else photo
    return hashlib.sha256(f"{photo.width}x{photo.height}{kind}:".encode() + pixels.tobytes()).hexdigest()


def _decode(stream: BinaryIO, name: str) -> Image.Image:
    try:
        stream = _from_start(stream)
        if dicom.is_dicom(stream):
            return _of_dicom(dicom.Dicom(stream, name), name)
        with _opened(stream) as image:
            check_size(image.size, name, _most(image))
            scale = _scale(image.size)
            image.draft(image.mode, (image.width // scale, image.height // scale))
            if scale == 1 and is_deep_colour(image):
                return joined(_upright(image), _lower_bytes(stream))
            upright = _upright(image)
            photo = as_grey(upright) if (deep := is_deep(image)) else as_rgb(upright)
            photo = photo.reduce(remaining) if (remaining := _scale(photo.size)) > 1 else photo.copy()
            return _of_16_bits(photo) if deep else photo
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"at most {_HALVED_PIXELS // 10**6} megapixels are read: scale it down"
        raise ImageError(f"{name} is too large; {limit} ({error})") from error
    except UnidentifiedImageError:
        what = "this file" if name == _UNNAMED else name
        raise ImageError(
            f"{what} is not an image that can be read; known formats: {', '.join(FORMATS)}, DICOM"
        ) from None
    except Exception as error:  # whatever a decoder raises on a damaged file: there is no common class
        raise ImageError(f"{name} is damaged or cut short; save it again ({error})") from error


def _upright(image: Image.Image) -> Image.Image:
    """Decoded, and turned as the camera was held."""
    image.load()
    # Not ImageOps.exif_transpose: it writes the metadata back, and fails where a camera wrote them badly.
    turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _lower_bytes(stream: BinaryIO) -> Image.Image:
    stream.seek(0)
    again = _opened(stream)
    the_other_way(again)
    return _upright(again)


def _of_dicom(file: dicom.Dicom, name: str) -> Image.Image:
    check_size(file.size, name)
    picture = file.picture()
    if picture.ndim == 3:
        return Image.fromarray(picture)
    return _of_16_bits(Image.fromarray((255 * picture).astype(np.float32)))


def _of_16_bits(grey: Image.Image) -> Image.Image:
    """Levels from 0 to 255 with fractions ("F") → "I;16"."""
    return Image.fromarray(np.rint(np.asarray(grey, dtype=np.float64) * 257).astype(np.uint16))


def _from_start(stream: BinaryIO) -> BinaryIO:
    try:
        stream.seek(0)
    except (AttributeError, io.UnsupportedOperation):
        return io.BytesIO(stream.read())
    return stream


def _opened(stream: BinaryIO) -> Image.Image:
    """The image with its header read, and no pixel. Pillow's own `open` would refuse a JPEG by its full size."""
    is_jpeg = stream.read(len(_JPEG_START)) == _JPEG_START
    stream.seek(0)
    return JpegImageFile(stream) if is_jpeg else Image.open(stream, formats=_available_formats())


def _most(image: Image.Image) -> int:
    """Pixels that an image of its kind may have."""
    return _HALVED_JPEG_PIXELS if _decoded_in_strips(image) else _HALVED_PIXELS


def _decoded_in_strips(image: Image.Image) -> bool:
    """Whether its pixels are never there all at once; those of a progressive JPEG are."""
    return isinstance(image, JpegImageFile) and "progressive" not in image.info


def _scale(size: tuple[int, int]) -> int:
    """The power of two by which the sides have to be divided to leave no more than `MAX_PIXELS`."""
    scale = 1
    while size[0] * size[1] > MAX_PIXELS * scale**2:
        scale *= 2
    return scale


@cache
def _available_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _to_rgb(image: Image.Image) -> Image.Image:
    if is_deep(image):
        return Image.fromarray(np.rint(_grey_levels(image)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey_levels(image: Image.Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(H, W) from 0 to 255, with fractions, of an image that is deep."""
    if isinstance(image, DeepColour):
        return image.grey()
    return _levels(np.asarray(image), nominal=image.mode.startswith("I;16"))


def _levels(values: np.ndarray[Any, np.dtype[Any]], nominal: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Grey levels on a scale of their own → 0 to 255.

    `nominal` 16-bit data use their type's range, so that a dark photo stays dark. Other integers and floats have no
    range by type: the smallest usual one that holds them all (1, 255, 65535) is taken, or else their own extremes.
    """
    grey = values.astype(np.float64)
    low, high = float(grey.min()), float(grey.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError("the image holds values that are not finite (NaN or infinity); replace them")
    if nominal:
        low, high = 0.0, 65535.0
    else:
        usual = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
        low, high = next(((0.0, top) for top in usual if low >= 0 and high <= top), (low, high))
    span = (high - low) or 1.0  # a constant outside the usual ranges: black
    return (grey - low) * (255.0 / span)
