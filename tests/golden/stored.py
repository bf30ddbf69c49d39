"""The file of golden numbers: one line a result, sorted, so that a change can be read line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("golden.json")

_DIGITS = 7  # as many as float32 has


def read(path: Path = FILE) -> dict[str, dict[str, Any]]:
    """By "network · layer · image · what"; empty where there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def text(measured: Mapping[str, Any]) -> str:
    lines = [f"{_json(key)}: {_json(_rounded(measured[key]))}" for key in sorted(measured)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(entry) for name, entry in value.items()}
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
