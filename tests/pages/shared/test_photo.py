"""Photos from a visitor: what can be used is used; what cannot is answered, and what was there stays."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.shared import provenance
from tests.images.dicom_files import dicom
from tests.pages.app_runs import Open, encoded, heatmaps, html, noise, settle, upload


def bomb() -> bytes:
    """A small PNG that says it has 30,000 × 30,000 pixels."""
    return encoded(Image.new("1", (30_000, 30_000)), optimize=True)


def test_an_upload_is_explained(open_app: Open) -> None:
    at = upload(open_app(sample="panda"), encoded(noise()))
    assert len(heatmaps(at)) == 2 and not at.error
    assert "mine.png" in html(at)
    assert "sample" not in at.query_params, "the link names no other photo"


def test_a_dicom_file_is_explained_with_all_its_levels_and_shown_by_its_window(open_app: Open) -> None:
    ramp = np.arange(64 * 64, dtype=np.int16).reshape(64, 64)
    at = upload(open_app(), dicom(ramp, WindowCenter=2048, WindowWidth=4096), "scan.dcm")
    assert len(heatmaps(at)) == 2 and not at.error
    photo = at.session_state["_scene"].photo
    assert photo.title == "scan.dcm" and len(np.unique(np.asarray(photo.image))) == 4096
    upload(at, dicom(ramp.repeat(2, axis=0), Rows=64, NumberOfFrames=2), "film.dcm")
    assert "has 2 frames" in at.error[0].value


def panorama(tall: bool = False) -> Image.Image:
    """Red at its left (or top) end, green in the middle, blue at the right; each as long as it is wide, or longer."""
    strip = Image.new("RGB", (600, 60), (0, 255, 0))
    strip.paste((255, 0, 0), (0, 0, 200, 60))
    strip.paste((0, 0, 255), (400, 0, 600, 60))
    return strip.transpose(Image.Transpose.ROTATE_270) if tall else strip


def colour_seen(at: AppTest) -> tuple[int, ...]:
    """The mean colour of what the network sees: red, green, blue as 0 or 1."""
    seen = at.session_state["_scene"]
    mean = np.asarray(seen.classifier.preprocessing.frame(seen.photo.image)).mean(axis=(0, 1))
    return tuple(int(value > 127) for value in mean)


@pytest.mark.parametrize("tall", [False, True])
def test_of_a_photo_far_from_square_the_part_can_be_chosen(open_app: Open, tall: bool) -> None:
    at = upload(open_app(), encoded(panorama(tall)))
    part = at.slider(key="part")
    assert part.value == 50 and colour_seen(at) == (0, 1, 0)
    digests = {at.session_state["_scene"].question.photo}
    for place, colour in ((0, (1, 0, 0)), (100, (0, 0, 1))):
        settle(at.slider(key="part").set_value(place).run())
        assert colour_seen(at) == colour
        digests.add(at.session_state["_scene"].question.photo)
        assert f"part at {place} %" in html(at)
    assert len(digests) == 3, "results are kept part by part"
    seen = at.session_state["_scene"]
    end = max(seen.box_in_whole)
    assert 540 < end <= 600 and seen.whole_photo.image.size == panorama(tall).size
    upload(at, encoded(panorama(tall).transpose(Image.Transpose.ROTATE_180)), "other.png")
    assert at.slider(key="part").value == 50, "another photo begins in its middle"


def test_a_link_opens_the_part_and_square_photos_have_none(open_app: Open) -> None:
    at = open_app(sample="crab", part="0")
    assert at.slider(key="part").value == 0
    left, top, right, bottom = at.session_state["_scene"].box_in_whole
    assert 0 <= left < right <= 450 and 0 <= top < bottom <= 450
    at = open_app(sample="panda")
    assert not [slider for slider in at.slider if slider.key == "part"]


def shown_map(at: AppTest) -> Image.Image:
    """The first heatmap, as it is in the page."""
    pictures = [image.proto.imgs[0] for image in at.get("image")]
    address = next(picture.url for picture in pictures if " heatmap " in picture.alt)
    return Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2])))


def test_a_panorama_can_be_seen_whole_and_a_link_opens_it_so(open_app: Open) -> None:
    """A letterbox: all colours reach the network, its padding is not drawn, and the network is the same object's."""
    at = open_app(sample="crab")
    loaded = {id(at.session_state["_scene"].classifier.module)}
    settle(at.segmented_control(key="shown").set_value("All of it").run())
    seen = at.session_state["_scene"]
    assert seen.classifier.preprocessing.fit == seen.question.model.fit == "letterbox"
    assert {id(seen.classifier.module)} == loaded, "nothing is loaded twice"
    (width, height) = shown_map(at).size
    assert seen.box_in_whole == seen.box and width / height == pytest.approx(16 / 9, rel=0.01)
    assert not [slider for slider in at.slider if slider.key == "part"]
    assert "bars of the mean colour" in html(at) and len(heatmaps(at)) == 2
    assert provenance.facts(seen, {})["resize"] == "letterbox"
    again = open_app(sample="crab", shown="All of it")
    assert again.session_state["_scene"].question == seen.question
    settle(at.segmented_control(key="shown").set_value("A part").run())
    assert at.session_state["_scene"].question.model.fit is None and at.slider(key="part").value == 50


@pytest.mark.parametrize("page", ["pages/channels/page.py", "pages/deletion/page.py"])
def test_every_page_has_the_panorama_whole(open_app: Open, page: str) -> None:
    at = open_app(page=page, sample="crab", shown="All of it")
    assert not at.error and at.session_state["_scene"].question.model.fit == "letterbox"


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
