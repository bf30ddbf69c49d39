"""Everything that the core computes on a device, in small: numbers, to be compared with the CPU's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import nn

from cam_core import METHODS, METRICS, Classifier, Explanation, evaluate, explain, explain_batch
from cam_core.evaluation.folder import evaluate_folder
from cam_core.metrics.curves.frames import Film
from cam_core.metrics.curves.points import Curves, add_point, curve_points
from cam_core.models.trainable.lfi import ARCHITECTURES
from cam_core.shapley import ESTIMATORS, channel_shap, remove_channels
from cam_core.training import TrainSettings, train
from tests.contract import images, layers_for, quick, refuses
from tests.golden.measuring import METRIC_PARAMS
from tests.tiny import SIZE, TINY, tiny_classifier

Numbers = Mapping[str, Any]
"""Arrays and numbers by name; sentences under "warnings"."""

ROUNDING = 1e-4
BASELINES = ("zero", "mean", "blur", "noise")
HALVES = {"region": [[0, 0, SIZE[1] // 2, SIZE[0]]], "other_region": [[SIZE[1] // 2, 0, SIZE[1], SIZE[0]]]}

# A skip connection, batch norms and convolutions lie behind this layer.
LONG = ("residual", "relu1")


@dataclass(frozen=True)
class Scenario:
    """One use of the core.

    Attributes:
        run: (device, precision) → numbers.
        quick: whether it belongs to the few that `make test` runs: one network for each part of the contract.
        precise: whether it computes in a precision that the caller names.
        at_once: whether it trains: a step is one batch, so that no smaller one could be tried.
        rounding: how far rounding may move its numbers, as a share of the largest.
    """

    name: str
    run: Callable[[str, str], Numbers]
    quick: bool = True
    precise: bool = True
    at_once: bool = False
    rounding: float = ROUNDING


def scenarios() -> dict[str, Scenario]:
    """All of them by name."""
    listed = [*_methods(), *_metrics(), *_shapley(), *_curves(), *_training(), *_rest()]
    return {scenario.name: scenario for scenario in listed}


def _methods() -> list[Scenario]:
    """Every method at the last layer of every network that it applies to, and at a layer with a long tail."""
    places = [LONG, *((network, TINY[network].layers[-1]) for network in TINY)]
    return [
        Scenario(
            f"{key} · {network} · {layer}",
            partial(_explained, key, network, layer),
            quick=(network, layer) in _quick_places(key),
            # Adam makes a whole step of a gradient of nothing but rounding.
            rounding=0.1 if key == "opti-cam" else ROUNDING,
        )
        for key in METHODS
        for network, layer in places
        if not refuses(key, network, layer)
    ]


def _quick_places(key: str) -> list[tuple[str, str]]:
    if key == "lift-cam":
        return [LONG, ("max-pool", "features.3")]
    if not refuses(key, *LONG):
        return [LONG]
    return [("lfi", "attended")] if key == "lfi-cam" else [("plain", "features.3")]


def _explained(key: str, network: str, layer: str, device: str, precision: str) -> Numbers:
    made = explain(
        tiny_classifier(network, device=device),
        images(network)[0],
        method=key,
        layer=layers_for(key, network, layer),
        target=1,
        precision=precision,
        **quick(METHODS[key]),
    )
    assert made.device.partition(":")[0] == device
    return _numbers(made)


def _numbers(made: Explanation) -> Numbers:
    arrays = {"map": made.map, "saliency": made.saliency, "coefficients": made.coefficients, "stderr": made.stderr}
    known = {name: values for name, values in arrays.items() if values is not None}
    return {**known, **made.extras, "score": made.score, "probability": made.probability, "warnings": made.warnings}


def _metrics() -> list[Scenario]:
    return [Scenario(f"metric {key}", partial(_evaluated, key)) for key in METRICS]


def _evaluated(key: str, device: str, precision: str) -> Numbers:
    clf, image = tiny_classifier("residual", device=device), images("residual")[0]
    made = explain(clf, image, method="grad-cam", target=1, precision=precision)
    params = METRIC_PARAMS.get(key, {})
    result = evaluate(clf, image, made, metric=key, precision=precision, **HALVES, **params)
    return {"value": result.value, **result.extras, "warnings": result.warnings}


def _shapley() -> list[Scenario]:
    estimators = [Scenario(f"estimator {key}", partial(_estimated, key)) for key in (*ESTIMATORS, "exact")]
    return [*estimators, Scenario("channels removed", _removed)]


def _estimated(estimator: str, device: str, precision: str) -> Numbers:
    clf = tiny_classifier("residual", device=device)
    made = channel_shap(clf, images("residual")[0], layer=LONG[1], estimator=estimator, budget=64, precision=precision)
    return {"phi": made.phi, "stderr": made.stderr, "activations": made.activations, "probability": made.probability}


def _removed(device: str, precision: str) -> Numbers:
    clf = tiny_classifier("residual", device=device)
    made = remove_channels(clf, images("residual")[0], layer=LONG[1], target=1, order=[3, 0, 5], precision=precision)
    return {"logit": made.logit, "probability": made.probability}


def _curves() -> list[Scenario]:
    curves = [Scenario(f"curves to {baseline}", partial(_curve, baseline)) for baseline in BASELINES]
    return [*curves, Scenario("frames of a curve", _frames)]


def _curve(baseline: str, device: str, precision: str) -> Numbers:
    clf, image = tiny_classifier("residual", device=device), images("residual")[0]
    made = explain(clf, image, method="grad-cam", target=1, precision=precision)
    grown: Curves = {}
    options: dict[str, Any] = {"kinds": ("deletion", "insertion"), "steps": 6, "baseline": baseline}
    for point in curve_points(clf, image, {"": made}, precision=precision, **options):
        add_point(grown, point)
    return {kind: curve.values for (_, kind), curve in grown.items()}


def _frames(device: str, precision: str) -> Numbers:
    clf, image = tiny_classifier("residual", device=device), images("residual")[0]
    made = explain(clf, image, method="grad-cam", target=1, precision=precision)
    frames = Film(clf, image, {"": made}, kinds=("deletion", "insertion"), precision=precision).at(0.4)
    return {kind: frame.value for (_, kind), frame in frames.items()}


def _training() -> list[Scenario]:
    made = [
        Scenario(f"training {arch}", partial(_trained, arch), precise=False, at_once=True) for arch in ARCHITECTURES
    ]
    return [*made, Scenario("training goes on", _resumed, precise=False, at_once=True)]


def _trained(arch: str, device: str, precision: str) -> Numbers:
    with tempfile.TemporaryDirectory() as folder:
        return _history(_settings(arch, device, folder, epochs=1))


def _resumed(device: str, precision: str) -> Numbers:
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings("lfi", device, folder, epochs=2)
        train(settings, on_epoch=lambda report: True)
        return _history(settings)


def _settings(arch: str, device: str, folder: str, epochs: int) -> TrainSettings:
    return TrainSettings(
        out=Path(folder), arch=arch, backbone="resnet8", data="digits", size=32, count=24, batch_size=12,
        epochs=epochs, amp=False, device=device,
    )  # fmt: skip


def _history(settings: TrainSettings) -> Numbers:
    rows = [report.row() for report in train(settings).history]
    return {name: [row[name] for row in rows] for name in ("loss", "train_accuracy", "accuracy")}


def _rest() -> list[Scenario]:
    return [
        Scenario("predict", _predicted, precise=False),
        Scenario("several images at once", _together),
        Scenario("a network on the device", _on_the_device),
        Scenario("folder evaluation", _folder),
    ]


def _predicted(device: str, precision: str) -> Numbers:
    clf = tiny_classifier("residual", device=device)
    return {prediction.label: prediction.probability for prediction in clf.predict(images("residual")[0], top=None)}


def _together(device: str, precision: str) -> Numbers:
    clf = tiny_classifier("residual", device=device)
    made = explain_batch(clf, list(images("residual", 3)), method="lift-cam", layer=LONG[1], precision=precision)
    return {f"{name} {place}": value for place, each in enumerate(made) for name, value in _numbers(each).items()}


def _on_the_device(device: str, precision: str) -> Numbers:
    """The user's module is there already."""
    module: nn.Module = tiny_classifier("residual").module.to(device)
    clf = Classifier(module, input_size=SIZE, default_layer=LONG[1], device=device)
    return _numbers(explain(clf, images("residual")[0].to(device), method="grad-cam", target=1, precision=precision))


def _folder(device: str, precision: str) -> Numbers:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "noise.png")
        clf = tiny_classifier("residual", device=device)
        options: dict[str, Any] = {"methods": ["grad-cam"], "metrics": ["average-drop"], "out": folder / "table"}
        steps = list(evaluate_folder(clf, folder, precision=precision, **options))
        return {row.metric: row.value for step in steps for row in step.rows}


def deviation(there: Numbers, here: Numbers) -> float:
    """The largest difference between two results, as a share of the largest value under the same name.

    Standard errors are compared as a share of what they are the errors of: they may be nothing but rounding.
    """
    assert there.keys() == here.keys()
    sizes = {name: _largest(here[name]) for name in here if not name.startswith("warnings")}
    for name in sizes:
        if name.startswith("stderr"):
            sizes[name] = max(sizes[other] for other in sizes if other.startswith(("phi", "coefficients", "map")))
    return max(_distance(there[name], here[name]) / max(size, 1e-6) for name, size in sizes.items())


def _distance(there: Any, here: Any) -> float:
    a, b = _array(there), _array(here)
    assert a.shape == b.shape and np.array_equal(np.isnan(a), np.isnan(b))
    return _largest(np.nan_to_num(a) - np.nan_to_num(b))


def _largest(values: Any) -> float:
    return float(np.abs(np.nan_to_num(_array(values))).max(initial=0.0))


def _array(values: Any) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def sentences(numbers: Numbers) -> list[str]:
    """What a result says in words."""
    return [sentence for name in numbers if name.startswith("warnings") for sentence in numbers[name]]
