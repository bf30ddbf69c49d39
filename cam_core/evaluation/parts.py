"""Finished units of an evaluation: each in a file that is either whole or not there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cam_core.evaluation.results import Row, read_rows, read_settings, write_rows
from cam_core.types import MetricError

Unit = tuple[str, str, str]  # the image's path within the folder, the SHA-256 of its bytes, the method


class Parts:
    """Finished units: those of a finished table, and those beside it that wait for the others.

    Raises:
        MetricError: what is there was made with other settings.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self._out, self._settings = out, settings
        self._parts = out.with_name(f"{out.name}.parts")
        self._known: dict[Unit, list[Row]] = {}
        if out.exists():
            self._check(out)
            for row in read_rows(out):
                self._known.setdefault((row.image, row.image_sha256, row.method), []).append(row)
        self._parts.mkdir(parents=True, exist_ok=True)
        for part in self._parts.glob("*.parquet"):
            self._check(part)
            break  # one part stands for all: each run checks before it adds its own

    def _check(self, path: Path) -> None:
        written = read_settings(path)
        if written != self._settings:
            different = [key for key, value in self._settings.items() if written.get(key) != value]
            raise MetricError(
                f"{path} was made with other settings ({', '.join(different)}): name another file for the results, "
                "or remove this one"
            )

    def _part(self, unit: Unit) -> Path:
        return self._parts / f"{hashlib.sha256(repr(unit).encode()).hexdigest()[:32]}.parquet"

    def find(self, unit: Unit) -> list[Row] | None:
        """The rows of a unit, or None where it is not finished."""
        if unit in self._known:
            return self._known[unit]
        part = self._part(unit)
        return read_rows(part) if part.exists() else None

    def keep(self, unit: Unit, rows: Sequence[Row]) -> None:
        """Put a finished unit by, in a file that is either whole or not there."""
        write_rows(rows, self._settings, self._part(unit))

    def complete(self, rows: Sequence[Row]) -> None:
        """All is done: write the table, and clear the parts away."""
        write_rows(rows, self._settings, self._out)
        shutil.rmtree(self._parts)
