"""Measurements: every method, metric and Shapley estimator on three networks, with two images each, in few numbers.

The only place of the golden numbers that knows the core: where its names move, they are followed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cam_core import (
    METHODS,
    METRICS,
    SAMPLES,
    CamError,
    Classifier,
    Explanation,
    evaluate,
    explain,
    explain_batch,
    load_model,
)
from cam_core.analysis.channels import channel_fidelity
from cam_core.metrics.curves.points import Curves, add_point, curve_points
from cam_core.shapley import ESTIMATORS, ChannelEstimate, channel_shap
from cam_core.training.digits import DigitsSet

Record = dict[str, Any]
"""Of one result: numbers, names, or summaries of arrays, which are records themselves."""

Images = Mapping[str, Image.Image]

SEED = 3

# So little work that all of it takes seconds; what a parameter's value means is tested elsewhere.
METHOD_PARAMS: Mapping[str, Mapping[str, Any]] = {
    "ss-cam": {"samples": 2},
    "is-cam": {"steps": 2},
    "owen-cam": {"budget": 16},
    "shap": {"budget": 64},
    "lime-cam": {"samples": 64},
    "shap-cam": {"permutations": 4},
    "opti-cam": {"steps": 4},
}
METRIC_PARAMS: Mapping[str, Mapping[str, Any]] = {
    "deletion-auc": {"steps": 8},
    "insertion-auc": {"steps": 8},
    "road": {"spacing": 40},
    "road-morf": {"spacing": 40},
    "road-lerf": {"spacing": 40},
    "arcc": {"spacing": 40},
    "max-sensitivity": {"samples": 3},
    "infidelity": {"samples": 8},
    "parameter-randomisation": {"steps": 2},
}
CURVE_STEPS = 6

# They push one image per channel, or several, through most of the network: at a layer that has few channels.
PER_CHANNEL = ("score-cam", "ss-cam", "is-cam", "shap")
# The same per position: at a layer that has few positions.
PER_POSITION = ("shap-cam",)


@dataclass(frozen=True)
class Network:
    """One network and where it is looked at.

    Attributes:
        layers: where every method is asked; the default, and one with a longer tail.
        narrow: a layer of few channels, for the methods `PER_CHANNEL`.
        images: by name.
        budget: tail passes of an estimator.
    """

    weights: str
    layers: tuple[str, str]
    narrow: str
    images: Callable[[], Images]
    budget: int = 32


def photos() -> dict[str, Image.Image]:
    """Of the gallery: one that the bundled network is sure of, and one where it wavers between kinds of cat."""
    return {sample.key: sample.open() for sample in SAMPLES if sample.key in ("dog", "chelsea")}


def digits() -> dict[str, Image.Image]:
    """Two images of the kind that the bundled digit networks know, unseen in training."""
    pixels = DigitsSet("held-out", count=2).images.transpose(0, 2, 3, 1)
    return {f"digit{i}": Image.fromarray(image) for i, image in enumerate(pixels)}


NETWORKS: Mapping[str, Network] = {
    "efficientnet_lite0": Network("default", ("bn2", "blocks.5"), "blocks.1", photos),
    # Max-pooling and concatenation behind `features.7`, and a ReLU between the last layer and the pooling.
    "squeezenet1_1": Network("random", ("features.12", "features.7"), "features.1", photos),
    "lfi_digits": Network("default", ("attended", "features"), "features.layer1", digits, budget=256),
}


@cache
def _pattern(size: int) -> npt.NDArray[np.float64]:
    """Fixed for good: numpy promises that the stream of its legacy generator never changes."""
    return np.random.RandomState(SEED).standard_normal(size)


def summary(values: npt.ArrayLike) -> Record:
    """Four numbers that tell one array from another.

    `projection` is the product with a fixed pattern, over √n to be of the order of the root mean square: what moves
    within the array moves it too. The place of the maximum is left out: it jumps where two values are nearly equal.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    finite = np.isfinite(array)
    known = np.where(finite, array, 0)
    record: Record = {
        "max": float(known.max()),
        "mean": float(known.mean()),
        "projection": float(known @ _pattern(len(known)) / np.sqrt(len(known))),
        "rms": float(np.sqrt((known**2).mean())),
    }
    return record if finite.all() else record | {"unknown": int((~finite).sum())}


def of_explanation(explanation: Explanation) -> Record:
    """Everything but what says how long it took, where, and in which words."""
    arrays = {
        "map": explanation.map,
        "saliency": explanation.saliency,
        "coefficients": explanation.coefficients,
        "stderr": explanation.stderr,
    }
    arrays |= {f"extras {name}": values for name, values in explanation.extras.items()}
    return {
        "target": explanation.target,
        "score": explanation.score,
        "probability": explanation.probability,
        "passes": list(explanation.passes),
        "warnings": len(explanation.warnings),
        **{name: summary(values) for name, values in arrays.items() if values is not None},
    }


def of_estimate(estimate: ChannelEstimate) -> Record:
    return {
        "target": estimate.target,
        "passes": estimate.passes,
        "repetitions": estimate.repetitions,
        "dead": estimate.dead,
        "v_all": estimate.v_all,
        "v_empty": estimate.v_empty,
        "sum": float(estimate.phi.sum()),
        "phi": summary(estimate.phi),
        "stderr": summary(estimate.stderr),
    }


def measure(name: str) -> dict[str, Record]:
    """Everything of one network, by "network · layer · image · what"."""
    network = NETWORKS[name]
    clf = load_model(name, weights=network.weights, device="cpu")
    images = network.images()
    records = {**_methods(clf, network, images), **_metrics(clf, network, images), **_shap(clf, network, images)}
    return {f"{name} · {place}": record for place, record in records.items()}


def _or_refusal(measured: Callable[..., Any], *arguments: Any) -> Any:
    """The measurement, or the kind of error by which the core refuses it: part of what it promises."""
    try:
        return measured(*arguments)
    except CamError as error:
        return {"refused": type(error).__name__}


def _methods(clf: Classifier, network: Network, images: Images) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for key in METHODS:
        for layer, names in _places(key, network, list(images)):
            measured = _or_refusal(_explained, clf, [images[name] for name in names], key, layer)
            for place, name in enumerate(names):
                record = measured[place] if isinstance(measured, list) else measured
                records[f"{layer or 'its layers'} · {name} · {key}"] = record
    return records


def _places(key: str, network: Network, names: list[str]) -> list[tuple[str | None, list[str]]]:
    """Layers with the images that a method explains there: at each layer one of the two where a method is expensive."""
    default, longer = network.layers
    if METHODS[key].multi_layer:
        return [(None, names)]
    if key in PER_CHANNEL:
        return [(network.narrow, names[:1])]
    if key in PER_POSITION:
        return [(default, names[:1])]
    if METHODS[key].expensive:
        return [(default, names[:1]), (longer, names[1:])]
    return [(default, names), (longer, names)]


def _explained(clf: Classifier, images: list[Image.Image], key: str, layer: str | None) -> list[Record]:
    explanations = explain_batch(clf, images, method=key, layer=layer, seed=SEED, **METHOD_PARAMS.get(key, {}))
    return [of_explanation(explanation) for explanation in explanations]


def _metrics(clf: Classifier, network: Network, images: Images) -> dict[str, Record]:
    """All of them, and the points of two curves, for the maps of Grad-CAM."""
    records: dict[str, Record] = {}
    for name, image in images.items():
        place = f"{network.layers[0]} · {name}"
        explanation = explain(clf, image, method="grad-cam")
        for key in METRICS:
            records[f"{place} · metric {key}"] = _or_refusal(_evaluated, clf, image, explanation, key)
        records[f"{place} · curves"] = _or_refusal(_curves, clf, image, explanation)
    return records


def _evaluated(clf: Classifier, image: Image.Image, explanation: Explanation, key: str) -> Record:
    """The object is said to fill the left of the image, and another one the right."""
    height, width = clf.input_size
    regions = {"region": [[0, 0, width // 2, height]], "other_region": [[width // 2, 0, width, height]]}
    result = evaluate(clf, image, explanation, metric=key, seed=SEED, **regions, **METRIC_PARAMS.get(key, {}))
    return {"value": result.value, "warnings": len(result.warnings)}


def _curves(clf: Classifier, image: Image.Image, explanation: Explanation) -> Record:
    curves: Curves = {}
    for point in curve_points(clf, image, {"": explanation}, kinds=("deletion", "insertion"), steps=CURVE_STEPS):
        add_point(curves, point)
    return {
        kind: {"area": curve.auc} | {f"point {i}": float(value) for i, value in enumerate(curve.values)}
        for (_, kind), curve in curves.items()
    }


def _shap(clf: Classifier, network: Network, images: Images) -> dict[str, Record]:
    """All estimators where the tail is long, exact values where it may have a closed form, and a channel report."""
    default, longer = network.layers
    name, image = next(iter(images.items()))
    records = {
        f"{longer} · {name} · estimator {key}": _or_refusal(_estimated, clf, image, longer, key, network.budget)
        for key in ESTIMATORS
    }
    for name, image in images.items():
        records[f"{default} · {name} · estimator exact"] = _or_refusal(
            _estimated, clf, image, default, "exact", network.budget
        )
        records[f"{longer} · {name} · channel report"] = _or_refusal(_report, clf, image, longer, network.budget)
    return records


def _estimated(clf: Classifier, image: Image.Image, layer: str, estimator: str, budget: int) -> Record:
    return of_estimate(
        channel_shap(clf, image, layer=layer, target=None, estimator=estimator, budget=budget, seed=SEED)
    )


def _report(clf: Classifier, image: Image.Image, layer: str, budget: int) -> Record:
    """How alike Grad-CAM's coefficients and the SHAP values of the same channels are."""
    estimate = channel_shap(clf, image, layer=layer, target=None, estimator="owen", budget=budget, seed=SEED)
    explanation = explain(clf, image, method="grad-cam", layer=layer, target=estimate.target)
    assert explanation.coefficients is not None
    return asdict(channel_fidelity(explanation.coefficients, estimate))
