"""Hooks on the user's network: observers neither reach our copies nor notice them; what changes the function stays."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam import AblationCAM, GradCAM, GradCAMPlusPlus
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from cam_core import Classifier, explain, load_model
from cam_core.metrics.randomisation import randomisation_steps
from cam_core.models.split.hooks import carries_hooks
from cam_core.models.split.layers import inspect_layers
from cam_core.models.split.tracing import private_copy
from cam_core.run import Run
from tests.fingerprints import fingerprint
from tests.tiny import SIZE, TINY, tiny, tiny_images

LAYER = "features.2"  # a convolution
LAST = "features.3"
IMAGES = tiny_images(3, seed=5)


def classifier(module: nn.Module) -> Classifier:
    return Classifier(module, input_size=SIZE, default_layer=LAST, device="cpu")


def same_map(one: nn.Module, other: nn.Module, method: str) -> bool:
    first, second = (explain(classifier(module), IMAGES[0], method=method, target=1) for module in (one, other))
    return np.array_equal(first.map, second.map) and first.passes == second.passes


@torch.no_grad()
def decides_as(copy: nn.Module, module: nn.Module) -> bool:
    return torch.equal(copy(IMAGES), module(IMAGES))


def hook_dicts(module: nn.Module) -> list[dict[Any, Any]]:
    """The entries of every dictionary of hooks and of their options, part by part."""
    return [dict(value) for part in module.modules() for name, value in vars(part).items() if "hooks" in name]


@pytest.mark.parametrize("peer", [AblationCAM, GradCAM, GradCAMPlusPlus])
@pytest.mark.parametrize("method", ["ablation-cam", "grad-cam", "layer-cam"])
def test_a_live_peer_changes_nothing(peer: Callable[..., Any], method: str) -> None:
    module = tiny("plain")
    other = peer(model=module, target_layers=[module.get_submodule("features")])  # a block, which tracing enters
    state, hooks = fingerprint(module), hook_dicts(module)
    held = other.activations_and_grads
    held(IMAGES)
    activations = list(held.activations)
    assert classifier(module).split(LAST).halves.traced
    assert same_map(module, tiny("plain"), method)
    assert len(held.activations) == len(activations) == 1 and held.activations[0] is activations[0]
    assert held.gradients == []
    assert fingerprint(module) == state and hook_dicts(module) == hooks
    other.activations_and_grads.release()
    assert not carries_hooks(module)


def test_a_real_network_with_a_live_peer_is_traced() -> None:
    clf = load_model("resnet18", weights="random", seed=0, device="cpu")
    image = nn.functional.interpolate(IMAGES[:1], (64, 64))[0]
    alone = explain(clf, image, method="ablation-cam", layer="layer4.1", target=3)
    crowded = Classifier(clf.module, name=clf.name, preprocessing=clf.preprocessing, device="cpu")
    peer = AblationCAM(model=clf.module, target_layers=[clf.module.get_submodule("layer4.1")])
    beside = explain(crowded, image, method="ablation-cam", layer="layer4.1", target=3)
    peer.activations_and_grads.release()
    assert crowded.split("layer4.1").halves.traced
    assert np.array_equal(beside.map, alone.map) and beside.passes == alone.passes


CALLS: list[int] = []
COUNT = 0


def names_a_global(_module: nn.Module, _inputs: Any, _output: Any) -> None:
    global COUNT
    COUNT += 1
    CALLS.append(COUNT)


def counts_on_itself(_module: nn.Module, _inputs: Any, _output: Any) -> None:
    counts_on_itself.calls = getattr(counts_on_itself, "calls", 0) + 1  # type: ignore[attr-defined]


class Holder:
    """Counts its calls, keeps what it sees, and cannot be copied: it holds a lock and a tensor that was computed."""

    def __init__(self, module: nn.Module) -> None:
        self.network, self.lock, self.calls = module, threading.Lock(), 0
        self.seen: list[Any] = [torch.ones(1, requires_grad=True) * 2]

    def observe(self, _module: nn.Module, *given: Any) -> None:
        with self.lock:
            self.calls += 1
            self.seen.append(given)

    def __call__(self, module: nn.Module, *given: Any) -> None:
        self.observe(module, *given)


def observers() -> dict[str, Callable[[nn.Module], tuple[Any, Callable[[], Any]]]]:
    """name → (network → (hook, what its owner sees of its calls))."""

    def closure(_module: nn.Module) -> tuple[Any, Callable[[], Any]]:
        seen: list[Any] = []
        return (lambda _m, _i, output: seen.append(output)), lambda: len(seen)

    def variable(_module: nn.Module) -> tuple[Any, Callable[[], Any]]:
        calls = 0

        def hook(_m: nn.Module, _i: Any, _o: Any) -> None:
            nonlocal calls
            calls += 1

        return hook, lambda: calls

    def decorated(_module: nn.Module) -> tuple[Any, Callable[[], Any]]:
        return torch.no_grad()(names_a_global), lambda: (COUNT, len(CALLS))

    def keyword(module: nn.Module) -> tuple[Any, Callable[[], Any]]:
        holder = Holder(module)
        return partial(holder.observe), lambda: (holder.calls, len(holder.seen))

    def method(module: nn.Module) -> tuple[Any, Callable[[], Any]]:
        holder = Holder(module)
        return holder.observe, lambda: (holder.calls, len(holder.seen))

    def instance(module: nn.Module) -> tuple[Any, Callable[[], Any]]:
        holder = Holder(module)
        return holder, lambda: (holder.calls, len(holder.seen))

    def gradients(_module: nn.Module) -> tuple[Any, Callable[[], Any]]:
        seen: list[Any] = []

        def hook(_m: nn.Module, _i: Any, output: Tensor) -> None:
            output.register_hook(seen.append)  # raises without gradients
            output.retain_grad()
            seen.append(output)

        return hook, lambda: len(seen)

    return {
        "closure": closure,
        "variable": variable,
        "global": lambda _module: (names_a_global, lambda: (COUNT, len(CALLS))),
        "function's own": lambda _module: (counts_on_itself, lambda: getattr(counts_on_itself, "calls", 0)),
        "decorated": decorated,
        "partial": keyword,
        "method": method,
        "instance": instance,
        "gradients": gradients,
    }


@pytest.mark.parametrize("kind", observers())
def test_observers_are_left_out_and_never_called(kind: str) -> None:
    module = tiny("plain")
    hook, calls = observers()[kind](module)
    module.get_submodule(LAYER).register_forward_hook(hook)
    before = calls()
    duplicate = private_copy(module, SIZE)
    inspect_layers(module, SIZE)
    assert classifier(module).split(LAST).halves.traced
    assert not carries_hooks(duplicate)
    assert same_map(module, tiny("plain"), "ablation-cam")
    assert calls() == before
    module.eval()(IMAGES.requires_grad_(kind == "gradients"))
    IMAGES.requires_grad_(False)
    assert calls() != before, "the hook no longer works"


def hook_everything(module: nn.Module, holder: Holder) -> None:
    for part in module.modules():
        part.register_forward_pre_hook(holder.observe)
        part.register_forward_pre_hook(holder.observe, with_kwargs=True)
        part.register_forward_hook(holder.observe, with_kwargs=True, always_call=True)
        part.register_full_backward_pre_hook(holder.observe)
        part.register_full_backward_hook(holder.observe)
        part.register_state_dict_post_hook(holder)
        part.register_state_dict_pre_hook(holder.observe)
        part.register_load_state_dict_post_hook(holder.observe)
        part.register_load_state_dict_pre_hook(holder.observe)


@pytest.mark.parametrize("network", TINY)
def test_copies_hold_no_hook_and_nothing_of_its_owner(network: str) -> None:
    module = tiny(network)
    holder = Holder(module)
    hook_everything(module, holder)
    state, hooks, calls = fingerprint(module), hook_dicts(module), holder.calls
    duplicate = private_copy(module, SIZE)
    clf = Classifier(module, input_size=SIZE, default_layer=TINY[network].layers[-1], device="cpu")
    split = clf.split()
    assert split.halves.traced == TINY[network].traceable
    assert not any(hook_dicts(duplicate))
    assert holder.calls == calls and fingerprint(module) == state and hook_dicts(module) == hooks
    gone = weakref.ref(holder)
    del module, holder, clf, hooks
    gc.collect()
    assert gone() is None, "a copy knows the hooks' owner"
    assert decides_as(duplicate, tiny(network))
    assert split.model(IMAGES).shape == (3, 5)


def mask(layer: nn.Module) -> nn.Module:
    return prune.custom_from_mask(layer, "weight", (torch.arange(layer.weight.numel()) % 3 > 0).view_as(layer.weight))


def pruned_twice(layer: nn.Module) -> nn.Module:
    prune.l1_unstructured(layer, "bias", 2)
    prune.random_unstructured(layer, "weight", 0.3)
    return prune.ln_structured(layer, "weight", 0.3, n=2, dim=0)


def pruned_norm(layer: nn.Module) -> nn.Module:
    return prune.l1_unstructured(weight_norm(layer), "weight_v", 0.3)


REPARAMETRISED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight norm": weight_norm,
    "spectral norm": spectral_norm,
    "weight norm, parametrised": parametrizations.weight_norm,
    "spectral norm, parametrised": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "least weights pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.4),
    "mask": mask,
    "pruned twice": pruned_twice,
    "norm, pruned": pruned_norm,
}


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used in training"])
@pytest.mark.parametrize("network", ["plain", "residual"])
@pytest.mark.parametrize("kind", REPARAMETRISED)
def test_reparametrised_weights_are_kept_to_the_bit(kind: str, network: str, used: bool) -> None:
    module = tiny(network)
    for part in list(module.modules()):
        if isinstance(part, nn.Conv2d | nn.Linear) and (kind != "pruned twice" or part.bias is not None):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch calls the hooks of its norms outdated
                REPARAMETRISED[kind](part)
    if used:
        module.train()(IMAGES)
    module.eval()(IMAGES)
    state, hooks = fingerprint(module), hook_dicts(module)
    duplicate = private_copy(module, SIZE)
    assert decides_as(duplicate, module) and not carries_hooks(duplicate)
    clf = Classifier(module, input_size=SIZE, default_layer=TINY[network].layers[-1], device="cpu")
    split = clf.split()
    assert split.halves.traced
    logits = module(IMAGES).detach()
    torch.testing.assert_close(split.model(IMAGES), logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(clf.split(precision="float64").model(IMAGES).float(), logits, rtol=1e-5, atol=1e-5)
    assert fingerprint(module) == state and hook_dicts(module) == hooks
    assert decides_as(duplicate, module), "the original has lost its hooks"


def doubles(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
    return output * 2


def silences(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
    output[:, 3] = 0


def silences_behind_autograd(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
    output.data[:, 3] = 0


def shifts_input(_module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    return inputs[0] + 1


def shifts_input_by_name(_module: nn.Module, inputs: tuple[Tensor], options: Any) -> Any:
    return (inputs[0] + 1,), options


class Doubles:
    """What doubles cannot be copied: it holds a lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def hook(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        with self.lock:
            return doubles(module, inputs, output)


CHANGES: dict[str, Callable[[nn.Module], Any]] = {
    "output": lambda part: part.register_forward_hook(doubles),
    "output, by keyword": lambda part: part.register_forward_hook(
        lambda module, inputs, _options, output: doubles(module, inputs, output), with_kwargs=True, always_call=True
    ),
    "output, in place": lambda part: part.register_forward_hook(silences),
    "output, behind autograd": lambda part: part.register_forward_hook(silences_behind_autograd),
    "output, behind a lock": lambda part: part.register_forward_hook(Doubles().hook),
    "input": lambda part: part.register_forward_pre_hook(shifts_input),
    "input, by keyword": lambda part: part.register_forward_pre_hook(shifts_input_by_name, with_kwargs=True),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_hooks_that_change_the_function_keep_their_effect(kind: str) -> None:
    module = tiny("plain")
    seen: list[Any] = []
    module.get_submodule(LAYER).register_forward_hook(lambda _m, _i, output: seen.append(output))
    CHANGES[kind](module.get_submodule(LAYER))
    duplicate = private_copy(module, SIZE)
    assert decides_as(duplicate, module) and not decides_as(duplicate, tiny("plain"))
    assert len(vars(duplicate.get_submodule(LAYER))["_forward_hooks"]) == (0 if kind.startswith("input") else 1)
    seen.clear()
    split = classifier(module).split()
    found = explain(classifier(module), IMAGES[0], method="grad-cam", target=1)
    assert not split.halves.traced and any("cannot be traced" in warning for warning in found.warnings)
    torch.testing.assert_close(split.model(IMAGES), duplicate(IMAGES), rtol=1e-5, atol=1e-6)
    acts = split.head(IMAGES)
    digits = split.tail_in(torch.float64).tail(acts.double())
    torch.testing.assert_close(digits.float(), duplicate(IMAGES), rtol=1e-5, atol=1e-5)
    assert seen == []


def test_a_change_that_noise_hardly_shows_is_kept() -> None:
    """The channel is silent for the noise anyway, so that no logit tells."""
    module = tiny("plain")
    convolution = module.get_submodule(LAYER)
    with torch.no_grad():
        convolution.bias[3] = -1e3
    module.get_submodule(LAST).register_forward_hook(silences)
    assert carries_hooks(private_copy(module, SIZE))


class Scaled:
    """A weight that is made before each call, as in an equalised learning rate."""

    def __init__(self, part: nn.Module, noisy: bool = False) -> None:
        weight = part.weight
        del part.weight
        part.register_parameter("stored", nn.Parameter(weight.detach() / 3))
        self.noisy = noisy
        self(part, (torch.zeros(1),))
        part.register_forward_pre_hook(self)

    def __call__(self, part: nn.Module, inputs: Any) -> None:
        part.weight = part.stored * (3 + (inputs[0].mean() if self.noisy else 0))


def test_a_weight_that_a_foreign_hook_makes() -> None:
    module = tiny("plain")
    Scaled(module.get_submodule(LAYER))
    assert decides_as(private_copy(module, SIZE), module)
    split = classifier(module).split(precision="float64")
    torch.testing.assert_close(split.model(IMAGES.double()).float(), module(IMAGES).detach(), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        module.get_submodule(LAYER).stored.mul_(2)  # the hook has not yet made a weight of it
    assert decides_as(private_copy(module, SIZE), module)


def test_a_weight_that_depends_on_the_image() -> None:
    module = tiny("plain")
    Scaled(module.get_submodule(LAYER), noisy=True)
    assert decides_as(private_copy(module, SIZE), module)
    assert not classifier(module).split().halves.traced


def test_a_profiler_that_writes_on_the_module() -> None:
    module = tiny("plain")

    def count(part: nn.Module, _inputs: Any, output: Tensor) -> None:
        part.total += output.numel()
        part.seen = output

    for part in module.modules():
        part.register_buffer("total", torch.zeros(1))
        part.register_forward_hook(count)
    module(IMAGES)
    state = fingerprint(module)
    assert classifier(module).split().halves.traced
    assert same_map(module, tiny("plain"), "layer-cam")
    assert fingerprint(module) == state


def test_a_hook_on_all_modules_of_the_process() -> None:
    seen: list[str] = []
    handle = nn.modules.module.register_module_forward_hook(lambda part, _i, _o: seen.append(type(part).__name__))
    try:
        found = explain(classifier(tiny("plain")), IMAGES[0], method="grad-cam", target=1)
    finally:
        handle.remove()
    assert np.array_equal(found.map, explain(classifier(tiny("plain")), IMAGES[0], method="grad-cam", target=1).map)


def test_randomised_copies_have_no_hooks() -> None:
    module = tiny("plain")
    holder = Holder(module)
    module.get_submodule(LAYER).register_forward_hook(holder.observe)
    traced: list[bool] = []

    def explain_with(clf: Classifier) -> Tensor:
        traced.append(clf.split().halves.traced)
        return torch.from_numpy(explain(clf, IMAGES[0], method="grad-cam", target=1).saliency)

    clf = classifier(module)
    list(randomisation_steps(clf, explain_with(clf), explain_with, Run(), steps=2))
    assert traced == [True] * 3 and holder.calls == 0
