"""The choices of a page as a JSON file, which opens the same view again: a link that can be kept beside the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from cam_core.types import CamError
from cam_core.version import __version__
from pages.shared.provenance import Facts

LARGEST: Final = 100_000
"""Bytes that a file of settings has at most."""

_KIND: Final = "CAMscope settings"
_MOST: Final = 200  # choices


class SettingsError(CamError, ValueError):
    """The file holds no settings of this app."""


@dataclass(frozen=True)
class View:
    """A page and the choices that stand in its address.

    Attributes:
        page: its address, without the slash; "" is the first page.
    """

    page: str
    choices: Mapping[str, tuple[str, ...]]

    @property
    def link(self) -> str:
        """Where it is seen again, on whatever server."""
        return f"/{self.page}?{urlencode(self.choices, doseq=True)}"


def written(view: View, facts: Facts) -> bytes:
    """The file; beside the choices it says where the results come from."""
    record = {
        "kind": _KIND,
        "version": __version__,
        "page": view.page,
        "choices": {name: list(values) for name, values in view.choices.items()},
        "facts": dict(facts),
    }
    return (json.dumps(record, ensure_ascii=False, indent=2) + "\n").encode()


def read(content: bytes, pages: Mapping[str, str]) -> View:
    """The inverse of `written`. Nothing of the file is trusted: choices are checked by whoever is given them.

    Args:
        pages: titles by address, of those that there are.
    Raises:
        SettingsError: it is no such file.
    """
    if len(content) > LARGEST:
        raise SettingsError(f"a file of settings has a few kilobytes, and this one {len(content) / 1000:.0f}")
    try:
        record = json.loads(content)
    except ValueError as error:
        raise SettingsError("the file is no JSON") from error
    except RecursionError as error:
        raise SettingsError("the file is nested too deeply") from error
    if not isinstance(record, dict) or record.get("kind") != _KIND:
        raise SettingsError("the file holds no settings of this app")
    page, choices = record.get("page"), record.get("choices")
    if not isinstance(page, str) or page not in pages:
        raise SettingsError(f"there is no page {str(page)[:40]!r} here")
    if not isinstance(choices, dict) or len(choices) > _MOST:
        raise SettingsError("the choices in the file cannot be read")
    return View(page, {name: _texts(values) for name, values in choices.items()})


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SettingsError("a choice in the file is no list of texts")
    return tuple(values)
