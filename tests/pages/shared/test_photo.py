"""Photos from a visitor: what can be used is used; what cannot is answered, and what was there stays."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.app_runs import Open, heatmaps, html, settle


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(size: tuple[int, int] = (60, 40), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def bomb() -> bytes:
    """A small PNG that says it has 30,000 × 30,000 pixels."""
    return encoded(Image.new("1", (30_000, 30_000)), optimize=True)


def upload(at: AppTest, content: bytes, name: str = "mine.png") -> AppTest:
    at.segmented_control(key="source").set_value("Upload").run()
    at.file_uploader(key="upload").upload(name, content).run()
    return settle(at)


def test_an_upload_is_explained(open_app: Open) -> None:
    at = upload(open_app(sample="panda"), encoded(noise()))
    assert len(heatmaps(at)) == 2 and not at.error
    assert "mine.png" in html(at)
    assert "sample" not in at.query_params, "the link names no other photo"


def test_until_a_file_is_there_the_last_photo_stays(open_app: Open) -> None:
    at = open_app(sample="panda")
    at.segmented_control(key="source").set_value("Upload").run()
    settle(at)
    assert len(heatmaps(at)) == 2 and "Giant panda" in html(at)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"this is no image", "not an image"),
        (b"", "not an image"),
        (encoded(noise((200, 200)), "JPEG")[:3000], "cut short"),
        (encoded(noise((1, 1))), "1 × 1 pixels"),
        (bomb(), "megapixels"),
    ],
    ids=["text", "empty", "truncated", "one pixel", "bomb"],
)
def test_a_bad_file_is_answered_and_what_was_there_stays(open_app: Open, content: bytes, why: str) -> None:
    before = open_app(sample="panda")
    shown = [image.value for image in before.get("image")]
    at = upload(before, content)
    assert len(at.error) == 1 and why in at.error[0].value
    assert "Traceback" not in at.error[0].value
    assert [image.value for image in at.get("image")] == shown
    assert "Giant panda" in html(at)


def test_a_bad_file_after_a_good_one_leaves_the_good_one(open_app: Open) -> None:
    at = upload(open_app(), encoded(noise()), "good.png")
    shown = [image.value for image in at.get("image")]
    at.file_uploader(key="upload").clear().upload("bad.png", b"no image").run()
    settle(at)
    assert at.error and [image.value for image in at.get("image")] == shown


def test_back_to_the_gallery(open_app: Open) -> None:
    at = upload(open_app(), encoded(noise()))
    at.segmented_control(key="source").set_value("Gallery").run()
    settle(at)
    assert "Dog. Photo" in html(at) and len(heatmaps(at)) == 2


def test_a_photo_from_the_camera(open_app: Open) -> None:
    at = open_app()
    at.segmented_control(key="source").set_value("Camera").run()
    at.camera_input(key="camera").upload("camera.jpg", encoded(noise(), "JPEG"), "image/jpeg").run()
    settle(at)
    assert "Camera photo" in html(at) and len(heatmaps(at)) == 2


def test_two_photos_that_differ_in_one_pixel_have_their_own_results(open_app: Open) -> None:
    one = noise((900, 700))
    two = one.copy()
    two.putpixel((450, 350), (255, 0, 255))
    first, second = (upload(open_app(), encoded(image)) for image in (one, two))
    assert [i.value for i in first.get("image")] != [i.value for i in second.get("image")]


def test_grey_alpha_and_palette_photos_are_explained(open_app: Open) -> None:
    for image in (noise().convert("L"), noise().convert("RGBA"), noise().convert("P")):
        assert len(heatmaps(upload(open_app(), encoded(image)))) == 2


def test_a_narrow_photo_is_shown(open_app: Open) -> None:
    assert len(heatmaps(upload(open_app(), encoded(noise((300, 9)))))) == 2
