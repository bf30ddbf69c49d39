"""How near two measurements must be, and what is said of those that are not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

Record = Mapping[str, Any]
Measured = Mapping[str, Record]

# Float32 has seven digits; a network of fifty layers loses two or three of them where another CPU, or another number
# of threads, sums in another order. Faults of a formula, a mask or a permutation are far above a thousandth.
TOLERANCE = 1e-3

# Where rounding does not stay rounding. The first pattern that fits "network · layer · image · what · number" counts.
TOLERANCES: Mapping[str, tuple[float, str]] = {
    "squeezenet1_1 · features.7 · * · smooth-grad-cam++ · *": (
        0.25,
        "as below, and each flip is a quotient of Grad-CAM++ whose denominator is near 0",
    ),
    "* · opti-cam · *": (0.08, "Adam divides by the size of the gradient, also where that is nearly 0"),
    "squeezenet1_1 · features.7 · *": (0.02, "max-pooling behind the layer: of two nearly equal values either wins"),
    "* · shap-cam · stderr · *": (0.01, "differences of nearly equal numbers"),
    "* · metric road* · value": (0.08, "a difference of scores; the ranks of nearly equal pixels say which go"),
    "* · metric arcc · value": (0.08, "contains ROAD"),
    "* · metric *-auc · value": (0.01, "the ranks of nearly equal pixels say which go"),
    "squeezenet1_1 · * · curves · *": (0.08, "likewise, on small probabilities"),
}

# For numbers that stand alone and may be 0: probabilities, differences of them, logits.
TINY = 1e-6


def differences(old: Measured, new: Measured) -> list[str]:
    """One line for every result that is gone or new, and for every number that is not what it was."""
    lines = [f"{key}: gone; was {old[key]}" for key in sorted(old.keys() - new.keys())]
    lines += [f"{key}: not in the file; is {new[key]}" for key in sorted(new.keys() - old.keys())]
    for key in sorted(old.keys() & new.keys()):
        lines += _within(key, old[key], new[key])
    return lines


def tolerance(path: str) -> float:
    """Relative, of the number at `path`."""
    return next((bound for pattern, (bound, _) in TOLERANCES.items() if fnmatch(path, pattern)), TOLERANCE)


def _within(key: str, old: Record, new: Record) -> Iterator[str]:
    """Arrays are compared in units of their root mean square: a mean may be 0 by cancellation."""
    for name in sorted(old.keys() | new.keys()):
        path, one, other = f"{key} · {name}", old.get(name), new.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _within(path, one, other)
        elif not (isinstance(one, float) and isinstance(other, float)):
            if one != other:
                yield f"{path}: {one} → {other}"
        elif not _near(one, other, float(old.get("rms", 0)), tolerance(path)):
            size = max(abs(one), float(old.get("rms", 0)))
            apart = abs(one - other) / size if size else math.inf
            yield f"{path}: {one:.7g} → {other:.7g}, {apart:.2g} apart where {tolerance(path):g} is allowed"


def _near(one: float, other: float, rms: float, bound: float) -> bool:
    return one == other or abs(one - other) <= bound * max(abs(one), rms) + (0 if rms else TINY)
