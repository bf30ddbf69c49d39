"""What every registered metric keeps to, whatever it measures."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cam_core import METRICS, Cancelled, Classifier, evaluate, evaluate_batch, explain, explain_batch
from cam_core.metrics import MetricResult, Scores, evaluate_many, metric
from cam_core.types import MetricError
from tests.metrics.scenes import random_maps, scene
from tests.tiny import SIZE, tiny_classifier, tiny_images

# Few samples: what is tested here does not depend on their number.
QUICK: dict[str, dict[str, Any]] = {
    "deletion-auc": {"steps": 12},
    "insertion-auc": {"steps": 12},
    "road": {"spacing": 25},
    "road-morf": {"spacing": 25},
    "road-lerf": {"spacing": 25},
    "arcc": {"spacing": 25},
    "max-box-acc": {"thresholds": 10},
    "max-sensitivity": {"samples": 2},
    "infidelity": {"samples": 10},
    "parameter-randomisation": {"steps": 2},
}
NETWORKS = ("residual", "squeeze-excite", "untraceable")
REGION, OTHER = [[2, 2, 9, 9]], [[10, 3, 15, 15]]


def evaluate_any(clf: Classifier, images: Tensor, maps: Any, key: str, **arguments: Any) -> list[MetricResult]:
    """Any metric, given all that any metric may need."""
    count = len(images)
    grey: list[Any] = [lambda image: image.mean(0).sigmoid()] * count
    network: list[Any] = [lambda changed: changed.module.state_dict()["fc.weight"][0, 0].sigmoid() * torch.ones(SIZE)]
    needs = {
        "regions": [REGION] * count,
        "other_regions": [OTHER] * count,
        "explain_again": grey,
        "explain_with": network * count,
    }
    return evaluate_batch(clf, list(images), list(maps), metric=key, **needs | QUICK.get(key, {}) | arguments)


@pytest.mark.parametrize("key", METRICS)
def test_the_entry_says_what_it_is(key: str) -> None:
    entry = METRICS[key]
    assert entry.key == key
    assert all((entry.title, entry.plain, entry.source, entry.formula, entry.edge_cases, entry.cost))
    assert entry.title not in entry.plain, "the plain name is another one"
    assert entry.direction in ("higher", "lower")
    assert entry.range[0] < entry.range[1]
    assert bool(entry.details) == (entry.pool is not None)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("key", METRICS)
def test_values_are_in_range_and_do_not_depend_on_the_batch(key: str, network: str) -> None:
    clf, images, maps, _ = scene(network, count=4)
    together = evaluate_any(clf, images, maps, key)
    alone = [evaluate_any(clf, images[i : i + 1], maps[i : i + 1], key)[0] for i in range(4)]
    low, high = METRICS[key].range
    for batched, single in zip(together, alone, strict=True):
        assert low <= batched.value <= high
        assert batched.value == pytest.approx(single.value, rel=1e-4, abs=1e-5)
        assert batched.metric == key
        for name, values in batched.extras.items():
            np.testing.assert_allclose(values, single.extras[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("key", METRICS)
def test_same_seed_same_value(key: str) -> None:
    clf, images, maps, _ = scene(count=1)
    value, again, reseeded = (evaluate_any(clf, images, maps, key, seed=s)[0].value for s in (3, 3, 4))
    assert value == again
    assert METRICS[key].stochastic or value == reseeded


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("key", METRICS)
def test_a_constant_map_has_a_value(key: str, level: float) -> None:
    clf, images, _, _ = scene(count=1)
    result = evaluate_any(clf, images, torch.full((1, *SIZE), level), key)[0]
    assert math.isfinite(result.value)
    assert all(np.isfinite(values).all() for values in result.extras.values())


@pytest.mark.parametrize("key", METRICS)
def test_a_map_of_any_origin(key: str) -> None:
    """NumPy or torch, float32 or float64, a list: the values are what counts."""
    clf, images, maps, _ = scene(count=1)
    forms = (maps[0], maps[0].double(), maps[0].numpy(), maps[0].tolist())
    values = [evaluate_any(clf, images, [form], key)[0].value for form in forms]
    assert values == [values[0]] * 4


@pytest.mark.parametrize("key", [key for key, entry in METRICS.items() if entry.uses_network])
def test_progress_ends_where_it_said_and_may_stop_the_work(key: str) -> None:
    clf, images, maps, _ = scene(count=2)
    seen: list[tuple[int, int]] = []
    evaluate_any(clf, images, maps, key, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1] > 0

    def stop(done: int, total: int) -> None:
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_any(clf, images, maps, key, progress=stop)


@pytest.mark.parametrize("key", [key for key, entry in METRICS.items() if entry.needs])
def test_what_is_missing_is_named(key: str) -> None:
    clf, images, maps, _ = scene(count=1)
    with pytest.raises(MetricError, match=f"{key} needs .*pass {METRICS[key].needs[0]}="):
        evaluate(clf, images[0], maps[0], metric=key)


@pytest.mark.parametrize(
    ("saliency", "message"),
    [
        (torch.zeros(7, 7), "the map is 7 × 7 but the network sees 16 × 16"),
        (torch.full(SIZE, 1.5), "ranges from 1.5 to 1.5"),
        (torch.full(SIZE, -0.1), "must lie in"),
        (torch.full(SIZE, math.nan), "NaN or infinite"),
    ],
)
def test_what_is_no_map_is_refused(saliency: Tensor, message: str) -> None:
    clf, images, _, _ = scene(count=1)
    with pytest.raises(MetricError, match=message):
        evaluate(clf, images[0], saliency, metric="complexity")


def test_unknown_names_are_refused() -> None:
    clf, images, maps, _ = scene(count=1)
    with pytest.raises(MetricError, match="unknown metric 'drop'; there are: average-drop"):
        evaluate(clf, images[0], maps[0], metric="drop")
    with pytest.raises(MetricError, match="complexity has no parameter 'steps'; it has: none"):
        evaluate(clf, images[0], maps[0], metric="complexity", steps=3)
    with pytest.raises(MetricError, match=r"keep_top=2 is out of range"):
        evaluate(clf, images[0], maps[0], metric="average-drop", keep_top=2)
    with pytest.raises(MetricError, match="1 images but 2 targets"):
        evaluate_batch(clf, list(images), list(maps), metric="complexity", targets=[1, 2])


def test_a_metric_declares_its_parameters_once() -> None:
    texts = dict.fromkeys(("title", "plain", "source", "formula", "edge_cases", "cost"), "text")
    declaration: dict[str, Any] = {"direction": "higher", "range": (0, 1), **texts}

    def undeclared(net: object, batch: object, run: object, steps: int) -> Scores:
        raise AssertionError("never called")

    with pytest.raises(MetricError, match="new takes 'steps' without declaring it: steps: Annotated"):
        metric("new", **declaration)(undeclared)
    assert "new" not in METRICS
    with pytest.raises(MetricError, match="'complexity' is registered twice"):
        metric("complexity", **declaration)(lambda net, batch, run: Scores(torch.zeros(1)))


def test_the_class_comes_from_the_target_the_explanation_or_the_network() -> None:
    clf, images, maps, targets = scene(count=1)
    least = int(clf.logits(images).argmin())
    made = explain(clf, images[0], method="grad-cam", target=least)
    by_name = evaluate(clf, images[0], made.saliency, metric="average-drop", target=f"class {least}")
    assert evaluate(clf, images[0], made, metric="average-drop").value == by_name.value
    assert evaluate(clf, images[0], made, metric="average-drop", target=targets[0]).value != by_name.value
    probable = evaluate(clf, images[0], maps[0], metric="average-drop")
    assert probable.value == evaluate(clf, images[0], maps[0], metric="average-drop", target=targets[0]).value


def test_bfloat16_is_near_float32() -> None:
    clf, images, maps, _ = scene("plain", count=2)
    exact, rough = (evaluate_any(clf, images, maps, "deletion-auc", precision=p) for p in ("float32", "bfloat16"))
    for in_float32, in_bfloat16 in zip(exact, rough, strict=True):
        assert in_float32.value == pytest.approx(in_bfloat16.value, abs=2e-2)


@pytest.mark.parametrize("network", ["max-pool", "squeeze-excite"])
def test_fake_cam_wins_drop_and_increase_but_not_gain(network: str) -> None:
    """All but one pixel: it hardly drops and often rises by a hair, but gains next to nothing: hence average gain."""
    clf, images = tiny_classifier(network), list(tiny_images(24, seed=7))
    made = {
        method: explain_batch(clf, images, method=method) for method in ("fake-cam", "grad-cam", "layer-cam", "random")
    }

    def means(key: str) -> dict[str, float]:
        return {
            m: float(np.mean([r.value for r in evaluate_batch(clf, images, e, metric=key)])) for m, e in made.items()
        }

    drop, increase, gain = (means(key) for key in ("average-drop", "average-increase", "average-gain"))
    assert min(drop, key=drop.__getitem__) == "fake-cam"
    assert drop["fake-cam"] < 0.2 * drop["grad-cam"]
    assert max(increase, key=increase.__getitem__) == "fake-cam"
    assert increase["fake-cam"] > 30
    assert gain["fake-cam"] < min(1, gain["grad-cam"], gain["layer-cam"])


def test_maps_are_not_written_to() -> None:
    clf, images, maps, _ = scene(count=1)
    before = random_maps(1)
    for key in METRICS:
        evaluate_any(clf, images, maps[:1], key)
    assert torch.equal(maps[:1], before)


@pytest.mark.gpu
@pytest.mark.parametrize("key", METRICS)
def test_the_gpu_agrees(key: str) -> None:
    cpu, images, maps, _ = scene(count=2)
    gpu = Classifier(cpu.module, input_size=cpu.input_size, default_layer=cpu.default_layer, device="cuda")
    on_cpu, on_gpu = (evaluate_any(clf, images, maps, key)[0].value for clf in (cpu, gpu))
    assert on_cpu == pytest.approx(on_gpu, rel=1e-2, abs=1e-3)


def test_several_metrics_of_one_map_are_those_of_each_alone() -> None:
    clf, images, _, targets = scene(count=1)
    explanation = explain(clf, images[0], method="grad-cam", target=targets[0])
    keys = ["average-drop", "sparseness", "coherency"]
    reports: list[tuple[int, int]] = []
    results = list(
        evaluate_many(clf, images[0], explanation, metrics=keys, progress=lambda *report: reports.append(report))
    )
    assert [result.metric for result in results] == keys
    assert [result.value for result in results] == [
        evaluate(clf, images[0], explanation, metric=key).value for key in keys
    ]
    assert reports[-1] == (3000, 3000)
    assert all(before <= after for before, after in pairwise(reports))


def test_a_metric_that_fails_leaves_the_others() -> None:
    clf, images, maps, targets = scene(count=1)
    lacking, fine = evaluate_many(clf, images[0], maps[0], metrics=["coherency", "sparseness"], target=targets[0])
    assert math.isnan(lacking.value) and "coherency needs" in lacking.warnings[0]
    assert fine.value > 0


def test_cancelling_several_metrics_stops_them() -> None:
    clf, images, maps, targets = scene(count=1)

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        next(evaluate_many(clf, images[0], maps[0], metrics=["infidelity"], target=targets[0], progress=cancel))
