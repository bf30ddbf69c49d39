"""DICOM files, made here: the picture is what a viewer shows, or one sentence says why there is none."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cam_core.images import Preprocessing, as_rgb, image_digest, load_image
from cam_core.images.files import is_image
from cam_core.types import ImageError
from tests.images.dicom_files import dicom

pydicom = pytest.importorskip("pydicom")

RAMP = np.arange(12 * 16, dtype=np.int16).reshape(12, 16) * 20 - 1500  # Hounsfield: from air to bone
SYNTAXES = ("ImplicitVRLittleEndian", "ExplicitVRLittleEndian", "ExplicitVRBigEndian")


def levels(data: bytes) -> np.ndarray:
    """The picture from 0 to 1."""
    image = load_image(data)
    assert image.mode == "I;16"
    return np.asarray(image).astype(np.float64) / 65535


def linear(value: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, line by line, from 0 to 1."""
    if value <= centre - 0.5 - (width - 1) / 2:
        return 0.0
    if value > centre - 0.5 + (width - 1) / 2:
        return 1.0
    return (value - (centre - 0.5)) / (width - 1) + 0.5


def exact(value: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if value <= centre - width / 2:
        return 0.0
    return 1.0 if value > centre + width / 2 else (value - centre) / width + 0.5


def sigmoid(value: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    return float(1 / (1 + np.exp(-4 * (value - centre) / width)))


WINDOWS = {"LINEAR": linear, "LINEAR_EXACT": exact, "SIGMOID": sigmoid}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("function", WINDOWS)
def test_slope_intercept_and_window_by_the_standards_text(function: str, syntax: str) -> None:
    """A soft-tissue window, of stored values that stand for Hounsfield units by slope 2 and intercept −1000."""
    stored = ((RAMP + 1000) // 2).astype(np.int16)
    data = dicom(
        stored, syntax, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=[40, -600], WindowWidth=[400, 1500],
        VOILUTFunction=function,
    )  # fmt: skip
    expected = [[WINDOWS[function](2.0 * value - 1000, 40, 400) for value in row] for row in stored.tolist()]
    np.testing.assert_allclose(levels(data), expected, atol=0.6 / 65535)


def test_monochrome1_is_inverted() -> None:
    window = {"WindowCenter": 100, "WindowWidth": 3000}
    white, black = (levels(dicom(RAMP, PhotometricInterpretation=f"MONOCHROME{kind}", **window)) for kind in (1, 2))
    np.testing.assert_allclose(white, 1 - black, atol=1.1 / 65535)
    assert white[0, 0] > white[-1, -1]


def test_a_voi_table_goes_before_a_window() -> None:
    """Four entries of 12 bits from the value 10 on: what lies outside takes the nearest."""
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4, 10, 12], [0, 100, 4000, 4095]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    stored = np.array([[3, 10, 11, 12, 13, 14, 5000, 60000]] * 8, np.uint16)
    data = dicom(stored, VOILUTSequence=[table], WindowCenter=40, WindowWidth=400)
    expected = np.array([0, 0, 100, 4000, 4095, 4095, 4095, 4095]) / 4095
    np.testing.assert_allclose(levels(data), [expected] * 8, atol=0.6 / 65535)


def test_without_a_window_the_extremes_are_black_and_white_but_for_padding() -> None:
    stored = RAMP.copy()
    stored[:, :4] = -2000
    seen = levels(dicom(stored, PixelPaddingValue=-2000))
    low, high = stored[:, 4:].min(), stored[:, 4:].max()
    np.testing.assert_allclose(seen[:, 4:], (stored[:, 4:] - low) / (high - low), atol=0.6 / 65535)
    assert (seen[:, :4] == 0).all()


def test_low_bytes_reach_the_network_and_the_digest_and_the_shown_picture_is_of_8_bits() -> None:
    window = {"WindowCenter": 32768, "WindowWidth": 65536}
    stored = np.full((16, 16), 25700, np.uint16)
    images = [load_image(dicom(values, **window)) for values in (stored, stored + 1)]
    frame = Preprocessing(input_size=(16, 16), resize=16)
    assert not (frame.tensor(images[0]) == frame.tensor(images[1])).any()
    assert image_digest(images[0]) != image_digest(images[1])
    assert all((np.asarray(as_rgb(image)) == 100).all() for image in images)


@pytest.mark.parametrize("bits", [8, 16])
def test_colour_has_8_bits(bits: int) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    stored = colours if bits == 8 else colours.astype(np.uint16) * 257
    image = load_image(dicom(stored))
    assert image.mode == "RGB" and (np.asarray(image) == colours).all()


def test_a_palette_is_colour() -> None:
    ramp = np.arange(256, dtype=np.uint16)
    tables = {"Red": ramp, "Green": 255 - ramp, "Blue": ramp // 2}
    entries: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, table in tables.items():
        entries[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        entries[f"{colour}PaletteColorLookupTableData"] = table.astype(np.uint8).tobytes()
    stored = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
    expected = np.stack([table[stored] for table in tables.values()], axis=2)
    assert (np.asarray(load_image(dicom(stored, **entries))) == expected).all()


def test_run_length_encoding_is_decoded() -> None:
    file = pydicom.dcmread(io.BytesIO(dicom(RAMP, WindowCenter=0, WindowWidth=4000)))
    before = levels(dicom(RAMP, WindowCenter=0, WindowWidth=4000))
    file.compress(pydicom.uid.RLELossless)
    buffer = io.BytesIO()
    file.save_as(buffer)
    assert (levels(buffer.getvalue()) == before).all()


# Refused


def test_of_several_frames_one_has_to_be_chosen() -> None:
    with pytest.raises(ImageError, match=r"^scan\.dcm has 3 frames; save the one"):
        load_image(named(dicom(RAMP.repeat(3, axis=0), Rows=12, NumberOfFrames=3)))


def test_a_compression_without_a_decoder_is_named() -> None:
    data = dicom(RAMP, "JPEGLSLossless", PixelData=pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7" * 8]))
    with pytest.raises(ImageError, match=r"scan\.dcm is compressed as JPEG-LS .* no decoder .* save it uncompressed"):
        load_image(named(data))


def test_deflated_files_are_not_unpacked() -> None:
    """25 MB could become 25 GB."""
    with pytest.raises(ImageError, match="deflated"):
        load_image(deflated(dicom(RAMP)))


def deflated(data: bytes) -> bytes:
    file = pydicom.dcmread(io.BytesIO(data))
    file.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    file.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"Rows": 7, "Columns": 100}, "100 × 7 pixels; each side must have at least 8"),
        ({"Rows": 20000, "Columns": 20000}, "at most 50 megapixels"),
        ({"Rows": 10, "Columns": 1000}, "too narrow"),
        ({"Rows": 0}, "a DICOM file without a picture"),
        ({"PhotometricInterpretation": "HSV"}, "its pixels are HSV: neither grey nor colour"),
        ({"PixelData": bytes(100)}, "damaged or cut short"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_refused_in_words(entries: dict[str, Any], words: str) -> None:
    with pytest.raises(ImageError, match=rf"^scan\.dcm .*{words}"):
        load_image(named(dicom(RAMP, **entries)))


def named(data: bytes) -> io.BytesIO:
    stream = io.BytesIO(data)
    stream.name = "scan.dcm"
    return stream


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_anywhere_is_an_image_or_an_image_error() -> None:
    whole = dicom(RAMP, WindowCenter=40, WindowWidth=400, RescaleSlope=1, RescaleIntercept=0)
    generator = np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        broken = bytearray(whole)
        for position in generator.integers(132, len(broken) - RAMP.nbytes, size=3):
            broken[position] = generator.integers(256)
        try:
            outcomes.add(load_image(bytes(broken[: generator.integers(len(broken) // 2, len(broken) + 1)])).mode)
        except ImageError:
            outcomes.add("ImageError")
    assert outcomes <= {"I;16", "RGB", "ImageError"} and "ImageError" in outcomes


def test_a_zip_takes_dicom_files_as_images() -> None:
    assert is_image(dicom(RAMP))
    assert not is_image(dicom(RAMP, Rows=2, Columns=96))


def test_without_pydicom_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scan.dcm"
    path.write_bytes(dicom(RAMP))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"^scan\.dcm is a DICOM file.*not installed: pip install camscope\[dicom\]"):
        load_image(path)
    assert not is_image(path.read_bytes())


def test_no_word_of_the_file_stays_with_the_picture() -> None:
    image = load_image(dicom(RAMP))
    assert type(image) is Image.Image and not image.info
