"""Cut after every listed layer, every network of the catalogue says what it says uncut; and nobody notices the cut."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn

from cam_core import CATALOG
from cam_core.models.split.halves import build_halves
from cam_core.models.split.model import SplitModel
from cam_core.models.zoo.find import find_architecture
from cam_core.models.zoo.random_weights import PrivateRandomness, calibrate, seeded_noise
from cam_core.types import LayerError

QUICK = ("resnet18", "vgg11", "densenet121", "mobilenet_v3_large")
QUICK_SIZE = (96, 96)
TIMM_QUICK = ("timm:regnetx_002",)
TIMM_SLOW = ("timm:convnext_atto", "timm:ghostnet_100", "timm:resnet18", "timm:tf_efficientnetv2_b0", "timm:dla34")
# It asks for a size, so it is traced with numbers for sizes.
ASKS_FOR_SIZES = "timm:vgg16"


def layers_of(*keys: str) -> list[tuple[str, str]]:
    return [(key, layer) for key in keys for layer, _ in CATALOG[key].layers]


@lru_cache(maxsize=2)
def network(key: str) -> nn.Module:
    """With random weights; two at a time, for some take gigabytes."""
    architecture = find_architecture(key)
    with PrivateRandomness(0):
        module = architecture.build(1000)
    calibrate(module, size_of(key), seed=0)
    return module


def size_of(key: str) -> tuple[int, int]:
    return QUICK_SIZE if key in QUICK + TIMM_QUICK else find_architecture(key).preprocessing.input_size


def images_for(key: str, count: int = 2) -> Tensor:
    return seeded_noise(count, size_of(key), torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Uncut:
    """What the network itself yields for two images: logits (2, C), and the layer's output (2, K, h, w)."""

    logits: Tensor
    acts: Tensor


def run_uncut(module: nn.Module, layer: str, images: Tensor) -> Uncut:
    outputs: list[Tensor] = []
    # Cloned on the spot: what follows may write into it.
    hook = module.get_submodule(layer).register_forward_hook(lambda _m, _i, output: outputs.append(output.clone()))
    with torch.no_grad():
        logits = module(images)
    hook.remove()
    return Uncut(logits, outputs[-1])


def assert_near(actual: Tensor, expected: Tensor) -> None:
    """Within 1e-4 of the largest |logit|."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def check_cut(key: str, layer: str) -> None:
    check_cut_of(network(key), images_for(key), layer, traced=True)


def check_cut_of(module: nn.Module, images: Tensor, layer: str, *, traced: bool) -> None:
    uncut = run_uncut(module, layer, images)
    with torch.no_grad():
        halves = build_halves(module, layer, images[:1], prepared=False)
        assert halves.traced is traced
        acts, context = halves.head(images)
        assert torch.equal(acts, uncut.acts)
        assert torch.equal(halves.tail(acts, context), uncut.logits)
        assert torch.equal(acts, uncut.acts), "the tail wrote into the activations"
        net = SplitModel(build_halves(module, layer, images[:1]))
        assert_near(net.model(images), uncut.logits)
        prepared = net.head(images)
        assert_near(net.tail(prepared), uncut.logits)
        check_expansion(net, prepared, uncut)
    assert net.passes == (4, 2 + 2 + 6 + 6)


def check_expansion(net: SplitModel, acts: Tensor, uncut: Uncut) -> None:
    """Three rows an image, each with that image's own skip connections."""
    factors = torch.tensor([1.0, 0.5, 0.0])
    rows = (acts[:, None] * factors[:, None, None, None]).flatten(0, 1)
    before = rows.clone()
    together = net.tail(rows)
    assert torch.equal(rows, before)
    assert_near(together[::3], uncut.logits)
    alone = torch.cat([net.sample(index).tail(rows[3 * index : 3 * index + 3]) for index in range(2)])
    assert_near(together, alone)
    assert not torch.allclose(together[0], together[1]), "the activations have no influence"


def snapshot(module: nn.Module) -> dict[str, object]:
    """All of a module that a careless user of it might change."""
    return {
        "state": {name: (value.clone(), value.data_ptr(), value.device) for name, value in module.state_dict().items()},
        "training": [part.training for part in module.modules()],
        "inplace": [getattr(part, "inplace", None) for part in module.modules()],
        "hooks": [(*part._forward_hooks, *part._forward_pre_hooks, *part._backward_hooks) for part in module.modules()],
        "gradients": [(p.requires_grad, p.grad) for p in module.parameters()],
        "types": [type(part) for part in module.modules()],
        "layout": [p.stride() for p in module.parameters()],
    }


def assert_untouched(module: nn.Module, before: dict[str, object]) -> None:
    now = snapshot(module)
    assert {key: now[key] for key in now if key != "state"} == {key: before[key] for key in before if key != "state"}
    old, new = before["state"], now["state"]
    assert isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys()
    for name, (value, *place) in old.items():
        assert torch.equal(value, new[name][0]) and tuple(place) == new[name][1:], name


@pytest.mark.parametrize(("key", "layer"), layers_of(*QUICK))
def test_halves_make_the_whole(key: str, layer: str) -> None:
    check_cut(key, layer)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "layer"), layers_of(*(key for key in CATALOG if key not in QUICK)))
def test_halves_make_the_whole_for_the_rest_of_the_catalogue(key: str, layer: str) -> None:
    check_cut(key, layer)


@pytest.mark.parametrize("key", [*TIMM_QUICK, *(pytest.param(key, marks=pytest.mark.slow) for key in TIMM_SLOW)])
def test_halves_make_the_whole_for_timm(key: str) -> None:
    for layer, _ in find_architecture(key).layers:
        check_cut(key, layer)


def deciding_by_values(module: nn.Module) -> nn.Module:
    """A copy that looks at the values of its images first: no tracing can follow that."""

    class Deciding(type(module)):
        def forward(self, x: Tensor) -> Tensor:
            if not torch.isfinite(x).all():
                raise ValueError("the images are not finite")
            return super().forward(x)

    duplicate = copy.deepcopy(module)
    duplicate.__class__ = Deciding
    return duplicate


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["features.22", "features.29"])
def test_a_network_that_asks_for_sizes_is_traced(layer: str) -> None:
    check_cut(ASKS_FOR_SIZES, layer)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["features.22", "features.29"])
def test_a_network_that_cannot_be_traced_is_cut_by_replacing(layer: str) -> None:
    module = deciding_by_values(network(ASKS_FOR_SIZES))
    check_cut_of(module, images_for(ASKS_FOR_SIZES), layer, traced=False)


@pytest.mark.parametrize("key", QUICK)
def test_the_untraced_path_says_the_same(key: str) -> None:
    module, images = network(key), images_for(key)
    layer = CATALOG[key].default_layer
    uncut = run_uncut(module, layer, images)
    with torch.no_grad():
        halves = build_halves(module, layer, images[:1], prepared=False, force_hooks=True)
        acts, context = halves.head(images)
        assert not halves.traced
        assert torch.equal(acts, uncut.acts)
        assert torch.equal(halves.tail(acts, context), uncut.logits)


@pytest.mark.parametrize("key", QUICK)
@pytest.mark.parametrize("force_hooks", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["traced", "hooked"])
def test_the_network_of_the_user_is_left_as_it_was(key: str, force_hooks: bool) -> None:
    module = network(key)
    images = images_for(key)
    first = next(module.parameters()).requires_grad_(False)
    own_hook = module.register_forward_hook(lambda *_: None)
    module.train()
    before = snapshot(module)
    try:
        net = SplitModel(
            build_halves(module, CATALOG[key].default_layer, images[:1], force_hooks=force_hooks),
        )
        acts = net.head(images).detach().requires_grad_()
        net.tail(acts).sum().backward()
        assert acts.grad is not None
        assert_untouched(module, before)
        fail_in_every_way(module, net, images, force_hooks)
        assert_untouched(module, before)
    finally:
        own_hook.remove()
        first.requires_grad_(True)
        module.eval()


def fail_in_every_way(module: nn.Module, net: SplitModel, images: Tensor, force_hooks: bool) -> None:
    with pytest.raises(LayerError, match="no layer 'nowhere'"):
        build_halves(module, "nowhere", images[:1], force_hooks=force_hooks)
    linear = next(name for name, part in module.named_modules() if isinstance(part, nn.Linear))
    with pytest.raises(LayerError, match="not channels × height × width"):
        build_halves(module, linear, images[:1], force_hooks=force_hooks)
    with pytest.raises(RuntimeError):
        net.head(images[:, :1])
    with pytest.raises(RuntimeError):
        net.tail(torch.zeros(2, 3, 5, 5))
