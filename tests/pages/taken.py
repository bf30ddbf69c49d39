"""What a page gives to be taken along: its script, run, and its files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.app_runs import load_tiny, settle


@dataclass
class Shared:
    """What a page gave away."""

    at: AppTest
    script: str
    command: str
    files: dict[str, bytes]

    @property
    def settings(self) -> bytes:
        return next(content for name, content in self.files.items() if name.endswith("-settings.json"))

    @property
    def bundle(self) -> dict[str, bytes]:
        content = next(content for name, content in self.files.items() if name.endswith(".zip"))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def opened(at: AppTest, page: str, monkeypatch: pytest.MonkeyPatch) -> Shared:
    """The page with its last part open."""
    buttons: dict[str, Callable[[], bytes]] = {}

    def button(*_: Any, file_name: str, data: Callable[[], bytes], **__: Any) -> None:
        buttons[file_name] = data

    with monkeypatch.context() as patched:
        patched.setattr("streamlit.download_button", button)
        at.session_state[f"share-{page}"] = True
        settle(at.run())
        own = {name: data for name, data in buttons.items() if name.startswith((f"{page}-settings", f"{page}.zip"))}
        files = {name: data() for name, data in own.items()}
    code = [element.value for element in at.code]
    script = next(text for text in code if text.startswith('"""'))
    return Shared(at, script, next((text for text in code if text.startswith("python -m cam_core ")), ""), files)


def executed(script: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that a script leaves, run on the network of the app."""
    names: dict[str, Any] = {}
    with monkeypatch.context() as patched:
        patched.setattr("cam_core.load_model", load_tiny)
        exec(compile(script, "script", "exec"), names)
    return names


def array(content: bytes) -> Any:
    return np.load(io.BytesIO(content), allow_pickle=False)
