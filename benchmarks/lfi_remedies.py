"""What LFI-CAM could be helped by: one setting changed at a time, two seeds each, beside the unchanged network.

    python benchmarks/lfi_remedies.py           # trains what is missing; resumes where it stopped
    python benchmarks/lfi.py --compare-only     # takes the findings into its results

Two networks a remedy say whether it helps a lot or hardly at all, and no more than that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import typer

from benchmarks.lfi import REMEDIES, SCRATCH, judge_network, settings_of, train_one
from cam_core.metrics.stability import pairwise_iou
from cam_core.models.checkpoints import load_checkpoint
from cam_core.training import ImageSet, open_data
from cam_core.training.lfi import BEST

SEEDS = (0, 1)
CHANGES: dict[str, dict[str, Any]] = {
    "unchanged": {},
    "FIN with a ReLU behind every batch norm": {"fin_relu": "all"},
    "twice the epochs": {"epochs": 12},
    "a third of the learning rate": {"learning_rate": 0.03},
    "a tenth of the weight decay": {"weight_decay": 5e-5},
}


def judged(change: Mapping[str, Any], data: ImageSet) -> dict[str, Any]:
    """Accuracy, position and agreement of the two networks of one change."""
    found = []
    for seed in SEEDS:
        settings = settings_of("lfi", {**change, "seed": seed}, folder=_name(change, seed))
        train_one(settings)
        network, card = load_checkpoint(settings.out / BEST)
        found.append((card, judge_network(network, card, data)["lfi"]))
    (overlap,) = pairwise_iou([one.maps for _, one in found]).values()
    return {
        "accuracy": [card["accuracy"] for card, _ in found],
        "ebpg": [float(one.values["ebpg"].mean()) for _, one in found],
        "iou": [float(one.values["iou"].mean()) for _, one in found],
        "stability": float(overlap.mean()),
    }


def _name(change: Mapping[str, Any], seed: int) -> str:
    return "-".join(["remedy", *(f"{key}={value}" for key, value in change.items()), str(seed)])


def sentence(name: str, values: Mapping[str, Any]) -> str:
    """One line of the results."""
    accuracy, ebpg = (sum(values[key]) / len(SEEDS) for key in ("accuracy", "ebpg"))
    return f"{name}: accuracy {accuracy:.1%}, EBPG {ebpg:.3f}, overlap of the two {values['stability']:.3f}"


def main() -> None:
    """Train and judge every change; each is written down as soon as it is known."""
    torch.set_num_threads(1)
    data = open_data("digits").held_out
    found: dict[str, Any] = {}
    for name, change in CHANGES.items():
        found[name] = judged(change, data)
        typer.echo(sentence(name, found[name]))
        REMEDIES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    SCRATCH.mkdir(parents=True, exist_ok=True)
    typer.run(main)
