"""Small tables of results, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cam_core.evaluation.report.opening import Results, results_of
from cam_core.evaluation.results import Row, write_rows

IMAGES = 8
SETTINGS = {"model": "tiny", "layer": "conv", "methods": {"lime-cam": {"samples": 9}}, "metrics": {}, "seed": 3}


def rows(values: Mapping[tuple[str, str], Sequence[float | None]]) -> list[Row]:
    """One row per image, method and metric, image by image; None for a value that is not there."""
    count = len(next(iter(values.values())))
    return [
        Row(f"{place}.jpg", f"sha {place}", method, metric, 1, "cat", 0.5, own[place],
            note="" if own[place] is not None else "it is broken")
        for place in range(count)
        for (method, metric), own in values.items()
    ]  # fmt: skip


def results(values: Mapping[tuple[str, str], Sequence[float | None]], network: str = "tiny") -> Results:
    return results_of(network, rows(values), SETTINGS)


def written(path: Path, values: Mapping[tuple[str, str], Sequence[float | None]], **settings: Any) -> Path:
    write_rows(rows(values), SETTINGS | settings, path)
    return path


# By average drop, lower is better: Grad-CAM is better than Random on all images, and than LIFT-CAM on half of them.
DROPS: dict[tuple[str, str], Sequence[float | None]] = {
    ("grad-cam", "average-drop"): [10.0, 11, 12, 13, 14, 15, 16, 17],
    ("lift-cam", "average-drop"): [12.0, 9, 14, 11, 17, 14, 18, 16],
    ("random", "average-drop"): [60.0, 70, 80, 90, 65, 75, 85, 95],
}
