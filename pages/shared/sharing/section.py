"""The last part of a page: Python, a command, settings and one zip, of what is on it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Final

import streamlit as st
from PIL import Image

from cam_core import Explanation
from cam_core.files import bundle, npy
from pages.shared import downloads, style
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.sharing import settings
from pages.shared.sharing.settings import SettingsError, View

PAGES: Final = {"": "Compare", "classes": "Classes", "channels": "Channels", "deletion": "Deletion"}
"""Titles of the pages that can be taken along, by their address."""

Files = Mapping[str, bytes]

_TITLE: Final = "Take it with you: Python, settings, everything as a zip"

_README: Final = """\
{title}: what was on the page {page} of CAMscope.

photo.png              the photo as it was chosen
frame.png              the part of it that the network saw, which maps are stretched over
maps/NAME.npy          raw maps (h, w), signed, at the layer's own resolution; NumPy's format
saliency/NAME.npy      the same as pictures have them: (H, W), 0 to 1, the network's input
coefficients/NAME.npy  one weight per channel (K,), where the method has them
facts.json             network, layer, class, photo, seed, versions
settings.json          choices; the app opens the same view from it
script.py, command.txt the same numbers by Python or from a shell
SHA256SUMS             checksums: sha256sum -c SHA256SUMS

Beside them tables (.csv) and figures (.pdf) of the page.
"""


def section(
    seen: Scene,
    page: str,
    facts: Facts,
    *,
    script: str,
    command: str = "",
    explanations: Mapping[str, Explanation],
    files: Callable[[], Files],
) -> None:
    """Draw it.

    Args:
        page: the page's address.
        command: where there is none, nothing is said of it.
        explanations: the maps on the page, by the name of their files.
        files: tables and figures of the page by name, made when they are asked for.
    """
    opened = st.expander(_TITLE, key=f"share-{_name(page)}", on_change="rerun")
    if not opened.open:  # nothing of it is sent before somebody looks
        return
    # Here: a file is made outside of the page's run, where a visit's pictures cannot be had.
    pictures = {"photo.png": seen.whole_photo.image, "frame.png": seen.frame()}
    title = f"{seen.words.name} in {seen.photo.title}"
    # What stands in the address now; later the reader may be elsewhere.
    view = View(page, {name: tuple(st.query_params.get_all(name)) for name in st.query_params})
    with opened:
        st.html(style.quiet("The numbers on this page by Python, with the library that this app is made of."))
        st.code(script, language=None, wrap_lines=True)  # the colours of a language are too pale to read for some
        if command:
            st.html(style.quiet("The same from a shell."))
            st.code(command, language=None, wrap_lines=True)
        with st.container(horizontal=True, gap="small", key="share-files"):
            downloads.button(
                "Settings",
                lambda: settings.written(view, facts),
                f"{_name(page)}-settings.json",
                key="share-settings",
                help="All choices of this page in a file that opens the same view again.",
            )
            downloads.button(
                "Everything",
                lambda: bundle(
                    {
                        **_texts(title, page, facts, script, command),
                        "settings.json": settings.written(view, facts),
                        **{name: _png(image) for name, image in pictures.items()},
                        **_arrays(explanations),
                        **files(),
                    }
                ),
                f"{_name(page)}.zip",
                key="share-bundle",
                help="One zip: photo, maps, tables, figures, settings, versions and checksums.",
            )
        _open_again()


def _open_again() -> None:
    """A file of settings becomes a link."""
    given = st.file_uploader(
        "Open settings", type="json", key="share-open", help="A settings file that was saved here, or elsewhere."
    )
    if given is None:
        return
    try:
        view = settings.read(given.getvalue(), PAGES)
    except SettingsError as error:
        st.html(style.notice_line(f"Not opened: {error}."))
        return
    st.html(
        f'<a href="{escape(view.link, quote=True)}" target="_self">Open {escape(PAGES[view.page])} as it was saved</a>'
    )


def _name(page: str) -> str:
    return PAGES[page].lower()


def _texts(title: str, page: str, facts: Facts, script: str, command: str) -> dict[str, bytes]:
    texts = {
        "README.txt": _README.format(title=title, page=PAGES[page]),
        "facts.json": json.dumps(dict(facts), ensure_ascii=False, indent=2) + "\n",
        "script.py": script,
        **({"command.txt": command + "\n"} if command else {}),
    }
    return {name: text.encode() for name, text in texts.items()}


def _arrays(explanations: Mapping[str, Explanation]) -> dict[str, bytes]:
    arrays = {}
    for name, made in explanations.items():
        arrays |= {f"maps/{name}.npy": npy(made.map), f"saliency/{name}.npy": npy(made.saliency)}
        if made.coefficients is not None:
            arrays[f"coefficients/{name}.npy"] = npy(made.coefficients)
    return arrays


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
