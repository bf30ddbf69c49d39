"""The pieces of a folder's evaluation, each beside the slower way to the same numbers.

    python -m benchmarks.evaluation
    python -m benchmarks.evaluation --network resnet50 --device cuda

- ROAD's imputation, all masks of one map, beside a direct solver for sparse systems, one mask at a time;
- several metrics of one map together beside one by one;
- Opti-CAM over several images together beside one at a time, where it takes several: on a GPU.

What is compared is also checked: the largest difference between the two ways is in the table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks.common import machine, median, publish, side_by_side
from cam_core import METHODS, METRICS, SAMPLES, Classifier, evaluate, explain, explain_batch, load_model
from cam_core.explain import images_at_once
from cam_core.metrics import evaluate_many
from cam_core.metrics.imputation import imputed
from cam_core.metrics.road import removal_masks
from tests.literal.imputation import impute

# Those of the app's table that ask for no more than a pass or an explanation each.
EIGHT = (
    "average-drop",
    "average-increase",
    "average-gain",
    "average-drop-in-deletion",
    "complexity",
    "sparseness",
    "coherency",
    "adcc",
)
FAMILIES: dict[str, Sequence[str]] = {
    "four of the masked image": EIGHT[:4],
    "the app's six quick ones": EIGHT[:6],
    "eight": EIGHT,
    "ROAD's three": ("road", "road-morf", "road-lerf"),
}

Pair = tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], float]]


def imputation(clf: Classifier, method: str) -> Pair:
    """All masks of one map at the default percentiles, most and least relevant first."""
    photo = SAMPLES[0].open()
    image = clf.preprocess(photo).double()
    saliency = torch.from_numpy(explain(clf, photo, method=method).saliency).double()
    masks = torch.stack([mask for first in (True, False) for mask in removal_masks(saliency, 10, first)])

    def one_by_one() -> Tensor:
        return torch.from_numpy(np.stack([impute(image.numpy(), mask.numpy()) for mask in masks]))

    return one_by_one, partial(imputed, image, masks), lambda slow, fast: float((slow - fast).abs().max())


def metrics(clf: Classifier, keys: Sequence[str]) -> Pair:
    """Metrics of one Grad-CAM map."""
    photo = SAMPLES[0].open()
    made = explain(clf, photo, method="grad-cam")

    def one_by_one() -> list[float]:
        return [evaluate(clf, photo, made, metric=key).value for key in keys]

    def together() -> list[float]:
        return [result.value for result in evaluate_many(clf, photo, made, metrics=keys)]

    return one_by_one, together, lambda slow, fast: max(_gap(key, *v) for key, *v in zip(keys, slow, fast, strict=True))


def _gap(key: str, one: float, other: float) -> float:
    """Per cent as a share."""
    return abs(one - other) / (100 if METRICS[key].unit == "%" else 1)


def opti_cam(clf: Classifier, count: int, steps: int) -> Pair:
    """Opti-CAM of the sample photos, over and over."""
    photos = [SAMPLES[place % len(SAMPLES)].open() for place in range(count)]
    how: dict[str, Any] = {"method": "opti-cam", "steps": steps, "early_stop": False}

    def apart(slow: Any, fast: Any) -> float:
        return max(float(np.abs(a.saliency - b.saliency).max()) for a, b in zip(slow, fast, strict=True))

    return lambda: [explain(clf, photo, **how) for photo in photos], lambda: explain_batch(clf, photos, **how), apart


def compare(network: str, device: str, runs: int, images: int, steps: int) -> list[dict[str, Any]]:
    """Every pair, in turn."""
    clf = load_model(network, weights="default" if network == "efficientnet_lite0" else "random", device=device)
    jobs: dict[str, Pair] = {
        "imputation, map of Grad-CAM": imputation(clf, "grad-cam"),
        "imputation, map of the control": imputation(clf, "random"),
        **{f"metrics: {name}": metrics(clf, keys) for name, keys in FAMILIES.items()},
    }
    if images_at_once(METHODS["opti-cam"], clf.device) > 1:
        jobs[f"Opti-CAM, {images} images, {steps} steps"] = opti_cam(clf, images, steps)
    return [_compared(network, name, pair, runs, device) for name, pair in jobs.items()]


def _compared(network: str, name: str, pair: Pair, runs: int, device: str) -> dict[str, Any]:
    slow, fast, apart = pair
    difference = apart(slow(), fast())  # warms up, too
    times = side_by_side({"one by one": slow, "together": fast}, runs, device, warm=False)
    return {"network": network, "job": name, "difference": difference, "times": times}


def cells(record: dict[str, Any]) -> list[Any]:
    """One line of the table."""
    slow, fast = (median(record["times"][way]) for way in ("one by one", "together"))
    return [record["network"], record["job"], slow, fast, f"{slow / fast:.1f}×", record["difference"]]


def main(
    network: str = "efficientnet_lite0",
    device: str = "cpu",
    runs: int = 5,
    images: Annotated[int, typer.Option(help="of Opti-CAM")] = 16,
    steps: Annotated[int, typer.Option(help="of Opti-CAM")] = 4,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "evaluation",
) -> None:
    """Time, compare, publish."""
    records = compare(network, device, runs, images, steps)
    columns = ("network", "job", "seconds one by one", "seconds together", "speed", "largest difference")
    rows = [cells(record) for record in records]
    publish(name, "Pieces of an evaluation", columns, rows, {"machine": machine(device), "runs": records})


if __name__ == "__main__":
    typer.run(main)
