"""Every kind of file that someone will upload: read right, or refused in one sentence."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile

from cam_core.images import SAMPLES, Preprocessing, as_rgb, check_size, files, image_digest, load_image
from cam_core.images.deep_colour import DeepColour
from cam_core.images.files import is_image
from cam_core.types import CamError, ImageError

RAMP = np.linspace(0, 255, 32, dtype=np.uint8)[None].repeat(16, axis=0)  # (16, 32), dark left, bright right


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand: depths and sizes that Pillow would not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.fixture
def photo() -> bytes:
    return SAMPLES[0].path.read_bytes()


# Sources


def test_path_string_bytes_and_file_give_the_same_image(photo: bytes) -> None:
    path = SAMPLES[0].path
    with path.open("rb") as stream:
        images = [load_image(path), load_image(str(path)), load_image(photo), load_image(stream)]
        assert not stream.closed
    assert len({image_digest(image) for image in images}) == 1
    assert all(type(image) is Image.Image and image.mode == "RGB" for image in images)


def test_file_is_read_from_its_start_wherever_it_stands(photo: bytes) -> None:
    stream = io.BytesIO(photo)
    stream.read()
    assert load_image(stream).size == load_image(stream).size == (800, 600)


def test_stream_that_cannot_seek(photo: bytes) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.inner = io.BytesIO(photo)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self.inner.readinto(buffer)

    assert load_image(io.BufferedReader(Pipe())).size == (800, 600)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "words"), [("missing.jpg", "No such file"), (".", "directory"), ("a\0b", "null")])
def test_path_that_cannot_be_opened(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        load_image(tmp_path / name)


# What is not an image


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"%PDF-1.7\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff", bytes(5000)],
    ids=["empty", "text", "pdf", "svg", "jpeg start", "zeros"],
)
def test_not_an_image(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"not an image that can be read|damaged"):
        load_image(data)


def test_message_names_the_file_and_the_known_formats(tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    path.write_text("Dear reader")
    with pytest.raises(ImageError, match=r"^letter\.jpg is not an image .* JPEG, PNG"):
        load_image(path)


def test_a_file_without_a_name_is_called_a_file() -> None:
    with pytest.raises(ImageError, match=r"^this file is not an image that can be read"):
        load_image(b"hello")


def test_postscript_is_refused_unread() -> None:
    """Pillow hands EPS to an external interpreter."""
    with pytest.raises(ImageError, match="not an image that can be read"):
        load_image(encoded(Image.new("RGB", (20, 20)), "EPS"))


def test_truncated_jpeg(photo: bytes) -> None:
    with pytest.raises(ImageError, match=r"damaged or cut short.*truncated"):
        load_image(photo[: len(photo) // 2])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM"])
def test_damage_anywhere_is_an_image_or_an_image_error(kind: str) -> None:
    whole = encoded(Image.fromarray(RAMP), kind)
    generator = np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        broken = bytearray(whole)
        for position in generator.integers(len(broken), size=3):
            broken[position] = generator.integers(256)
        try:
            outcomes.add(load_image(bytes(broken[: generator.integers(len(broken) // 2, len(broken) + 1)])).mode)
        except ImageError as error:
            outcomes.add(type(error).__name__)
    assert "ImageError" in outcomes
    assert outcomes <= {"RGB", "ImageError"}


# Size


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"{size[0]} × {size[1]} pixels; each side must have at least 8"):
        load_image(encoded(Image.new("RGB", size), "PNG"))


def test_eight_pixels_are_enough() -> None:
    assert load_image(encoded(Image.new("RGB", (8, 8)), "PNG")).size == (8, 8)


def test_bomb_is_refused_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png(30_000, 30_000, 1, 0, bytes(30_000 * (1 + 30_000 // 8)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _image: pytest.fail("decoded"))
    assert len(bomb) < 200_000
    with pytest.raises(ImageError, match="too large; at most 80 megapixels"):
        load_image(bomb)


@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("size", [(10_000, 8_001), (12_000, 9_000)], ids=["below Pillow's limit", "above its warning"])
def test_limit_is_ours_not_that_of_pillow(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], action: Literal["ignore", "error"]
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _image: pytest.fail("decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match="at most 80 megapixels"):
            load_image(png(*size, 1, 0, b""))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_of_sixty_megapixels_is_halved(kind: str) -> None:
    large = Image.new("L", (10_001, 6_000), 40)
    large.paste(200, (0, 0, 5_000, 6_000))
    data = encoded(large, kind)
    found = load_image(data)
    assert is_image(data)
    assert found.size == (5_001, 3_000) and found.mode == "RGB"
    assert [found.getpixel(at) for at in ((100, 100), (4_900, 2_900))] == [(200,) * 3, (40,) * 3]


def test_a_large_jpeg_is_never_decoded_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 megapixels, as some telephones have them: four times as many pixels as are kept, so halved once."""
    sizes = []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: sizes.append(image.size) or load(image))
    assert load_image(encoded(Image.new("L", (16_320, 12_240)), "JPEG")).size == (8_160, 6_120)
    assert set(sizes) == {(8_160, 6_120)}


@pytest.mark.parametrize(("kind", "readable"), [("JPEG", True), ("PNG", False)])
def test_what_is_an_image_is_what_is_read(kind: str, readable: bool) -> None:
    """200 megapixels: above Pillow's own limit, and ours for all but a JPEG."""
    assert is_image(encoded(Image.new("L", (16_320, 12_240)), kind)) == readable


def test_an_absurd_jpeg_is_refused_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    small = bytearray(encoded(Image.new("L", (8, 8)), "JPEG"))
    at = small.index(b"\xff\xc0") + 5  # height and width, in the header of the frame
    small[at : at + 4] = struct.pack(">HH", 25_000, 20_001)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _image: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="20001 × 25000 pixels; at most 500 megapixels are read: scale it down"):
        load_image(bytes(small))
    assert not is_image(bytes(small))


def test_size_at_the_limits() -> None:
    check_size((8_000, 6_250))
    with pytest.raises(ImageError, match="at most 50 megapixels"):
        check_size((8_000, 6_251))
    check_size((400, 8))
    with pytest.raises(ImageError, match="401 × 8 pixels: too narrow"):
        check_size((401, 8))


def test_errors_are_cam_errors_and_value_errors() -> None:
    assert issubclass(ImageError, CamError)
    assert issubclass(ImageError, ValueError)


# Modes and depths


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_grey(kind: str) -> None:
    image = load_image(encoded(Image.fromarray(RAMP), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert (np.asarray(image) == RAMP[..., None]).all()


def test_cmyk_jpeg_has_its_colours() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(levels(load_image(encoded(red, "JPEG", quality=95))) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("top", [65535, 4095])
def test_16_bit_grey_keeps_the_full_range_and_clips_nothing(top: int) -> None:
    values = np.linspace(0, top, 32).astype(">u2")[None].repeat(16, axis=0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    tiff = encoded(Image.fromarray(values.astype("<u2")), "TIFF")
    for data in (png(32, 16, 16, 0, rows), tiff):
        image = load_image(data)
        assert image.mode == "I;16" and (levels(image) == values).all()
        assert (levels(as_rgb(image)) == np.rint(values / 257)[..., None]).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_reaches_the_network_to_its_low_byte(kind: str, channels: int) -> None:
    """Two files that differ in the low byte alone: by hand, (level / 65535 − mean) / std."""
    levels_of = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint16) * 256
    low = np.arange(256, dtype=np.uint16).reshape(16, 16)
    frame = Preprocessing(input_size=(16, 16), resize=16, mean=(0.25,) * channels, std=(0.5,) * channels)
    images = [load_image(encoded(Image.fromarray(values), kind)) for values in (levels_of, levels_of + low)]
    assert (np.asarray(as_rgb(images[0])) == np.asarray(as_rgb(Image.fromarray(levels_of)))).all()
    for image, values in zip(images, (levels_of, levels_of + low), strict=True):
        expected = (values.astype(np.float64) / 65535 - 0.25) / 0.5
        np.testing.assert_allclose(frame.tensor(image), np.stack([expected] * channels), atol=1e-6)
    first, second = (frame.tensor(image) for image in images)
    assert ((first != second).numpy() == np.stack([low > 0] * channels)).all()
    assert image_digest(images[0]) != image_digest(images[1])


def test_a_dark_picture_of_16_bits_stays_dark_and_is_turned_and_halved_as_others_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "MAX_PIXELS", 16 * 8)
    values = np.arange(16 * 32, dtype=np.uint16).reshape(16, 32) // 2
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = load_image(encoded(Image.fromarray(values), "PNG", exif=exif))
    halves = np.rot90(values, -1).astype(np.float64).reshape(16, 2, 8, 2).mean(axis=(1, 3))
    assert image.mode == "I;16" and np.abs(levels(image) - halves).max() <= 0.51
    assert levels(as_rgb(image)).max() == 1


def colours_of_16_bits(channels: int = 3) -> np.ndarray:
    """(12, 16, channels): every byte is there, high and low, and white."""
    values = np.random.default_rng(0).integers(0, 65536, (12, 16, channels)).astype(np.uint16)
    values[0, 0], values[0, 1, :3] = 65535, 0
    return values


def png_of_16_bits(values: np.ndarray) -> bytes:
    """Rows filtered by differences to the left: with other byte counts than the right ones, all would be wrong."""
    rows, height, width, channels = b"", *values.shape
    for row in values.astype(">u2"):
        flat = np.frombuffer(row.tobytes(), np.uint8).reshape(width, 2 * channels)
        rows += b"\1" + np.diff(flat, axis=0, prepend=np.zeros((1, 2 * channels), np.uint8)).astype(np.uint8).tobytes()
    return png(width, height, 16, 2 if channels == 3 else 6, rows)


def tiff_of_16_bits(values: np.ndarray, order: str, packed: bool = False) -> bytes:
    """A TIFF file of one strip, written by hand: Pillow writes no such colours."""
    height, width, channels = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if packed else pixels
    depths_at = 8 + len(pixels)
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, depths_at),
        (259, 3, 1, 8 if packed else 1),
        (262, 3, 1, 2),
    ]
    entries += [(273, 4, 1, 8), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(pixels))]
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, depths_at + 2 * channels)
    depths = struct.pack(f"{order}{channels}H", *[16] * channels)
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        packed = struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, kind, count) + packed
    return head + pixels + depths + directory + struct.pack(f"{order}I", 0)


@pytest.mark.parametrize(
    "written",
    [
        png_of_16_bits,
        lambda values: tiff_of_16_bits(values, "<"),
        lambda values: tiff_of_16_bits(values, ">"),
        lambda values: tiff_of_16_bits(values, "<", packed=True),
        lambda values: tiff_of_16_bits(values, ">", packed=True),
    ],
    ids=["PNG", "TIFF, Intel", "TIFF, Motorola", "packed TIFF, Intel", "packed TIFF, Motorola"],
)
def test_16_bit_colour_reaches_the_network_to_its_low_byte(written: Any) -> None:
    values = colours_of_16_bits()
    image = load_image(written(values))
    assert isinstance(image, DeepColour) and (image.levels == values).all()
    assert image.mode == "RGB" and (levels(image) == np.rint(values / 257)).all()
    frame = Preprocessing((12, 16), resize=12, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))
    expected = (values.astype(np.float64) / 65535 - [0.1, 0.2, 0.3]) / [0.5, 0.25, 0.2]
    np.testing.assert_allclose(frame.tensor(image), expected.transpose(2, 0, 1), atol=1e-6)
    grey = Preprocessing((12, 16), resize=12, mean=(0.5,), std=(0.25,))
    weighed = values.astype(np.float64) @ [0.299, 0.587, 0.114] / 65535
    np.testing.assert_allclose(grey.tensor(image)[0], (weighed - 0.5) / 0.25, atol=1e-5)


def test_16_bit_colour_over_white() -> None:
    values = colours_of_16_bits(4)
    share = values[..., 3:] / 65535
    expected = np.rint(values[..., :3] * share + 65535 * (1 - share))
    image = load_image(png_of_16_bits(values))
    assert isinstance(image, DeepColour) and np.abs(image.levels - expected).max() <= 1


def test_parts_of_16_bit_colour_know_their_levels_also_when_they_were_pickled() -> None:
    values = colours_of_16_bits()
    image = load_image(png_of_16_bits(values))
    part = pickle.loads(pickle.dumps(image.crop((2, 1, 12, 11))))
    assert isinstance(part, DeepColour) and (part.levels == values[1:11, 2:12]).all()
    assert part.size == (10, 10) and (levels(part) == levels(image)[1:11, 2:12]).all()
    beyond = image.crop((-1, 0, 5, 5))
    assert not isinstance(beyond, DeepColour) and not isinstance(image.copy(), DeepColour)
    assert (levels(beyond)[:, 1:] == levels(image)[:5, :5]).all() and not levels(beyond)[:, 0].any()


def test_colours_that_differ_in_the_low_byte_alone_have_other_digests() -> None:
    values = colours_of_16_bits() & 0xFF00
    other = values.copy()
    other[5, 5, 1] |= 3
    first, second = (load_image(png_of_16_bits(each)) for each in (values, other))
    assert (levels(first) == levels(second)).all() and image_digest(first) != image_digest(second)
    assert image_digest(first) == image_digest(load_image(tiff_of_16_bits(values, "<")))


def test_too_large_colour_of_16_bits_is_halved_in_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_PIXELS", 8 * 12)
    values = np.full((16, 16, 3), 25700, np.uint16)
    image = load_image(png_of_16_bits(values))
    assert not isinstance(image, DeepColour) and image.size == (8, 8) and (levels(image) == 100).all()


@pytest.mark.parametrize(
    ("scale", "low"), [(1.0, 0.0), (255.0, 0.0), (65535.0, 0.0), (2e6, 0.0), (40.0, -20.0)], ids=str
)
def test_float_tiff_is_scaled_by_its_values(scale: float, low: float) -> None:
    values = (RAMP / 255 * scale + low).astype(np.float32)
    image = load_image(encoded(Image.fromarray(values), "TIFF"))
    assert np.abs(levels(image) - 257 * RAMP.astype(int)).max() <= 1
    assert (levels(as_rgb(image)) == RAMP[..., None]).all()


@pytest.mark.parametrize("top", [255, 65535, 10**9])
def test_32_bit_integers_are_scaled_by_their_values(top: int) -> None:
    values = np.rint(RAMP / 255 * top).astype(np.int32)
    image = load_image(encoded(Image.fromarray(values), "TIFF"))
    assert np.abs(levels(image) - 257 * RAMP.astype(int)).max() <= 1
    assert (levels(as_rgb(image)) == RAMP[..., None]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_tiff_with_values_that_are_not_finite(bad: float) -> None:
    values = RAMP.astype(np.float32)
    values[3, 4] = bad
    with pytest.raises(ImageError, match="not finite"):
        load_image(encoded(Image.fromarray(values), "TIFF"))


def test_constant_images_stay_what_they_are() -> None:
    assert (np.asarray(load_image(encoded(Image.new("RGB", (9, 9), (7, 8, 9)), "PNG"))) == [7, 8, 9]).all()
    flat = Image.fromarray(np.full((9, 9), -3.0, np.float32))
    assert len(np.unique(np.asarray(load_image(encoded(flat, "TIFF"))))) == 1


def test_palette() -> None:
    colours = Image.fromarray(np.stack([RAMP, 255 - RAMP, RAMP // 2], axis=2))
    palette = colours.quantize(32)
    assert np.asarray(load_image(encoded(palette, "PNG"))).tolist() == np.asarray(palette.convert("RGB")).tolist()


def test_alpha_is_laid_over_white() -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, :, 0], pixels[:, 8:, 3], pixels[:, :4, 3] = 200, 255, 128
    seen = levels(load_image(encoded(Image.fromarray(pixels), "PNG")))
    assert (seen[:, 8:] == [200, 0, 0]).all()
    assert (seen[:, 4:8] == 255).all()
    assert np.abs(seen[:, :4] - [227, 127, 127]).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "P", "RGB", "L"])
def test_transparency_in_other_modes_is_white_too(mode: str) -> None:
    if mode == "LA":
        data = encoded(Image.merge("LA", [Image.new("L", (9, 9), 10), Image.new("L", (9, 9), 0)]), "PNG")
    else:
        data = encoded(Image.new(mode, (9, 9)), "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert (np.asarray(load_image(data)) == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_gives_its_first_frame(kind: str) -> None:
    first, second = Image.new("RGB", (20, 20), "red"), Image.new("RGB", (20, 20), "blue")
    data = encoded(first, kind, save_all=True, append_images=[second])
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2  # type: ignore[attr-defined]
    assert np.abs(levels(load_image(data)) - [255, 0, 0]).max() <= 4


def test_mode_without_a_way_to_rgb_is_named() -> None:
    with pytest.raises(ImageError, match=r"mode La.* save it as RGB"):
        as_rgb(Image.new("LA", (20, 20)).convert("La"))


def test_as_rgb_leaves_rgb_alone_and_speaks_of_damage(photo: bytes) -> None:
    image = Image.new("RGB", (9, 9))
    assert as_rgb(image) is image
    with pytest.raises(ImageError, match="truncated"):
        as_rgb(Image.open(io.BytesIO(photo[:20_000])))


# Rotation

CORNERS = {("top", "left"): 40, ("top", "right"): 90, ("bottom", "left"): 150, ("bottom", "right"): 220}
OPPOSITE = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}
# The EXIF standard's own words: where the stored row 0 and the stored column 0 belong on the picture.
ORIENTATIONS = dict(
    enumerate("top left,top right,bottom right,bottom left,left top,right top,right bottom,left bottom".split(","), 1)
)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_rotation(orientation: int, kind: str) -> None:
    row_side, column_side = ORIENTATIONS[orientation].split()
    turned = row_side in ("left", "right")
    width, height = (48, 32) if not turned else (32, 48)  # of what is stored
    stored = np.zeros((height, width), np.uint8)
    for last_row in (False, True):
        for last_column in (False, True):
            sides = (
                OPPOSITE[row_side] if last_row else row_side,
                OPPOSITE[column_side] if last_column else column_side,
            )
            rows = slice(height // 2, None) if last_row else slice(height // 2)
            columns = slice(width // 2, None) if last_column else slice(width // 2)
            stored[rows, columns] = CORNERS[(sides[1], sides[0]) if turned else sides]
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = levels(load_image(encoded(Image.fromarray(stored), kind, exif=exif)))[..., 0]
    assert seen.shape == (32, 48)
    for (vertical, horizontal), level in CORNERS.items():
        row, column = (4 if vertical == "top" else 28), (4 if horizontal == "left" else 44)
        assert abs(seen[row, column] - level) <= 3


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_badly_written_metadata_do_not_spoil_a_good_photo() -> None:
    """A tag of a type that it must not have: rewriting the metadata fails, reading the orientation does not."""
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x010F] = 6, 72.0, "maker"
    data = encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif)
    start = data.index(b"Exif\0\0") + 6
    generator = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(data)
        broken[start + generator.integers(10, len(exif.tobytes()) - 6)] = generator.integers(256)
        assert load_image(bytes(broken)).size in ((20, 40), (40, 20))


# Digest


def test_digest_depends_on_every_pixel_and_on_the_size() -> None:
    image = Image.new("RGB", (32, 16))
    other = image.copy()
    other.putpixel((31, 15), (0, 0, 1))
    digests = {image_digest(image), image_digest(other), image_digest(Image.new("RGB", (16, 32)))}
    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)


def test_digest_is_of_what_is_seen() -> None:
    assert image_digest(Image.fromarray(RAMP)) == image_digest(Image.fromarray(RAMP).convert("RGB"))
