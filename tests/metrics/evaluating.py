"""A program to be killed while it evaluates a folder: `python -m tests.metrics.evaluating FOLDER TABLE HOLD_AT`.

It waits for that once HOLD_AT images are done.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from cam_core.evaluation.folder import Step, evaluate_folder
from tests.tiny import tiny_classifier

METHODS = ("grad-cam", "random", "fake-cam", "cam")
METRICS = ("average-drop", "deletion-auc", "road", "coherency", "max-box-acc", "infidelity")


def evaluating(folder: Path, out: Path, **arguments: Any) -> Iterator[Step]:
    """On the residual network, at a layer that `cam` refuses."""
    quick = {"deletion-auc": {"steps": 8}, "road": {"spacing": 25}, "infidelity": {"samples": 8}}
    settings: dict[str, Any] = {
        "methods": METHODS,
        "metrics": METRICS,
        "out": out,
        "layer": "relu1",
        "ground_truth": folder / "boxes.json",
        "metric_params": {key: values for key, values in quick.items() if key in arguments.get("metrics", METRICS)},
    }
    return evaluate_folder(tiny_classifier("residual"), folder, **settings | arguments)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for step in evaluating(Path(sys.argv[1]), Path(sys.argv[2])):
        time.sleep(600 if step.done == int(sys.argv[3]) * len(METHODS) else 0.01)
