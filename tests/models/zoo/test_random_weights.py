"""Seeded random weights: repeatable, private, and of order one."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small, resnet18, squeezenet1_1

from cam_core import explain, load_model
from cam_core.models.zoo.random_weights import PrivateRandomness, calibrate, seeded_noise
from tests.tiny import TINY

SIZE = (64, 64)


def build(seed: int | None) -> nn.Module:
    with PrivateRandomness(seed):
        return mobilenet_v3_small()


def calibrated(key: str, seed: int = 0, size: tuple[int, int] = SIZE) -> nn.Module:
    with PrivateRandomness(seed):
        module = TINY[key].build()
    calibrate(module, size, seed)
    return module


def equal(one: nn.Module, two: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))


def test_the_seed_decides_and_nothing_else() -> None:
    torch.manual_seed(1)
    one = build(seed=7)
    torch.manual_seed(2)
    assert equal(one, build(seed=7))
    assert not equal(one, build(seed=8))


def test_the_architectures_own_initialisation_is_kept() -> None:
    with PrivateRandomness(0):
        layer = nn.Linear(1000, 1000)
        normal = nn.init.normal_(torch.empty(1000, 1000), 3.0, 2.0)
        drawn = torch.randn(1000, 1000)
        truncated = nn.init.trunc_normal_(torch.empty(1000, 1000), std=0.02)
        zeros = nn.init.zeros_(torch.ones(3))
    assert layer.weight.detach().abs().max() == pytest.approx(1000**-0.5, rel=1e-3)
    assert normal.mean() == pytest.approx(3, abs=0.02) and normal.std() == pytest.approx(2, rel=0.01)
    assert drawn.std() == pytest.approx(1, rel=0.01)
    assert truncated.std() == pytest.approx(0.02, rel=0.01)
    assert not zeros.any()


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    module = build(seed=3)
    calibrate(module, SIZE, seed=3)
    build(seed=None)
    assert torch.equal(before, torch.get_rng_state())


def test_threads_do_not_disturb_each_other() -> None:
    alone = build(seed=5)
    found: list[nn.Module] = []
    threads = [threading.Thread(target=lambda: found.append(build(seed=5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    mine = torch.randn(3, generator=torch.Generator().manual_seed(0))
    for thread in threads:
        thread.join()
    assert all(equal(alone, module) for module in found)
    assert torch.equal(mine, torch.randn(3, generator=torch.Generator().manual_seed(0)))


def test_without_a_seed_weights_are_zeros_and_norms_are_as_built() -> None:
    module = build(seed=None)
    assert not module.get_parameter("features.0.0.weight").any()
    assert torch.equal(module.get_parameter("features.0.1.weight"), torch.ones(16))


@pytest.mark.parametrize("key", TINY)
def test_logits_are_of_order_one_and_differ_among_images(key: str) -> None:
    module = calibrated(key, size=(16, 16))
    images = seeded_noise(8, (16, 16), torch.Generator().manual_seed(99))
    with torch.no_grad():
        logits = module(images)
    assert 0.1 < logits.std() < 30
    assert (logits - logits.mean(0)).square().mean().sqrt() > 0.05


@pytest.mark.parametrize("build_module", [resnet18, squeezenet1_1])
def test_every_layer_of_a_real_network_is_of_order_one(build_module: object) -> None:
    assert callable(build_module)
    with PrivateRandomness(0):
        module: nn.Module = build_module()
    calibrate(module, SIZE, seed=0)
    spreads: dict[str, float] = {}

    def note(name: str, output: Tensor) -> None:
        spreads[name] = float(output.std())

    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d):
            part.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
    with torch.no_grad():
        module(seeded_noise(8, SIZE, torch.Generator().manual_seed(0)))
    assert {name: spread for name, spread in spreads.items() if not 0.05 < spread < 20} == {}


def test_batch_norms_have_the_statistics_of_what_passes_them() -> None:
    with PrivateRandomness(0):
        module = TINY["residual"].build()
    calibrate(module, SIZE, seed=4)
    inputs: list[Tensor] = []
    norm = module.get_submodule("bn2")
    norm.register_forward_pre_hook(lambda _m, values: inputs.append(values[0]))
    # The images that it was calibrated on: the generator has drawn scale and shift of three norms before them.
    generator = torch.Generator().manual_seed(4)
    for _ in range(3):
        torch.empty(8).uniform_(generator=generator)
        torch.empty(8).normal_(generator=generator)
    with torch.no_grad():
        module(seeded_noise(8, SIZE, generator))
    torch.testing.assert_close(norm.running_mean, inputs[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, inputs[0].var((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_a_block_that_would_start_as_the_identity_is_opened() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
            self.layer_scale = nn.Parameter(torch.full((4, 1, 1), 1e-6))
            self.temperature = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.fc((self.temperature * self.layer_scale * self.conv(x)).mean((2, 3)))

    module = Scaled()
    calibrate(module, (16, 16), seed=0)
    assert torch.equal(module.layer_scale, torch.full((4, 1, 1), 0.5))
    assert torch.equal(module.temperature, torch.ones(1))


def test_no_hook_and_no_training_mode_remain() -> None:
    module = calibrated("residual")
    assert not any(part.training or part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert all(parameter.requires_grad for parameter in module.parameters())
    with pytest.raises(RuntimeError):
        calibrate(nn.Sequential(failing := nn.Conv2d(5, 2, 1)), SIZE, seed=0)  # it takes five channels, not three
    assert not failing._forward_hooks


@pytest.mark.parametrize("weights", ["random", "default"])
def test_explanations_say_whether_the_network_has_learnt(weights: str) -> None:
    clf = load_model("lfi_digits", weights=weights, device="cpu")
    assert clf.trained is (weights == "default")
    assert explain(clf, torch.zeros(3, 64, 64), method="grad-cam").trained is clf.trained
