"""Pictures that arrive with the page itself.

`st.image(pixels)` only sends an address. Streamlit forgets the file behind it for a moment whenever the page is drawn
again; if another visitor's page happens to end its own drawing in that moment, the file is gone, and a browser that
asks for it then shows a broken picture for good. A picture inside the page cannot get lost, whoever else is there and
however many servers share the work.
"""

from __future__ import annotations

import base64
import io

import streamlit as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def show(picture: Image.Image, *, alt: str) -> None:
    """A picture as wide as its place.

    Args:
        alt: what is to be seen on it, for those who cannot see it.
    """
    st.image(address(picture), width="stretch", alt=alt)


def address(picture: Image.Image) -> str:
    """An address that holds the picture itself, for HTML and style sheets."""
    return f"data:image/jpeg;base64,{base64.b64encode(encoded(picture, 'JPEG')).decode()}"


def encoded(picture: Image.Image, form: str) -> bytes:
    """The file's content; `form` is "JPEG" or "PNG"."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, form, quality=86, subsampling=0)
    return buffer.getvalue()


def described_png(picture: Image.Image, description: str) -> bytes:
    """A PNG file's content, with a text within it that is not to be seen, called Description."""
    text, buffer = PngInfo(), io.BytesIO()
    text.add_itxt("Description", description)
    picture.convert("RGB").save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()
