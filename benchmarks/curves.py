"""Deletion and insertion curves beside torchcam's metric, at equal steps; and the wait for a first point.

    python benchmarks/curves.py
    python benchmarks/curves.py --device cuda --network resnet50 --network vgg16

torchcam computes both curves of one map at once, so both are timed; the areas are compared too.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import typer
from torch import Tensor, nn
from torchcam.metrics import DeletionInsertionMetric

from benchmarks.common import machine, median, publish, side_by_side
from cam_core import Classifier, evaluate, explain, load_model
from cam_core.images import sample
from cam_core.metrics.curves.points import curve_points

KINDS = ("deletion", "insertion")
PEER = "torchcam"


class GivenMap:
    """A torchcam extractor that returns the map it was given: explaining is not what is timed."""

    def __init__(self, model: nn.Module, saliency: Tensor) -> None:
        self.model, self._saliency = model, saliency

    def __call__(self, class_idx: object, scores: Tensor, normalized: bool = True) -> list[Tensor]:
        return [self._saliency[None]]

    def fuse_cams(self, cams: list[Tensor]) -> Tensor:
        return cams[0]

    def _hooks_off(self) -> AbstractContextManager[None]:
        return nullcontext()


def by_peer(module: nn.Module, image: Tensor, saliency: Tensor, target: int, steps: int) -> tuple[float, ...]:
    """Both areas by torchcam, onto and from zeros."""
    metric = DeletionInsertionMetric(GivenMap(module, saliency), partial(torch.softmax, dim=-1), steps=steps)
    metric.update(image[None], target)
    return tuple(metric.summary()[f"{kind}_auc"] for kind in KINDS)


def by_us(clf: Classifier, image: Tensor, saliency: Tensor, target: int, steps: int, **how: Any) -> tuple[float, ...]:
    """Both areas by `evaluate`, at the peer's settings."""
    params = {"steps": steps, "baseline": "zero"}
    return tuple(
        evaluate(clf, image, saliency, metric=f"{kind}-auc", target=target, **params, **how).value for kind in KINDS
    )


def first_point(clf: Classifier, image: Tensor, saliency: Tensor) -> float:
    """The value of the first point that had to be computed: those of the untouched image come before it."""
    points = curve_points(clf, image, {"map": saliency}, kinds=KINDS)
    return [next(points) for _ in range(3)][-1].value


def compare(network: str, device: str, steps: int, runs: int, compiled: bool) -> dict[str, Any]:
    """Times and values of one network."""
    clf = load_model(network, weights="default" if network == "efficientnet_lite0" else "random", device=device)
    photo = sample("dog").open()
    explanation = explain(clf, photo, method="grad-cam")
    image, saliency = clf.preprocess(photo).to(device), torch.from_numpy(explanation.saliency).to(device)
    module = copy.deepcopy(clf.module).eval().to(device)
    ours = partial(by_us, clf, image, saliency, explanation.target, steps)
    jobs: dict[str, Callable[[], Any]] = {
        PEER: partial(by_peer, module, image, saliency, explanation.target, steps),
        "float32": ours,
        "bfloat16": partial(ours, precision="bfloat16"),
    }
    if compiled:
        jobs |= {"float32, compiled": partial(ours, compiled=True)}
        jobs |= {"bfloat16, compiled": partial(ours, precision="bfloat16", compiled=True)}
    jobs["first point"] = partial(first_point, clf, image, saliency)
    values = {name: job() for name, job in jobs.items()}  # warms up, and compiles
    times = side_by_side(jobs, runs, device, warm=False)
    return {"network": network, "steps": steps, "values": values, "times": times}


def cells(record: dict[str, Any]) -> Iterator[list[Any]]:
    """One table line per way of computing the curves."""
    times, values = record["times"], record["values"]
    for name, taken in times.items():
        if name == "first point":
            yield [record["network"], name, median(taken), "", ""]
        else:
            gap = max(abs(a - b) for a, b in zip(values[name], values[PEER], strict=True))
            yield [record["network"], name, median(taken), f"{median(times[PEER]) / median(taken):.2f}×", gap]


def main(
    network: Annotated[list[str] | None, typer.Option(help="several times for several")] = None,
    device: str = "cpu",
    steps: int = 100,
    runs: int = 5,
    compiled: Annotated[bool, typer.Option(help="also with torch.compile")] = False,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "curves",
) -> None:
    """Time, compare, publish."""
    networks = network or ["efficientnet_lite0", "resnet18", "resnet50"]
    records = [compare(key, device, steps, runs, compiled) for key in networks]
    columns = ("network", "computed by", "seconds", f"speed of {PEER}", "largest difference of an AUC")
    rows = [line for record in records for line in cells(record)]
    publish(
        name, f"Deletion and insertion, {steps} steps", columns, rows, {"machine": machine(device), "runs": records}
    )


if __name__ == "__main__":
    typer.run(main)
