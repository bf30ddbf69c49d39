"""Values for a class and values against it, told apart by side of zero, pattern and a sign; by colour last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cam_core.numbers import decimals, scientific
from cam_core.palette import evidence_colour


def signed_bars(values: Sequence[float]) -> dict[str, Any]:
    """The `marker` of a plotly bar trace: plain and in `FOR` from 0 up, hatched and in `AGAINST` below."""
    return {
        "color": [evidence_colour(value) for value in values],
        "pattern": {
            "shape": ["/" if value < 0 else "" for value in values],
            "fillmode": "overlay",
            "fgcolor": "white",
            "fgopacity": 0.55,
            "size": 6,
            "solidity": 0.3,
        },
        "line": {"width": 0},
    }


def signed_text(value: float) -> str:
    """ "+0.73", "−1.08": two decimals, more where they would say nothing."""
    digits = 2 if value == 0 or abs(value) >= 0.095 else 3 if abs(value) >= 0.0095 else None
    return scientific(value, 1, "+") if digits is None else decimals(value, digits, "+")
