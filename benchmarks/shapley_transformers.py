"""LIFT-CAM's claim on transformers: closer to the channels' Shapley values than Grad-CAM, three networks, three layers.

    python benchmarks/shapley_transformers.py    # minutes of one CPU core; resumes where it stopped

The small transformer that comes along, on held-out digits, and two of timm with seeded random weights and few channels,
on photos. The reference is 50 antithetic pairs of permutations, seed 0; Grad-CAM's coefficients, logits per unit of
activation, are read as the channels' shares: α · mean A.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import timm
import torch
import typer
from PIL import Image
from rich.progress import track

from benchmarks.common import machine, publish
from cam_core import SAMPLES, Classifier, explain, load_model
from cam_core.analysis.shapley_fidelity import fidelity, shap_reference
from cam_core.files import write_whole
from cam_core.metrics.statistics import bootstrap_interval
from cam_core.models.zoo.random_weights import PrivateRandomness, calibrate
from cam_core.shapley import ChannelGame
from cam_core.training.digits import gallery_digits

SCRATCH = Path(__file__).parent / "scratch" / "shapley_transformers"
PAIRS, SEED = 50, 0
SIDE = 64  # pixels: few patches, so that thousands of passes are affordable
PHOTOS = 5
METHODS = ("lift-cam", "grad-cam")
COLUMNS = ("network", "layer", "channels", "LIFT-CAM", "Grad-CAM, α · mean A", "Grad-CAM, α", "ceiling", "closer")


@dataclass(frozen=True)
class Network:
    """One network, the three layers, and what it looks at."""

    build: Callable[[], Classifier]
    layers: tuple[str, str, str]
    images: Callable[[], Sequence[Image.Image]]


def untrained(name: str, **options: Any) -> Callable[[], Classifier]:
    """A network of timm with seeded random weights that keep activations of order one."""

    def build() -> Classifier:
        with PrivateRandomness(SEED):
            module = timm.create_model(name, img_size=SIDE, num_classes=20, **options)
        calibrate(module, (SIDE, SIDE), SEED)
        return Classifier(module.eval(), name=name, input_size=(SIDE, SIDE), device="cpu", trained=False)

    return build


def photos() -> list[Image.Image]:
    """The first of the gallery."""
    return [sample.open() for sample in SAMPLES[:PHOTOS]]


NETWORKS = {
    "vit_digits, trained": Network(
        lambda: load_model("vit_digits", device="cpu"),
        ("blocks.0", "blocks.2", "blocks.3.norm1"),
        lambda: list(gallery_digits().values()),
    ),
    "vit_tiny, 6 blocks of 96, random": Network(
        untrained("vit_tiny_patch16_224", patch_size=8, embed_dim=96, depth=6, num_heads=3),
        ("blocks.1", "blocks.3", "blocks.5.norm1"),
        photos,
    ),
    "swin_tiny, 3 stages of 24 to 96, random": Network(
        untrained("swin_tiny_patch4_window7_224", window_size=4, depths=(2, 2, 2), num_heads=(2, 4, 8), embed_dim=24),
        ("layers.0", "layers.1", "layers.2.blocks.0"),
        photos,
    ),
}


def case(clf: Classifier, layer: str, image: Image.Image) -> dict[str, float]:
    """Cosines to SHAP of one image's most probable class."""
    net, batch = clf.split(layer), clf.as_batch(image)
    with torch.no_grad():
        acts = net.head(batch)
        target = int(net.tail(acts).argmax())
    game = ChannelGame(net.sample(0), acts, target)
    reference = shap_reference(game, torch.Generator().manual_seed(SEED), PAIRS)
    means = acts.mean((0, 2, 3)).numpy()
    lift, grad = (
        fidelity(explain(clf, image, method=key, layer=layer, target=target).coefficients, means, reference)
        for key in METHODS
    )
    return {
        "channels": game.players,
        "lift": lift.coefficients.cosine,
        "grad_shares": grad.contributions.cosine,
        "grad": grad.coefficients.cosine,
        "ceiling": reference.ceiling,
    }


def cases(name: str, clf: Classifier, layer: str, images: Sequence[Image.Image]) -> list[dict[str, float]]:
    """Of all images, from an earlier run where its network gave the same logits."""
    marks = [round(float(clf.logits(clf.as_batch(image)).max()), 3) for image in images]
    store = SCRATCH / f"{name.split(',')[0]}-{layer}-{PAIRS}.json"
    if store.exists():
        kept = json.loads(store.read_text())
        if kept["marks"] == marks:
            return list(kept["cases"])
    made = [case(clf, layer, image) for image in track(images, f"{name}, {layer}")]
    SCRATCH.mkdir(parents=True, exist_ok=True)
    write_whole(store, lambda draft: draft.write_text(json.dumps({"marks": marks, "cases": made})))
    return made


def row(name: str, layer: str, made: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Means over the images of one case, and the advantage image by image."""
    of = {key: np.array([one[key] for one in made]) for key in made[0]}
    return {
        "network": name,
        "layer": layer,
        "images": len(made),
        "channels": int(of["channels"][0]),
        "mean": {key: float(of[key].mean()) for key in ("lift", "grad_shares", "grad", "ceiling")},
        "advantage": asdict(bootstrap_interval(list(of["lift"] - of["grad_shares"]))),
        "cases": list(made),
    }


def main() -> None:
    """Compute, print, and write benchmarks/results/shapley_transformers.*."""
    torch.set_num_threads(1)
    rows = []
    for name, network in NETWORKS.items():
        clf, images = network.build(), network.images()
        rows += [row(name, layer, cases(name, clf, layer, images)) for layer in network.layers]
    closer = [entry["mean"]["lift"] > entry["mean"]["grad_shares"] for entry in rows]
    cells = [
        [
            entry["network"],
            entry["layer"],
            entry["channels"],
            *(f"{entry['mean'][key]:.3f}" for key in ("lift", "grad_shares", "grad", "ceiling")),
            "LIFT-CAM" if wins else "Grad-CAM",
        ]
        for entry, wins in zip(rows, closer, strict=True)
    ]
    notes = (
        f"Mean cosine over images to {PAIRS} antithetic pairs of permutations, seed {SEED}: {len(gallery_digits())} "
        f"held-out digits, one of each class, for the trained network, {PHOTOS} photos for the others; the most "
        "probable class. The ceiling is the cosine that the true values can be expected to have to this reference.",
        f"LIFT-CAM is above Grad-CAM, read as channels' shares α · mean A, in {sum(closer)} of {len(closer)} cases.",
    )
    record = {"machine": machine("cpu"), "pairs": PAIRS, "seed": SEED, "rows": rows}
    publish("shapley_transformers", "LIFT-CAM's claim on transformers", COLUMNS, cells, record, notes)


if __name__ == "__main__":
    typer.run(main)
