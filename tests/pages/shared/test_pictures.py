"""Pictures inside the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.shared import pictures


def test_a_picture_is_sent_with_the_page_and_not_as_an_address() -> None:
    def script() -> None:
        from PIL import Image

        from pages.shared import pictures

        pictures.show(Image.new("RGB", (30, 20), (200, 40, 40)), alt="A red card")

    image = AppTest.from_function(script).run().get("image")[0].proto.imgs[0]
    kind, _, content = image.url.partition(",")
    assert (kind, image.alt) == ("data:image/jpeg;base64", "A red card")
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.size == (30, 20)
    assert np.abs(np.asarray(picture).mean((0, 1)) - (200, 40, 40)).max() < 3


def test_a_saved_picture_is_exact() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    assert np.array_equal(Image.open(io.BytesIO(pictures.encoded(picture, "PNG"))), picture)
