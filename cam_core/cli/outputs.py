"""Files that commands write: refused before the work begins, and written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cam_core.files import write_whole
from cam_core.types import CamError


class OutputError(CamError, ValueError):
    """The file cannot be written there."""


def check_outputs(paths: Iterable[Path]) -> None:
    """Refuse, before hours of work, what could not be written after them.

    Raises:
        OutputError: no such folder, no permission, a folder in the file's place, or one file for two things.
    """
    seen: set[Path] = set()
    for path in paths:
        folder = path.parent
        if not folder.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {folder}")
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise OutputError(f"cannot write {path}: no permission")
        if path.resolve() in seen:
            raise OutputError(f"{path} is named twice: two results cannot go into one file")
        seen.add(path.resolve())


def write_output(path: Path, content: bytes) -> None:
    """Put `content` in the place of what was there, which stays where writing fails.

    Raises:
        OSError: the file cannot be written.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():  # a pipe or a device, which must not be replaced
        target.write_bytes(content)
        return
    write_whole(target, lambda draft: draft.write_bytes(content))


def as_json(record: Any) -> bytes:
    """JSON that is valid everywhere and fit to be read: one line per entry, but arrays of numbers in one line.

    What is not finite becomes null, which JSON has, and which reads back as NaN in an array of numbers.
    """
    return f"{_laid_out(record)}\n".encode()


def _laid_out(value: Any, indent: str = "") -> str:
    inner = f"{indent} "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {_laid_out(entry, inner)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        return "[\n" + ",\n".join(f"{inner}{_laid_out(entry, inner)}" for entry in value) + f"\n{indent}]"
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
