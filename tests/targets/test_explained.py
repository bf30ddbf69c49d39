"""Other targets than classes, explained: by linearity, by hand, and by slow computations in float64."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cam_core import METHODS, Classifier, evaluate, explain, explain_batch
from cam_core.metrics.curves.points import add_point, curve_points
from cam_core.models.tails import is_pooled_linear
from cam_core.shapley import channel_shap
from cam_core.targets import Custom, Difference, Negative, Probability, Similarity, Sum, TargetScore, Value
from cam_core.targets.asking import Asked
from cam_core.types import MethodError, MetricError, TargetError
from tests.tiny import CLASSES, SIZE, tiny_classifier, tiny_images

CUTS = [("plain", "features.1"), ("residual", "relu1"), ("squeeze-excite", "stem"), ("max-pool", "features.1"),
        ("untraceable", "conv2")]  # fmt: skip
LINEAR: list[tuple[Any, dict[int, float]]] = [
    (Difference(1, 3), {1: 1, 3: -1}),
    (Negative("class 2"), {2: -1}),
    (Sum(0, 2, 4), {0: 1, 2: 1, 4: 1}),
    ("class 4 - class 0", {4: 1, 0: -1}),
]


def logit_difference(logits: Tensor) -> Tensor:
    return logits[:, 1] - logits[:, 3]


def combined(values: dict[int, Any], weights: dict[int, float]) -> Any:
    return sum(weight * values[index] for index, weight in weights.items())


@pytest.mark.parametrize(("key", "layer"), CUTS)
@pytest.mark.parametrize("method", ["lift-cam", "grad-cam"])
def test_coefficients_are_linear_in_the_target(key: str, layer: str, method: str) -> None:
    clf, image = tiny_classifier(key), tiny_images(1)
    by_class = {c: explain(clf, image, method=method, layer=layer, target=c) for c in range(CLASSES)}
    for target, weights in LINEAR:
        made = explain(clf, image, method=method, layer=layer, target=target)
        expected = combined({c: each.coefficients for c, each in by_class.items()}, weights)
        np.testing.assert_allclose(made.coefficients, expected, atol=1e-5)
        assert made.score == pytest.approx(combined({c: e.score for c, e in by_class.items()}, weights), abs=1e-5)
        assert made.probability is None


@pytest.mark.parametrize("estimator", ["owen", "permutation", "exact"])
def test_shap_values_are_linear_in_the_target(estimator: str) -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)

    def phi(target: Any) -> Tensor:
        return channel_shap(clf, image, layer="relu1", target=target, estimator=estimator, budget=64, seed=3).phi

    by_class = {c: phi(c) for c in range(CLASSES)}
    for target, weights in LINEAR:
        torch.testing.assert_close(phi(target), combined(by_class, weights), atol=1e-5, rtol=0)


def test_closed_form_stays_where_the_target_is_linear() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)
    assert is_pooled_linear(Asked(clf, Difference(1, 3)).split().halves)
    assert not is_pooled_linear(Asked(clf, Probability(1)).split().halves)
    weight = clf.module.fc.weight.detach().double()
    means = clf.module.features(image).detach().double().mean((2, 3))[0]
    estimate = channel_shap(clf, image, target=Difference(1, 3))
    assert estimate.exact
    torch.testing.assert_close(estimate.phi, (weight[1] - weight[3]) * means, atol=1e-5, rtol=0)
    made = explain(clf, image, method="cam", target=Difference(1, 3))
    np.testing.assert_allclose(made.coefficients, weight[1] - weight[3], atol=1e-6)


def plain_parts(clf: Classifier, image: Tensor) -> tuple[Tensor, Tensor, int]:
    """The linear layer's weights, the logits, and the number of positions behind which they are; in float64."""
    net = copy.deepcopy(clf.module).double()
    with torch.no_grad():
        acts = net.features(image.double())
        return net.fc.weight.detach(), net(image.double())[0], acts.shape[2] * acts.shape[3]


def test_gradient_of_a_probability_is_that_of_the_formula() -> None:
    """dp_c/dA_k = p_c · Σ_j (δ_cj − p_j) W_jk / (h w) at every position."""
    clf, image = tiny_classifier("plain"), tiny_images(1)
    weight, logits, positions = plain_parts(clf, image)
    exponentials = [float(torch.exp(value)) for value in logits]
    p = [value / sum(exponentials) for value in exponentials]
    expected = [
        sum(p[2] * ((j == 2) - p[j]) * float(weight[j, k]) for j in range(CLASSES)) / positions for k in range(8)
    ]
    made = explain(clf, image, method="grad-cam", target="p(class 2)")
    np.testing.assert_allclose(made.coefficients, expected, atol=1e-7)
    assert made.score == made.probability == pytest.approx(p[2], abs=1e-6)
    assert made.target == "p(2)" and made.label == "probability of class 2"


def test_lift_cam_is_complete_where_the_target_is_not_linear() -> None:
    clf, images = tiny_classifier("residual"), tiny_images(2)
    net = clf.split("relu1")
    with torch.no_grad():
        empty = net.tail(torch.zeros_like(net.head(images[:1])))
    embedding = clf.logits(images[1:])
    for target, without in (
        (Probability(2), empty.softmax(1)[0, 2]),
        (Similarity.to(clf, images[1]), (empty * embedding).sum() / (empty.norm() * embedding.norm())),
    ):
        made = explain(clf, images[:1], layer="relu1", target=target)
        assert made.coefficients is not None
        assert float(made.coefficients.sum()) == pytest.approx(made.score - float(without), abs=1e-5)


def test_gradient_of_a_similarity_is_that_of_the_formula() -> None:
    """d cos(y, e)/dy = e/(|y||e|) − cos(y, e) y/|y|²."""
    clf, images = tiny_classifier("plain"), tiny_images(2)
    weight, y, positions = plain_parts(clf, images[:1])
    _, e, _ = plain_parts(clf, images[1:])
    cosine = float((y * e).sum() / (y.norm() * e.norm()))
    slope = e / (y.norm() * e.norm()) - cosine * y / y.norm() ** 2
    target = Similarity.to(clf, images[1], "the second")
    made = explain(clf, images[:1], method="grad-cam", target=target)
    np.testing.assert_allclose(made.coefficients, slope @ weight / positions, atol=1e-6)
    assert made.score == pytest.approx(cosine, abs=1e-6)
    assert made.label == "similarity to the second"
    assert explain(clf, images[1:], method="grad-cam", target=target).score == pytest.approx(1, abs=1e-6)
    with pytest.raises(TargetError, match="has 2 numbers, but the network gives 5"):
        explain(clf, images[:1], target=Similarity((1.0, 0.0)))


class Regression(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU())
        self.fc = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))


@pytest.mark.parametrize(("target", "sign"), [("value", 1), (Value(), 1), ("-value", -1), (Value(negative=True), -1)])
def test_value_is_what_a_network_with_one_output_gives(target: Any, sign: int) -> None:
    torch.manual_seed(5)
    module, image = Regression().eval(), tiny_images(1)
    made = explain(Classifier(module, input_size=SIZE), image, method="cam", layer="features", target=target)
    assert made.score == pytest.approx(sign * module(image).item(), abs=1e-6)
    np.testing.assert_allclose(made.coefficients, sign * module.fc.weight[0].detach(), atol=1e-6)


def test_value_is_refused_where_there_are_several_outputs() -> None:
    with pytest.raises(TargetError, match="its only output, but this one has 5 classes"):
        explain(tiny_classifier("plain"), tiny_images(1), target="value")


def test_a_function_of_the_logits_is_explained() -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)
    expected = explain(clf, image, method="grad-cam", layer="relu1", target=Difference(1, 3))
    for target in (logit_difference, Custom(logit_difference)):
        made = explain(clf, image, method="grad-cam", layer="relu1", target=target)
        np.testing.assert_allclose(made.coefficients, expected.coefficients, atol=1e-6)
        assert made.label == "logit_difference"
    with pytest.raises(TargetError, match="give the target itself"):
        evaluate(clf, image, made, metric="max-sensitivity", samples=2)
    assert evaluate(clf, image, made, metric="max-sensitivity", samples=2, target=logit_difference).value > 0
    with pytest.raises(TargetError, match=r"gives \(1, 5\) for 1 images, not one number each"):
        explain(clf, image, method="grad-cam", target=lambda logits: logits)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:f", r"no_such_module cannot be imported \(ModuleNotFoundError: .*name that in PYTHONPATH"),
        ("math:no", "the module math has no function 'no'"),
        ("math:pi", "the module math has no function 'pi': its type is float"),
        ("math", "'math' names no function: write my_module:my_score"),
    ],
)
def test_a_function_that_is_not_there_is_refused(path: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        Custom.named(path)


def fails(logits: Tensor) -> Tensor:
    raise KeyError("no such score")


def of_its_own(logits: Tensor) -> Tensor:
    return torch.ones(len(logits))


def best(logits: Tensor) -> Tensor:
    return logits.argmax(1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fails, r":fails raised KeyError: 'no such score', in .*test_explained.py, line \d+"),
        (lambda logits: 1.0, "gives float for 1 images, not one number each"),
        (of_its_own, ":of_its_own does not follow from the logits .* only methods without gradients"),
        (best, ":best does not follow from the logits"),
    ],
)
def test_what_is_wrong_with_a_function_is_said(function: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        explain(tiny_classifier("plain"), tiny_images(1), method="grad-cam", target=function)


def test_a_function_without_gradients_is_explained_by_methods_without() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)
    made = explain(clf, image, method="ablation-cam", target=best)
    assert made.score == float(clf.logits(image).argmax()) and made.label == "best"


@pytest.mark.parametrize(
    ("target", "measure"),
    [
        (2, ("logit", "logits")),
        (Difference(1, 3), ("difference", "logits")),
        (Negative(2), ("negative logit", "logits")),
        (Sum(1, 2), ("sum of the logits", "logits")),
        (Probability(1), ("probability", "units of probability")),
        (Similarity((1.0, 2.0, 3.0, 4.0, 5.0)), ("similarity", "units of similarity")),
        (logit_difference, ("value", "units of the value")),
    ],
)
def test_shares_are_counted_in_the_unit_of_what_is_explained(target: Any, measure: tuple[str, str]) -> None:
    assert channel_shap(tiny_classifier("plain"), tiny_images(1), target=target, budget=8).measure == measure


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Difference(1, 1), "the same class"),
        (Difference(1, 9), "target 9 is out of range for 5 classes"),
        ("1 - 9", "target 9 is out of range for 5 classes"),
        (Negative("clas 3"), "near: class 3"),
        (Sum(1, "class 1"), "names each of them once"),
        (Sum(), "one at least"),
    ],
)
def test_a_score_of_no_class_is_refused(target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        explain(tiny_classifier("plain"), tiny_images(1), target=target)


@pytest.mark.parametrize("method", [key for key in METHODS if key not in ("finer-cam", "lfi-cam")])
def test_every_method_explains_a_difference(method: str) -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)
    layer = ["features.1", "features.3"] if METHODS[method].multi_layer else None
    made = explain(clf, image, method=method, layer=layer, target=Difference(1, 3))
    assert np.isfinite(made.map).all() and made.label == "class 1 − class 3" and made.target == "1 - 3"
    if METHODS[method].class_specific:
        assert not np.array_equal(made.map, explain(clf, image, method=method, layer=layer, target=1).map)


def test_finer_cam_asks_for_a_class() -> None:
    with pytest.raises(MethodError, match="ask it about a class"):
        explain(tiny_classifier("plain"), tiny_images(1), method="finer-cam", target=Difference(1, 3))


def test_a_batch_may_ask_each_image_something_else() -> None:
    clf, images = tiny_classifier("residual"), tiny_images(4)
    targets = [2, "1 - 3", None, Difference(1, 3)]
    made = explain_batch(clf, list(images), method="grad-cam", layer="relu1", targets=targets)
    for image, target, each in zip(images, targets, made, strict=True):
        alone = explain(clf, image, method="grad-cam", layer="relu1", target=target)
        assert each.target == alone.target and each.label == alone.label
        np.testing.assert_allclose(each.map, alone.map, atol=1e-5)


def test_asking_leaves_network_and_classifier_as_they_were() -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)
    names, weights = list(dict(clf.module.named_modules())), copy.deepcopy(clf.module.state_dict())
    before = explain(clf, image, layer="relu1", target=2)
    explain(clf, image, layer="relu1", target="1 - 3")
    after = explain(clf, image, layer="relu1", target=2)
    np.testing.assert_array_equal(before.map, after.map)
    assert before.probability == after.probability and clf.labels[1] == "class 1"
    assert list(dict(clf.module.named_modules())) == names
    assert all(torch.equal(weights[name], value) for name, value in clf.module.state_dict().items())


@pytest.mark.parametrize("target", [Difference(1, 3), Probability(2), Similarity((1.0, 2.0, 3.0, 4.0, 5.0))])
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-5), ("bfloat16", 0.1)])
def test_every_precision_gives_the_value(target: TargetScore, precision: str, tolerance: float) -> None:
    clf, image = tiny_classifier("residual"), tiny_images(1)
    exact = explain(clf, image, method="grad-cam", target=target).score
    made = explain(clf, image, method="grad-cam", target=target, precision=precision)
    assert made.score == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("target", [Difference(1, 3), Probability(2), Custom(logit_difference)])
def test_graph_says_what_the_tail_computes(target: TargetScore) -> None:
    """A compiler, and whoever looks for closed forms, reads the graph."""
    net = Asked(tiny_classifier("residual"), target).split("relu1")
    acts = net.head(tiny_images(3))
    assert net.halves.tail_graph is not None
    with torch.no_grad():
        torch.testing.assert_close(net.halves.tail_graph(acts, *net.context), net.tail(acts), atol=1e-5, rtol=0)
        doubled = net.tail_in(torch.float64)
        torch.testing.assert_close(doubled.tail(acts.double()).float(), net.tail(acts), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "score", [Difference(1, "b"), Negative(2), Sum(1, 2), Value(), Probability("a"), Similarity((1.0,)),
              Custom(logit_difference)],
)  # fmt: skip
def test_a_score_is_plain_data(score: TargetScore) -> None:
    again = pickle.loads(pickle.dumps(score))
    assert again == score and hash(again) == hash(score)


def test_curve_follows_the_value_itself() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)
    made = explain(clf, image, method="grad-cam", target=Difference(1, 3))
    for score in ("probability", "logit"):
        curves: Any = {}
        for point in curve_points(clf, image, {"grad-cam": made}, kinds=("deletion",), steps=4, score=score):
            add_point(curves, point)
        values = curves["grad-cam", "deletion"].values
        with torch.no_grad():
            ends = [logit_difference(clf.module(x)).item() for x in (image, torch.zeros_like(image))]
        np.testing.assert_allclose(values[[0, -1]], ends, atol=1e-5)


def test_metrics_follow_the_target_that_is_explained() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)
    made = explain(clf, image, method="grad-cam", target=Difference(1, 3))
    area = evaluate(clf, image, made, metric="deletion-auc", steps=4).value
    again = evaluate(clf, image, made.saliency, metric="deletion-auc", steps=4, target="1 - 3").value
    of_class = evaluate(clf, image, made.saliency, metric="deletion-auc", steps=4, target=1).value
    assert area == again != of_class
    assert np.isfinite(evaluate(clf, image, made, metric="parameter-randomisation", steps=2).value)
    first, second = clf.labels[1], clf.labels[3]
    by_label = evaluate(clf, image, made, metric="parameter-randomisation", steps=2, target=Difference(first, second))
    assert by_label.value == evaluate(clf, image, made, metric="parameter-randomisation", steps=2).value
    with pytest.raises(MetricError, match="about a probability, and 'class 1 − class 3' has none"):
        evaluate(clf, image, made, metric="average-drop")


def test_metrics_of_a_probability_are_those_of_the_class() -> None:
    clf, image = tiny_classifier("plain"), tiny_images(1)
    saliency = explain(clf, image, method="grad-cam", target=2).saliency
    for metric in ("average-drop", "average-drop-in-deletion"):
        values = [evaluate(clf, image, saliency, metric=metric, target=target).value for target in (2, "p(2)")]
        assert values[0] == pytest.approx(values[1], abs=1e-4)
