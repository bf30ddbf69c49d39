"""What every registered method promises, on tiny networks of every construction and on a real one.

The tests read the registry: a new method is covered by being registered.
"""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cam_core import METHODS, Cancelled, Classifier, Explanation, explain, explain_batch, load_model
from cam_core.methods import DeclaredParameter, Method
from cam_core.types import MethodError
from tests.contract import REAL, REAL_LAYER, images, layers_for, quick, refuses
from tests.fingerprints import fingerprint
from tests.tiny import CLASSES, SIZE, TINY, tiny, tiny_classifier

KEYS = tuple(METHODS)
CASES = [(key, layer) for key, network in TINY.items() for layer in network.layers]


@lru_cache(maxsize=2)
def classifier(network: str) -> Classifier:
    if network == REAL:
        return load_model(REAL, weights="random", seed=0, device="cpu")
    return tiny_classifier(network)


def ask(key: str, network: str, layer: str, seed: int = 0, target: int | None = 1, **options: Any) -> Explanation:
    return explain(
        classifier(network),
        images(network)[0],
        method=key,
        layer=layers_for(key, network, layer),
        target=target,
        seed=seed,
        **options,
        **quick(METHODS[key]),
    )


CALLS = [(network, layer, key) for network, layer in [*CASES, (REAL, REAL_LAYER)] for key in KEYS]
APPLIES = [case for case in CALLS if not refuses(case[2], *case[:2])]
REFUSES = [case for case in CALLS if refuses(case[2], *case[:2])]
ON_TINY = [case for case in APPLIES if case[0] != REAL]
AT_THE_END = [case for case in APPLIES if case[0] == REAL or case[1] == TINY[case[0]].layers[-1]]


def simplest(key: str) -> tuple[str, str]:
    """The simplest network, and its last layer, that the method applies to."""
    return ("lfi", "attended") if key == "lfi-cam" else ("plain", "features.3")


def nonlinear(key: str) -> tuple[str, str]:
    """A network and layer with a tail that has no closed form, if the method applies to such."""
    return simplest(key) if refuses(key, "max-pool", "features.3") else ("max-pool", "features.3")


def same(one: Explanation, other: Explanation) -> bool:
    """To the bit."""
    arrays = [(getattr(one, name), getattr(other, name)) for name in ("map", "saliency", "coefficients", "stderr")] + [
        (one.extras[name], other.extras[name]) for name in one.extras
    ]
    return all(a is b is None or np.array_equal(a, b) for a, b in arrays)


def close(one: Explanation, other: Explanation, bound: float = 1e-5) -> bool:
    """Within `bound` of the largest value."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("map", "saliency", "coefficients")]
    return all(a is b is None or np.abs(a - b).max() <= bound * max(np.abs(b).max(), 1e-6) for a, b in pairs)


@pytest.mark.parametrize(("network", "layer", "key"), REFUSES)
def test_refusal_names_what_stands_in_the_way(network: str, layer: str, key: str) -> None:
    with pytest.raises(MethodError) as refusal:
        ask(key, network, layer)
    assert names_what_stands_in_the_way(str(refusal.value), classifier(network).module)


def test_every_method_applies_somewhere_and_everywhere_on_most() -> None:
    assert {key for _, _, key in ON_TINY} == {key for _, _, key in AT_THE_END} == set(KEYS)
    assert len(APPLIES) + len(REFUSES) == len(CALLS) and len(REFUSES) < len(CALLS) / 8


@pytest.mark.parametrize(("network", "layer", "key"), APPLIES)
def test_result(network: str, layer: str, key: str) -> None:
    found = ask(key, network, layer)
    check_arrays(found, METHODS[key], network, layer)
    check_record(found, METHODS[key], network)


def names_what_stands_in_the_way(message: str, module: nn.Module) -> bool:
    parts = {type(part).__name__ for part in module.modules()} - {type(module).__name__, "Sequential"}
    phrases = {"be traced", "stands in the way", "skip connections", "the operation", "LFI network"}
    return any(words in message for words in phrases | parts)


def check_arrays(found: Explanation, method: Method, network: str, layer: str) -> None:
    acts = classifier(network).split(layer).head(images(network))[0]
    channels, height, width = acts.shape
    size = images(network).shape[-2:]
    if not method.multi_layer:
        assert found.map.shape == (height, width) or (method.control and found.map.shape == size)
    assert found.saliency.shape == size
    assert found.saliency.min() >= 0 and found.saliency.max() <= 1
    assert found.saliency.max() == pytest.approx(1) or not found.saliency.any()
    assert found.coefficients is None or found.coefficients.shape == (channels,)
    assert (found.coefficients is not None) == (method.unit != "")
    if found.stderr is not None:
        assert found.stderr.shape == (found.map.shape if found.coefficients is None else found.coefficients.shape)
        assert (found.stderr >= 0).all()
    for array in (found.map, found.saliency, found.coefficients, found.stderr, *found.extras.values()):
        assert array is None or (array.dtype == np.float32 and np.isfinite(array).all())
    if not method.signed and acts.min() >= 0:
        assert found.map.min() >= -1e-6 * np.abs(found.map).max()


def check_record(found: Explanation, method: Method, network: str) -> None:
    clf = classifier(network)
    logits = clf.logits(images(network))[0]
    assert (found.method, found.model, found.target, found.label) == (method.key, clf.name, 1, clf.labels[1])
    assert found.score == pytest.approx(float(logits[1]), rel=1e-3, abs=1e-4)
    assert found.probability == pytest.approx(float(logits.softmax(0)[1]), rel=1e-2)
    assert dict(found.params) == method.validate(quick(method))
    assert found.passes.head >= 1 and found.seconds > 0
    assert found.warnings or found.saliency.any()


@pytest.mark.parametrize(("network", "layer", "key"), ON_TINY)
def test_same_seed_same_result(network: str, layer: str, key: str) -> None:
    first = ask(key, network, layer)
    torch.manual_seed(99)
    np.random.seed(99)
    state = torch.get_rng_state()
    assert same(ask(key, network, layer), first)
    # LIME goes through a data loader of torch, which draws a seed for workers that it does not have.
    assert torch.equal(torch.get_rng_state(), state) or key == "lime-cam", "drawn from the global generator"
    if not METHODS[key].stochastic:
        assert same(ask(key, network, layer, seed=1), first)


@pytest.mark.parametrize("key", [key for key in KEYS if METHODS[key].stochastic])
def test_another_seed_another_result(key: str) -> None:
    assert not same(ask(key, "max-pool", "features.3", seed=1), ask(key, "max-pool", "features.3"))


@pytest.mark.parametrize("key", KEYS)
def test_map_depends_on_the_class_where_it_says_so(key: str) -> None:
    one, other = (ask(key, *simplest(key), target=target).map for target in (1, 2))
    assert np.array_equal(one, other) != METHODS[key].class_specific


@pytest.mark.parametrize(("network", "layer", "key"), ON_TINY)
def test_a_batch_is_explained_as_if_each_image_were_alone(network: str, layer: str, key: str) -> None:
    clf, batch, targets = classifier(network), images(network, 4), [0, 1, 2, 1]
    options = {"layer": layers_for(key, network, layer), **quick(METHODS[key])}
    together = explain_batch(clf, list(batch), method=key, targets=targets, **options)
    alone = [
        explain(clf, image, method=key, target=target, **options) for image, target in zip(batch, targets, strict=True)
    ]
    assert all(close(a, b) for a, b in zip(together, alone, strict=True))
    assert [a.passes for a in together] == [b.passes for b in alone]


def test_more_images_than_fit_in_one_pass() -> None:
    clf, batch = classifier("plain"), images("plain", 35)
    together = explain_batch(clf, list(batch), method="grad-cam", layer="features.1")
    alone = [explain(clf, image, method="grad-cam", layer="features.1") for image in batch]
    assert len(together) == 35
    assert all(close(a, b) for a, b in zip(together, alone, strict=True))


class Stop:
    """A progress callback that gives up at its n-th call."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.calls = 0

    def __call__(self, done: int, total: int) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise Cancelled("stopped by the test")


@pytest.mark.parametrize(("network", "layer", "key"), AT_THE_END)
def test_cancelling_leaves_no_trace(network: str, layer: str, key: str) -> None:
    before, state = ask(key, network, layer), fingerprint(classifier(network).module)
    for at in (1, 2):
        stop = Stop(at)
        try:
            ask(key, network, layer, progress=stop)
        except Cancelled:
            assert stop.calls == at
        else:
            assert stop.calls < at, "the method went on after Cancelled"
        assert fingerprint(classifier(network).module) == state
        assert same(ask(key, network, layer), before)


@pytest.mark.parametrize("key", [key for key in KEYS if METHODS[key].expensive])
def test_expensive_methods_can_be_cancelled(key: str) -> None:
    with pytest.raises(Cancelled):
        ask(key, *nonlinear(key), progress=Stop(1))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("network", list(TINY))
def test_module_is_left_as_it_was(network: str, key: str) -> None:
    """In training mode, with gradients and a hook of the user's own: none of our business."""
    module = tiny(network).train()
    module.get_submodule(TINY[network].layers[0]).register_forward_hook(lambda _module, _inputs, _output: None)
    module(images(network)).sum().backward()
    state = fingerprint(module)
    clf = Classifier(module, input_size=SIZE, default_layer=TINY[network].layers[-1], device="cpu")
    last = TINY[network].layers[-1]
    with pytest.raises(MethodError) if refuses(key, network, last) else nullcontext():
        explain(clf, images(network)[0], method=key, layer=layers_for(key, network, last), **quick(METHODS[key]))
    assert fingerprint(module) == state


@pytest.mark.parametrize("key", KEYS)
def test_progress_counts_up_to_its_total(key: str) -> None:
    heard: list[tuple[int, int]] = []
    ask(key, *nonlinear(key), progress=lambda done, total: heard.append((done, total)))
    assert all(0 <= done <= total for done, total in heard)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert not heard or heard[-1][0] == heard[-1][1]
    assert heard or not METHODS[key].expensive


@pytest.mark.parametrize("key", KEYS)
def test_record_survives_json(key: str) -> None:
    found = ask(key, *simplest(key))
    again = Explanation.from_dict(json.loads(json.dumps(found.to_dict())))
    assert same(again, found)
    assert again.to_dict() == found.to_dict()


@pytest.mark.parametrize("key", KEYS)
def test_record_says_how_to_repeat_it(key: str) -> None:
    network, layer = nonlinear(key)
    found = ask(key, network, layer, seed=5)
    again = explain(
        classifier(network),
        images(network)[0],
        method=found.method,
        layer=found.layer.split(" + ") if METHODS[key].multi_layer else found.layer,
        target=found.label,
        seed=found.seed,
        precision=found.precision,
        **found.params,
    )
    assert same(again, found)


def wrong_values(parameter: DeclaredParameter) -> list[Any]:
    if parameter.kind == "choice":
        return ["no such choice", 1, None]
    if parameter.kind == "bool":
        return ["yes", 1, None]
    values: list[Any] = ["many", None, True, math.nan, math.inf]
    values += [] if parameter.kind == "float" else [1.5]
    values += [] if parameter.low is None else [parameter.low - 1]
    return values + ([] if parameter.high is None else [parameter.high + 1])


@pytest.mark.parametrize("key", KEYS)
def test_wrong_parameters_are_refused(key: str) -> None:
    clf, image = classifier("plain"), images("plain")[0]
    with pytest.raises(MethodError, match="no_such_parameter"):
        explain(clf, image, method=key, no_such_parameter=1)
    for parameter in METHODS[key].parameters:
        for value in wrong_values(parameter):
            with pytest.raises(MethodError, match=parameter.name):
                explain(clf, image, method=key, **{parameter.name: value})


# Choices that need another network: what the refusal says.
ELSEWHERE = {("opti-cam", "class-attention"): "class token"}


@pytest.mark.parametrize("key", KEYS)
def test_every_choice_gives_a_finite_map(key: str) -> None:
    options = [
        {parameter.name: value}
        for parameter in METHODS[key].parameters
        for value in parameter.choices or ((True, False) if parameter.kind == "bool" else ())
    ]
    clf, image = classifier(simplest(key)[0]), images("plain")[0]
    for option in options:
        (value,) = option.values()
        if said := ELSEWHERE.get((key, str(value))):
            with pytest.raises(MethodError, match=said):
                explain(clf, image, method=key, target=1, **(quick(METHODS[key]) | option))
            continue
        found = explain(clf, image, method=key, target=1, **(quick(METHODS[key]) | option))
        assert np.isfinite(found.map).all()


def test_unknown_method_is_refused() -> None:
    with pytest.raises(MethodError, match="no-such-cam"):
        explain(classifier("plain"), images("plain")[0], method="no-such-cam")


def dead_network(network: str) -> nn.Module:
    """Every unit of the features is silent: the activations are 0 everywhere."""
    module = tiny(network)
    convolution = module.get_submodule("features.2")
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    with torch.no_grad():
        convolution.bias.fill_(-1e3)
    return module


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", ["dead layer", "constant image", "hopeless class"])
def test_degenerate_input_gives_a_finite_map_and_a_warning(kind: str, key: str) -> None:
    network, layer = simplest(key)
    module = dead_network(network) if kind == "dead layer" else tiny(network)
    image = torch.zeros(3, *SIZE) if kind == "constant image" else images("plain")[0]
    if kind == "hopeless class":
        with torch.no_grad():
            next(part for part in module.modules() if isinstance(part, nn.Linear)).bias[1] = -100.0
    clf = Classifier(module, input_size=SIZE, default_layer=layer, device="cpu")
    # Methods over several layers look at two that the network offers.
    layers = ["features.1", "features.3"] if METHODS[key].multi_layer else None
    found = explain(clf, image, method=key, layer=layers, target=1, **quick(METHODS[key]))
    for array in (found.map, found.saliency, found.coefficients, found.stderr):
        assert array is None or np.isfinite(array).all()
    assert found.saliency.any() or found.warnings
    if kind == "dead layer" and not METHODS[key].control:
        assert not found.saliency.any()
    if kind == "hopeless class" and not METHODS[key].control:
        assert found.warnings


@pytest.mark.gpu
@pytest.mark.parametrize(("network", "layer", "key"), [case for case in AT_THE_END if case[0] != REAL])
def test_another_device_gives_the_same_map(network: str, layer: str, key: str) -> None:
    clf = tiny_classifier(network, device="cuda")
    options = {"layer": layers_for(key, network, layer), "target": 1, "precision": "float64", **quick(METHODS[key])}
    there = explain(clf, images(network)[0], method=key, **options)
    here = explain(classifier(network), images(network)[0], method=key, **options)
    assert there.device.startswith("cuda")
    assert close(there, here, 1e-4)


def test_networks_are_what_they_claim_to_be() -> None:
    for key, network in TINY.items():
        assert tiny_classifier(key).split(network.layers[-1]).halves.traced == network.traceable
        assert classifier(key).logits(images(key)).shape == (1, CLASSES)
