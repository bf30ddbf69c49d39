"""The last part of a page: Python, a command, settings and one zip, of what is on it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Final

import streamlit as st
from PIL import Image

from cam_core import Explanation
from cam_core.files import CHECKSUMS, bundle, npy
from pages.shared import downloads, style
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.sharing import settings
from pages.shared.sharing.settings import SettingsError, View

PAGES: Final = {
    "": "Compare",
    "classes": "Classes",
    "channels": "Channels",
    "deletion": "Deletion",
    "benchmark": "Benchmark",
    "lfi": "LFI-CAM",
    "figure": "Figure",
}
"""Titles of the pages that can be taken along, by their address."""

Files = Mapping[str, bytes]

_TITLE: Final = "Take it with you: Python, settings, everything as a zip"

_README: Final = """\
{title}: what was on the page {page} of CAMscope.

{contents}

Beside them tables and figures of the page.
"""
_CONTENTS: Final = {
    "photo.png": "the photo as it was chosen",
    "frame.png": "the part of it that the network saw, which maps are stretched over",
    "images/": "the images",
    "masks/": "where the object is, (H, W)",
    "maps/": "raw maps (h, w), signed, at the layer's own resolution; NumPy's format",
    "saliency/": "the same as pictures have them: (H, W), 0 to 1, the network's input",
    "coefficients/": "one weight per channel (K,), where the method has them",
    "facts.json": "networks, layer, class, photo, seed, versions",
    "settings.json": "choices; the app opens the same view from it",
    "script.py": "the same numbers by Python",
    "command.txt": "the same from a shell",
    CHECKSUMS: "checksums: sha256sum -c SHA256SUMS",
}
"""Of a bundle: a file, or a folder with its slash, and what is in it."""


def section(
    seen: Scene,
    page: str,
    facts: Facts,
    *,
    script: str,
    command: str = "",
    said: str = "",
    explanations: Mapping[str, Explanation],
    files: Callable[[], Files],
) -> None:
    """Draw it, on a page of one photo.

    Args:
        page: the page's address.
        command: where there is none, nothing is said of it.
        said: what to know of the command.
        explanations: the maps on the page, by the name of their files.
        files: tables and figures of the page by name, made when they are asked for.
    """
    title = f"{seen.words.name} in {seen.photo.title}"
    draw(
        title,
        page,
        facts,
        script=script,
        command=command,
        said=said,
        pictures=lambda: {"photo.png": seen.whole_photo.image, "frame.png": seen.frame()},
        files=lambda: {**arrays(explanations), **files()},
    )


def draw(
    title: str,
    page: str,
    facts: Facts,
    *,
    script: str,
    command: str = "",
    said: str = "",
    pictures: Callable[[], Mapping[str, Image.Image]],
    files: Callable[[], Files],
) -> None:
    """Draw it, on any page.

    Args:
        title: what the page is about.
        page, command, said: as of `section`.
        pictures: by the name of their files, made while the page is drawn, once somebody looks.
        files: arrays, tables and figures by name, made when they are asked for.
    """
    opened = st.expander(_TITLE, key=f"share-{_name(page)}", on_change="rerun")
    if not opened.open:  # nothing of it is sent before somebody looks
        return
    # Here: a file is made outside of the page's run, where a visit's pictures cannot be had.
    taken = pictures()
    # What stands in the address now; later the reader may be elsewhere.
    view = View(page, {name: tuple(st.query_params.get_all(name)) for name in st.query_params})

    def everything() -> bytes:
        held = {
            **_texts(facts, script, command),
            "settings.json": settings.written(view, facts),
            **{name: _png(image) for name, image in taken.items()},
            **files(),
        }
        return bundle({"README.txt": _readme(title, page, held), **held})

    with opened:
        st.html(style.quiet("The numbers on this page by Python, with the library that this app is made of."))
        st.code(script, language=None, wrap_lines=True)  # the colours of a language are too pale to read for some
        if command:
            st.html(style.quiet("The same from a shell."))
            st.code(command, language=None, wrap_lines=True)
            st.html(style.quiet(said))
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
                everything,
                f"{_name(page)}.zip",
                key="share-bundle",
                help="One zip: pictures, maps, tables, figures, settings, versions and checksums.",
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
    """Of its files."""
    return page or PAGES[page].lower()


def _texts(facts: Facts, script: str, command: str) -> dict[str, bytes]:
    texts = {
        "facts.json": json.dumps(dict(facts), ensure_ascii=False, indent=2) + "\n",
        "script.py": script,
        **({"command.txt": command + "\n"} if command else {}),
    }
    return {name: text.encode() for name, text in texts.items()}


def _readme(title: str, page: str, files: Iterable[str]) -> bytes:
    """Says of what is in the bundle what it is."""
    names = [*files, CHECKSUMS]
    told = {part: words for part, words in _CONTENTS.items() if any(name.startswith(part) for name in names)}
    widest = max(map(len, told))
    contents = "\n".join(f"{part:{widest}}  {words}" for part, words in told.items())
    return _README.format(title=title, page=PAGES[page], contents=contents).encode()


def arrays(explanations: Mapping[str, Explanation]) -> dict[str, bytes]:
    """Raw maps, maps as they are drawn, and coefficients as files of a bundle, by the explanation's name."""
    files = {}
    for name, made in explanations.items():
        files |= {f"maps/{name}.npy": npy(made.map), f"saliency/{name}.npy": npy(made.saliency)}
        if made.coefficients is not None:
            files[f"coefficients/{name}.npy"] = npy(made.coefficients)
    return files


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
