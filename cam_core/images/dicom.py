"""DICOM: the picture of one medical image as viewers show it. Of the file's other entries, names and dates, none stays.

Reading needs the optional extra `pydicom`; without it, that is what the error says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from cam_core.types import ImageError

ENDINGS: Final = ("dcm", "dicom")

_PREAMBLE: Final = 128  # bytes before the letters by which a file is known
_LETTERS: Final = b"DICM"
# Unpacked whole before its size is known: 25 MB could become 25 GB.
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

Levels = npt.NDArray[np.float64]


def is_dicom(stream: BinaryIO) -> bool:
    """Whether a file begins as DICOM; it is left at its start."""
    stream.seek(0)
    begins = stream.read(_PREAMBLE + len(_LETTERS))[_PREAMBLE:] == _LETTERS
    stream.seek(0)
    return begins


class Dicom:
    """A DICOM file with its entries read, and no pixel.

    Args:
        stream: an open file for which `is_dicom`.
        name: what messages call it.
    Raises:
        ImageError: pydicom is not installed; no picture, or several; deflated; neither grey nor colour.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        try:
            import pydicom
        except ImportError:
            raise ImageError(
                f"{name} is a DICOM file, which pydicom reads, and that is not installed: pip install camscope[dicom]"
            ) from None
        self._syntax = self._transfer_syntax()
        if self._syntax == _DEFLATED:
            raise ImageError(f"{name} is a deflated DICOM file, which is not unpacked here: save it without that")
        self._entries = pydicom.dcmread(stream, stop_before_pixels=True)
        self._check()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, as the file states them."""
        return int(self._entries.get("Columns", 0)), int(self._entries.get("Rows", 0))

    def picture(self) -> Levels | npt.NDArray[np.uint8]:
        """The picture: grey (H, W) from 0, black, to 1; or colour (H, W, 3) of 8 bits.

        Grey levels pass slope and intercept (or the table in their place), then the file's first VOI table or window;
        where it has none, the picture's own extremes are black and white. MONOCHROME1 is inverted.

        Raises:
            ImageError: compressed in a way that no decoder is installed for, or values that are not finite.
        """
        import pydicom
        from pydicom.pixels import apply_modality_lut, pixel_array

        self._check_decoder()
        self._stream.seek(0)
        file = pydicom.dcmread(self._stream)
        stored = pixel_array(file, index=0)
        if file.PhotometricInterpretation not in _GREY:
            return _colours(stored, file)
        levels = _windowed(np.asarray(apply_modality_lut(stored, file), dtype=np.float64), file, stored)
        if not np.isfinite(levels).all():
            raise ImageError(f"{self._name} holds values that are not finite (NaN or infinity); replace them")
        return 1 - levels if file.PhotometricInterpretation == "MONOCHROME1" else levels

    def _transfer_syntax(self) -> Any:
        """How the file is written. Read before anything else of it, which could be packed."""
        from pydicom.filereader import read_dataset, read_preamble
        from pydicom.uid import ImplicitVRLittleEndian

        read_preamble(self._stream, False)
        about = read_dataset(self._stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
        self._stream.seek(0)
        return about.get("TransferSyntaxUID", ImplicitVRLittleEndian)

    def _check(self) -> None:
        entries, name = self._entries, self._name
        if 0 in self.size:
            raise ImageError(f"{name} is a DICOM file without a picture")
        frames = int(entries.get("NumberOfFrames") or 1)
        if frames > 1:
            raise ImageError(f"{name} has {frames:,} frames; save the one that you ask about as a file of its own")
        kind = entries.get("PhotometricInterpretation", "nothing")
        if kind not in (*_GREY, *_COLOUR, "PALETTE COLOR"):
            raise ImageError(f"{name} says that its pixels are {kind}: neither grey nor colour that can be read")

    def _check_decoder(self) -> None:
        from pydicom.pixels import get_decoder

        try:
            if get_decoder(self._syntax).is_available:
                return
        except NotImplementedError:
            pass
        raise ImageError(
            f"{self._name} is compressed as {self._syntax.name}, for which no decoder is installed here: save it "
            "uncompressed"
        )


def _windowed(values: Levels, file: Any, stored: npt.NDArray[Any]) -> Levels:
    """Values in the unit of the image (Hounsfield, say) → 0 to 1."""
    if file.get("VOILUTSequence"):
        return _by_table(values, file)
    centre, width = _first(file.get("WindowCenter")), _first(file.get("WindowWidth"))
    function = str(file.get("VOILUTFunction") or "LINEAR")
    if not (math.isfinite(centre) and width > (1 if function == "LINEAR" else 0)):
        return _stretched(values, stored != file.get("PixelPaddingValue"))
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * (values - centre) / width)))
    if function == "LINEAR":  # the standard's: of whole numbers, `width` of them
        centre, width = centre - 0.5, width - 1
    return ((values - centre) / width + 0.5).clip(0, 1)


def _by_table(values: Levels, file: Any) -> Levels:
    from pydicom.pixels import apply_voi

    entries, first, bits = (int(number) for number in file.VOILUTSequence[0].LUTDescriptor)
    within = np.rint(values).clip(first, first + (entries or 1 << 16) - 1).astype(np.int64)
    return np.asarray(apply_voi(within, file) / ((1 << bits) - 1), dtype=np.float64)


def _stretched(values: Levels, picture: npt.NDArray[np.bool_]) -> Levels:
    """The extremes of the picture become 0 and 1; what fills up its frame does not count."""
    counted = values[picture] if picture.any() else values
    low, high = float(counted.min()), float(counted.max())
    return ((values - low) / ((high - low) or 1.0)).clip(0, 1)


def _colours(stored: npt.NDArray[Any], file: Any) -> npt.NDArray[np.uint8]:
    from pydicom.pixels import apply_color_lut

    bits = int(file.BitsStored)
    if file.PhotometricInterpretation == "PALETTE COLOR":
        stored, bits = apply_color_lut(stored, file), int(file.RedPaletteColorLookupTableDescriptor[2])
    return np.rint(stored[..., :3] * (255 / ((1 << bits) - 1))).astype(np.uint8)


def _first(value: Any) -> float:
    """The first of several values, such as windows; NaN where there is none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    return math.nan if value is None else float(value)
