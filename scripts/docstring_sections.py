"""A Griffe extension for the API pages: what our docstrings leave to the reader's eye is spelt out there.

Griffe takes "Raises:" for text where no empty line stands above it, and "mean, std:" for one name.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_HEADING = re.compile(r"(?<=[^\n]\n)(?=(?:Args|Attributes|Examples|Raises|Returns|Yields):\n)")
_SHARED = re.compile(r"^    (\w+(?:, \w+)+):(.*(?:\n     +.*)*)", re.MULTILINE)


def spelt_out(docstring: str) -> str:
    """An empty line above every section's heading, and an entry of its own for each of several names."""
    return _SHARED.sub(_each, _HEADING.sub("\n", docstring))


def _each(entry: re.Match[str]) -> str:
    return "\n".join(f"    {name}:{entry[2]}" for name in entry[1].split(", "))


class DocstringSections(griffe.Extension):
    """The extension that `mkdocs.yml` names: changes each docstring as soon as it is collected."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = spelt_out(obj.docstring.value)
