"""Where maps of the small vision transformer lie: the share of their energy on the digit, beside what chance has there.

    python benchmarks/digit_maps.py                 # five minutes of one CPU core; resumes where it stopped
    python benchmarks/digit_maps.py --costly 20     # a look

Every method that works at the default layer, on held-out images with true masks, for the true class; the convolutional
baseline that was trained on the same set beside it. Methods of many passes explain the first `costly` images alone.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import typer
from rich.progress import track

from benchmarks.common import machine, publish
from cam_core import METHODS, Classifier, evaluate_batch, explain_batch, load_model, methods_at
from cam_core.files import write_whole
from cam_core.metrics.statistics import Interval, bootstrap_interval
from cam_core.models.trainable.trained import find_trained
from cam_core.training import DigitsSet, ImageSet

SCRATCH = Path(__file__).parent / "scratch" / "digit_maps"
NETWORKS = ("vit_digits", "baseline_digits")
TEDIOUS = ("is-cam", "ss-cam")  # ten and thirty-five full passes per channel
OF_ATTENTION = {"channels": "class-attention"}
COLUMNS = ("network", "layer", "method", "images", "energy on the digit", "chance", "× chance", "above chance")
NOTES = (
    "Energy is the share of the map that lies on the digit (metric `ebpg`); chance is the share of the image that the "
    "digit covers, which an even map has; above chance is the share of images whose map has more. Means over images, "
    "with 95 % bootstrap intervals. Digits and photos are held out, and the true class is explained.",
    "Both networks have maps of 8 × 8 positions, each as wide as a stroke or wider: no map of them can have all of its "
    "energy on the digit.",
)


def variants(clf: Classifier) -> Iterator[tuple[str, dict[str, Any]]]:
    """(method, parameters) of everything that works at the default layer."""
    reasons = methods_at(clf)
    for key, method in METHODS.items():
        if not reasons[key] and not method.multi_layer and key not in TEDIOUS:
            yield key, {}
    if clf.default_layer.endswith("norm1"):
        yield "opti-cam", OF_ATTENTION


def title(key: str, params: Mapping[str, Any]) -> str:
    """How the table calls a method."""
    return METHODS[key].title + (", of class attention" if params else "")


def energies(clf: Classifier, name: str, data: ImageSet, key: str, params: dict[str, Any]) -> np.ndarray:
    """Share on the digit and share of the digit (N, 2), from an earlier run where that is of the same network."""
    digest = str(find_trained(name).card["sha256"])[:12]
    store = SCRATCH / f"{digest}-{key}{'-attention' if params else ''}-{len(data)}.npy"
    if store.exists():
        return np.load(store)
    images = [data.picture(index) for index in range(len(data))]
    labels = data.labels.tolist()
    assert data.masks is not None
    maps = explain_batch(clf, images, method=key, targets=labels, **params)
    results = evaluate_batch(clf, images, maps, metric="ebpg", targets=labels, regions=list(data.masks))
    values = np.array([(result.value, float(result.extras["area"])) for result in results])
    content = io.BytesIO()
    np.save(content, values)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    write_whole(store, lambda draft: draft.write_bytes(content.getvalue()))
    return values


def row(values: np.ndarray) -> dict[str, Any]:
    """Of one method: means and intervals over images."""
    energy, chance = values.T
    return {
        "images": len(values),
        "energy": asdict(bootstrap_interval(list(energy))),
        "chance": float(chance.mean()),
        "times": asdict(bootstrap_interval(list(energy / chance.mean()))),
        "above": float((energy > chance).mean()),
    }


def main(
    images: Annotated[int, typer.Option(help="held-out images, of 1,000")] = 1000,
    costly: Annotated[int, typer.Option(help="of these the first so many, for methods of many passes")] = 50,
) -> None:
    """Compute, print, and write benchmarks/results/digit_maps.*."""
    torch.set_num_threads(1)
    data = DigitsSet("held-out")
    rows = []
    for name in NETWORKS:
        clf = load_model(name, device="cpu")
        for key, params in track(list(variants(clf)), name):
            part = data.head(min(images, costly) if METHODS[key].expensive else images)
            measured = row(energies(clf, name, part, key, params))
            rows.append({"network": name, "layer": clf.default_layer, "method": key, "params": params} | measured)
    cells = [
        [
            entry["network"],
            entry["layer"],
            title(entry["method"], entry["params"]),
            entry["images"],
            _interval(entry["energy"], 3),
            f"{entry['chance']:.3f}",
            _interval(entry["times"], 2),
            f"{entry['above']:.0%}",
        ]
        for entry in rows
    ]
    record = {"machine": machine("cpu"), "images": images, "costly": costly, "rows": rows}
    publish("digit_maps", "Energy on the digit, beside chance", COLUMNS, cells, record, NOTES)


def _interval(values: Mapping[str, float], digits: int) -> str:
    interval = Interval(**values)  # type: ignore[arg-type]
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


if __name__ == "__main__":
    typer.run(main)
