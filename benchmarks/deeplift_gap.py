"""Summation-to-delta of DeepLIFT over the catalogue: the gap at three depths of every network.

    python benchmarks/deeplift_gap.py
    python benchmarks/deeplift_gap.py --suffix cpu-layer-norm --every --shap-channels 64 --midpoint \\
        --network timm:test_convnext --network convnext_tiny

Seeded random weights, one photo, the most probable class. The gap is |Σ contributions − Δlogit| / |Δlogit|;
cancellation is Σ |contribution| / |Δlogit| over all activations, and over the channels' sums. Where float32 loses too
many digits the product computes in float64 and says so. On request, how close the channels' contributions come to their
SHAP values from antithetic permutations, Grad-CAM's (α_k · mean A_k) beside them, and all of it once more with the
midpoint rule for the products of norms.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import typer

from benchmarks.common import machine, publish
from cam_core import CATALOG, SAMPLES, Classifier, explain, load_image, load_model
from cam_core.analysis.shapley_fidelity import shap_reference
from cam_core.deeplift import contributions
from cam_core.models.split.model import SplitModel
from cam_core.shapley import ChannelGame

PAIRS = 100  # of antithetic permutations
COLUMNS = {
    "network": "network",
    "layer": "layer",
    "rule": "norms by",
    "gap": "relative gap",
    "cancellation": "cancellation",
    "channels": "of channels",
    "precision": "computed in",
    "cosine": "cosine to SHAP",
    "grad_cam": "Grad-CAM's",
}

NOTES = (
    "Cancellation is Σ |contribution| / |Δlogit| over all activations; beside it, of the channels' sums.",
    "Norms by the endpoint rule, as the product does it: Δ(c·r) = r·Δc + c_ref·Δr for a centred value c, r = 1/√(…).",
    "By the midpoint rule, for comparison, Δ(c·r) = r̄·Δc + c̄·Δr, as for every other product of two activations.",
)


def depths(layers: list[str], default: str) -> list[str]:
    """An early layer, one halfway, and the default."""
    before = layers[: layers.index(default)] or layers
    return [before[len(before) // 3], before[-1], default]


def by_midpoint() -> AbstractContextManager[object]:
    """Every product by the midpoint rule, those of norms too: no factor is known as a norm's."""
    return patch("cam_core.deeplift.dispatch._role_of", lambda _value: "")


def measure(
    clf: Classifier, layer: str, image: torch.Tensor, rules: list[str], shap_channels: int
) -> list[dict[str, object]]:
    """One row per rule for the most probable class, as the product computes it."""
    net = clf.split(layer)
    with torch.no_grad():
        acts = net.head(image)
        target = net.tail(acts).argmax(1)
    shap = grad_cam = None
    if acts.shape[1] <= shap_channels:
        game = ChannelGame(net.sample(0), acts, int(target))
        shap = torch.as_tensor(shap_reference(game, torch.Generator().manual_seed(0), PAIRS).phi)
        alpha = torch.as_tensor(explain(clf, image, method="grad-cam", layer=layer, target=int(target)).coefficients)
        grad_cam = cosine(alpha * acts[0].mean((1, 2)).cpu(), shap)
    return [row(net, acts, target, rule, shap) | {"grad_cam": grad_cam} for rule in rules]


def row(
    net: SplitModel, acts: torch.Tensor, target: torch.Tensor, rule: str, shap: torch.Tensor | None
) -> dict[str, object]:
    """The findings of one call of DeepLIFT."""
    with by_midpoint() if rule == "midpoint" else nullcontext():
        result = contributions(net, acts, None, target)
    channels = result.values.sum((2, 3))[0]
    return {
        "rule": rule,
        "gap": float((result.gap / result.delta).abs()[0]),
        "cancellation": float(result.cancellation[0]),
        "channels": float(channels.abs().sum() / result.delta[0].abs()),
        "precision": "float64" if result.double[0] else "float32",
        "cosine": None if shap is None else cosine(channels.cpu(), shap),
        "delta": float(result.delta[0]),
        "warnings": result.warnings[0],
    }


def cosine(values: torch.Tensor, shap: torch.Tensor) -> float:
    """Of two vectors of channels."""
    return float(torch.cosine_similarity(values.double(), shap.double(), dim=0))


def main(
    device: str = "cpu",
    suffix: str = "cpu",
    network: Annotated[list[str] | None, typer.Option(help="These alone; NAME@LAYER for one layer.")] = None,
    every: Annotated[bool, typer.Option(help="Every listed layer instead of three.")] = False,
    shap_channels: Annotated[int, typer.Option(help="Permutation SHAP at layers of at most so many channels.")] = 0,
    midpoint: Annotated[bool, typer.Option(help="The midpoint rule for norms beside the product's.")] = False,
) -> None:
    """Print the table and write it."""
    photo = load_image(SAMPLES[0].path)
    rows = []
    for choice in network or CATALOG:
        name, _, layer = choice.partition("@")
        bundled = name in CATALOG and CATALOG[name].source == "bundled"
        clf = load_model(name, weights="default" if bundled else "random", device=device)
        image = clf.as_batch(photo)
        listed = [known.name for known in clf.layers]
        for depth in [layer] if layer else listed if every else depths(listed, clf.default_layer):
            rules = ["midpoint", "endpoint"] if midpoint else ["endpoint"]
            for measured in measure(clf, depth, image, rules, shap_channels):
                rows.append({"network": name, "layer": depth} | measured)
                print(rows[-1], flush=True)
    columns = {key: title for key, title in COLUMNS.items() if any(r[key] is not None for r in rows)}
    cells = [["" if r[key] is None else r[key] for key in columns] for r in rows]
    record = {"machine": machine(device), "rows": rows}
    title = "DeepLIFT: failure of summation-to-delta" + ("" if network else " over the catalogue")
    publish(f"deeplift-gap-{suffix}", title, list(columns.values()), cells, record, NOTES)


if __name__ == "__main__":
    typer.run(main)
