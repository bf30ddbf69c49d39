"""Summation-to-delta of DeepLIFT over the catalogue: the gap at three depths of every network.

    python benchmarks/deeplift_gap.py

Seeded random weights, one photo. The gap is |Σ contributions − Δlogit| / |Δlogit|; cancellation is Σ|contribution| /
|Δlogit|. Where float32 loses too many digits the product computes in float64 and says so.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import typer

from benchmarks.common import machine, publish
from cam_core import CATALOG, SAMPLES, load_image, load_model
from cam_core.deeplift import contributions


def depths(layers: list[str], default: str) -> list[str]:
    """An early layer, one halfway, and the default."""
    before = layers[: layers.index(default)] or layers
    return [before[len(before) // 3], before[-1], default]


def measure(name: str, layer: str, image: torch.Tensor, clf: object) -> dict[str, object]:
    """The gap for the most probable class, as the product computes it."""
    net = clf.split(layer)  # type: ignore[attr-defined]
    with torch.no_grad():
        acts = net.head(image)
        target = net.tail(acts).argmax(1)
    result = contributions(net, acts, None, target)
    return {
        "network": name,
        "layer": layer,
        "gap": float((result.gap / result.delta).abs()[0]),
        "cancellation": float(result.cancellation[0]),
        "float64": bool(result.warnings[0]),
    }


def main(device: str = "cpu", suffix: str = "cpu") -> None:
    """Print the table and write it."""
    photo = load_image(SAMPLES[0].path)
    rows = []
    for name in CATALOG:
        clf = load_model(name, weights="default" if CATALOG[name].source == "bundled" else "random", device=device)
        image = clf.as_batch(photo)
        for layer in depths([entry.name for entry in clf.layers], clf.default_layer):
            rows.append(measure(name, layer, image, clf))
            print(rows[-1], flush=True)
    columns = ["network", "layer", "relative gap", "cancellation", "computed in"]
    cells = [
        [r["network"], r["layer"], r["gap"], r["cancellation"], "float64" if r["float64"] else "float32"] for r in rows
    ]
    record = {"machine": machine(device), "rows": rows}
    publish(
        f"deeplift-gap-{suffix}", "DeepLIFT: failure of summation-to-delta over the catalogue", columns, cells, record
    )


if __name__ == "__main__":
    typer.run(main)
