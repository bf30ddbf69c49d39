"""The network's input is torchvision's to the bit, and the frame is found again on the photo."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms

from cam_core.images import IMAGENET_MEAN, IMAGENET_STD, SAMPLES, Preprocessing
from cam_core.images.preprocessing import part_of
from cam_core.types import ImageError, ModelError

MODES = {"bilinear": transforms.InterpolationMode.BILINEAR, "bicubic": transforms.InterpolationMode.BICUBIC}


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def by_torchvision(ours: Preprocessing, image: Image.Image) -> torch.Tensor:
    return transforms.Compose(
        [
            transforms.Resize(ours.resize, interpolation=MODES[ours.interpolation]),
            transforms.CenterCrop(ours.input_size),
            transforms.ToTensor(),
            transforms.Normalize(ours.mean, ours.std),
        ]
    )(image)


@pytest.mark.parametrize("interpolation", MODES)
@pytest.mark.parametrize(
    ("crop", "resize"), [((224, 224), 256), ((299, 299), 342), ((160, 224), 225), ((224, 224), 100)]
)
@pytest.mark.parametrize("size", [(800, 600), (333, 501), (256, 256), (31, 17), (8, 8), (400, 9), (224, 225)], ids=str)
def test_equals_torchvision_to_the_bit(
    size: tuple[int, int], crop: tuple[int, int], resize: int, interpolation: str
) -> None:
    ours = Preprocessing(input_size=crop, resize=resize, interpolation=interpolation)
    tensor = ours.tensor(noise(*size))
    assert tensor.dtype is torch.float32
    assert tensor.shape == (3, *crop)
    assert torch.equal(tensor, by_torchvision(ours, noise(*size)))


@pytest.mark.parametrize("crop", [(224, 224), (96, 160)])
def test_one_channel_equals_torchvisions_grey_to_the_bit(crop: tuple[int, int]) -> None:
    ours = Preprocessing(input_size=crop, resize=200, mean=(0.449,), std=(0.226,))
    image = noise(333, 501)
    assert torch.equal(ours.tensor(image), by_torchvision(ours, image.convert("L")))
    assert ours.frame(image).mode == "L" and ours.frame(image).size == crop[::-1]


def test_grey_of_16_bits_keeps_all_its_levels_and_clips_none() -> None:
    values = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    ours = Preprocessing(input_size=(64, 64), resize=64, mean=(0.0,), std=(1.0,))
    tensor = ours.tensor(Image.fromarray(values))
    np.testing.assert_allclose(tensor[0], values / 65535, atol=1e-6)
    assert len(tensor.unique()) == 64 * 64
    frame = np.asarray(ours.frame(Image.fromarray(values)))
    assert np.abs(frame - values / 257).max() <= 1


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_photos_have_no_other_channels(channels: int) -> None:
    ours = Preprocessing(mean=(0.0,) * channels, std=(1.0,) * channels)
    for read in (ours.frame, ours.tensor):
        with pytest.raises(ImageError, match=rf"takes {channels} channels.*\({channels}, H, W\)"):
            read(noise(64, 64))


@pytest.mark.parametrize("name", [entry.key for entry in SAMPLES[:3]])
def test_photos_equal_torchvision_to_the_bit(name: str) -> None:
    photo = next(entry for entry in SAMPLES if entry.key == name).open()
    ours = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.3, 0.2, 0.1))
    assert torch.equal(ours.tensor(photo), by_torchvision(ours, photo))


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(8, 300),
    height=st.integers(8, 300),
    crop=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    resize=st.integers(1, 90),
)
def test_geometry_equals_torchvision_for_any_size(width: int, height: int, crop: tuple[int, int], resize: int) -> None:
    ours = Preprocessing(input_size=crop, resize=resize)
    image = noise(width, height)
    assert torch.equal(ours.tensor(image), by_torchvision(ours, image))


@pytest.mark.parametrize("size", [(800, 600), (600, 800), (500, 500), (2000, 300), (100, 90)], ids=str)
@pytest.mark.parametrize(("crop", "resize"), [((224, 224), 256), ((160, 224), 232), ((224, 224), 180)])
@pytest.mark.parametrize(("across", "down"), [(0.5, 0.5), (0.3, 0.7), (0.72, 0.35)])
def test_box_finds_a_mark_again(
    size: tuple[int, int], crop: tuple[int, int], resize: int, across: float, down: float
) -> None:
    """A bright blob drawn on the photo at a fraction of the box is seen at that fraction of the frame."""
    ours = Preprocessing(input_size=crop, resize=resize)
    left, top, right, bottom = ours.box(size)
    x, y = left + across * (right - left), top + down * (bottom - top)
    columns, rows = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5  # centres of pixels
    spread = min(size) / 30
    blob = np.exp(-((rows[:, None] - y) ** 2 + (columns - x) ** 2) / (2 * spread**2))
    frame = ours.frame(Image.fromarray(np.rint(255 * blob).astype(np.uint8)))
    seen = np.asarray(frame)[..., 0].astype(float)
    height, width = crop
    seen_x = (seen.sum(axis=0) * (np.arange(width) + 0.5)).sum() / seen.sum()
    seen_y = (seen.sum(axis=1) * (np.arange(height) + 0.5)).sum() / seen.sum()
    assert seen_x == pytest.approx(across * width, abs=0.25)
    assert seen_y == pytest.approx(down * height, abs=0.25)


def test_box_is_what_the_frame_shows_and_nothing_else() -> None:
    ours = Preprocessing()
    pixels = np.zeros((600, 800, 3), np.uint8)
    left, top, right, bottom = (round(edge) for edge in ours.box((800, 600)))
    pixels[top:bottom, left:right] = 255
    seen = np.asarray(ours.frame(Image.fromarray(pixels)))
    assert (seen[3:-3, 3:-3] == 255).all()
    pixels = 255 - pixels
    pixels[: top - 6], pixels[bottom + 6 :] = 0, 0
    assert (np.asarray(ours.frame(Image.fromarray(pixels)))[3:-3, 3:-3] == 0).all()


def test_box_by_hand() -> None:
    assert Preprocessing().box((512, 512)) == (32, 32, 480, 480)
    assert Preprocessing(input_size=(100, 200), resize=200).box((400, 400)) == (0, 100, 400, 300)
    assert Preprocessing(input_size=(20, 20), resize=10).box((100, 100)) == (-50, -50, 150, 150)


def test_a_part_by_hand() -> None:
    assert [part_of((1200, 90), place) for place in (0, 0.5, 1)] == [
        (0, 0, 90, 90),
        (555, 0, 645, 90),
        (1110, 0, 1200, 90),
    ]
    assert [part_of((300, 1000), place) for place in (0, 0.1, 1)] == [
        (0, 0, 300, 300),
        (0, 70, 300, 370),
        (0, 700, 300, 1000),
    ]
    assert part_of((50, 50), 0.3) == (0, 0, 50, 50)


@pytest.mark.parametrize("size", [(900, 256), (256, 2000)], ids=str)
def test_of_the_part_in_the_middle_the_network_sees_what_it_sees_of_the_whole(size: tuple[int, int]) -> None:
    """To the bit, where nothing has to be scaled."""
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    whole, part = (Preprocessing().frame(image) for image in (photo, photo.crop(part_of(size, 0.5))))
    assert (np.asarray(whole) == np.asarray(part)).all()


def test_frame_is_rgb_of_the_input_size_whatever_the_mode() -> None:
    ours = Preprocessing(input_size=(50, 70), resize=60)
    for mode in ("L", "RGBA", "P", "CMYK", "I;16", "F", "1"):
        frame = ours.frame(Image.new(mode, (90, 80)))
        assert (frame.mode, frame.size) == ("RGB", (70, 50))


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (9, 5000)])
def test_unusable_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"{size[0]} × {size[1]} pixels"):
        Preprocessing().tensor(Image.new("RGB", size))


@pytest.mark.parametrize("shape", [(3, 5, 7), (4, 3, 5, 7), (2, 4, 3, 5, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalise_and_back(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    ours = Preprocessing()
    pixels = torch.rand(shape, dtype=dtype)
    images = ours.normalise(pixels)
    expected = (pixels[..., 1, 2, 3] - IMAGENET_MEAN[1]) / IMAGENET_STD[1]
    assert images.dtype is dtype
    torch.testing.assert_close(images[..., 1, 2, 3], expected)
    torch.testing.assert_close(ours.denormalise(images), pixels)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"interpolation": "nearest"}, "'nearest' is not one of bilinear, bicubic"),
        ({"resize": 0}, "must be positive"),
        ({"input_size": (224, -1)}, "must be positive"),
        ({"std": (0.1, 0.0, 0.1)}, "std positive"),
        ({"mean": (0.5,)}, "one number per channel each"),
        ({"mean": (), "std": ()}, "one number per channel each"),
    ],
)
def test_wrong_settings_are_named(wrong: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Preprocessing(**wrong)
