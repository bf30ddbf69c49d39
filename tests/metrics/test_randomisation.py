"""The cascade of random weights: what it covers, what it leaves alone, and what it tells apart."""

from __future__ import annotations

import copy

import pytest
import torch

from cam_core import evaluate, explain
from cam_core.metrics.randomisation import cascade, randomisation_steps
from cam_core.metrics.samples import Recipe
from cam_core.run import Run
from tests.metrics.scenes import scene
from tests.tiny import TINY, tiny, tiny_classifier


@pytest.mark.parametrize("network", TINY)
def test_the_cascade_goes_once_through_all_weights_from_the_top(network: str) -> None:
    module = tiny(network)
    names = [name for group in cascade(module, 3) for name in group]
    assert len(names) == len(set(names))
    covered = {f"{name}.{own}" for name in names for own, _ in module.get_submodule(name).named_parameters()}
    assert covered == {name for name, _ in module.named_parameters()}
    assert names[0] == [name for name, part in module.named_modules() if list(part.parameters(recurse=False))][-1]
    assert len(cascade(module, 3)) == min(3, len(names))
    assert len(cascade(module, 1000)) == len(names)


def test_the_users_network_is_left_alone() -> None:
    clf, images, _, _ = scene(count=1)
    before = copy.deepcopy(clf.module.state_dict())
    logits = clf.logits(images)
    evaluate(clf, images[0], explain(clf, images[0], method="grad-cam"), metric="parameter-randomisation", steps=3)
    for name, value in clf.module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(clf.logits(images), logits)
    assert not any(part._forward_hooks for part in clf.module.modules())


def test_each_step_keeps_what_the_steps_before_replaced() -> None:
    clf, images, _, _ = scene(count=1)
    made = explain(clf, images[0], method="grad-cam")
    seen: list[dict[str, torch.Tensor]] = []

    def look(changed) -> torch.Tensor:
        seen.append(copy.deepcopy(changed.module.state_dict()))
        return torch.from_numpy(made.saliency)

    saliency = torch.from_numpy(made.saliency).double()
    steps = list(randomisation_steps(clf, saliency, look, Run(seed=1), 3))
    trained = clf.module.state_dict()
    for number, state in enumerate(seen):
        replaced = {name for step in steps[: number + 1] for name in step.layers}
        for name, _ in clf.module.named_parameters():
            changed = not torch.equal(state[name], trained[name])
            assert changed == (name.rpartition(".")[0] in replaced), name
    assert all(step.spearman == pytest.approx(1) and step.ssim == pytest.approx(1) for step in steps)


def test_redrawn_weights_keep_mean_and_spread() -> None:
    clf, images, _, _ = scene("max-pool", count=1)
    made = explain(clf, images[0], method="grad-cam")
    saliency = torch.from_numpy(made.saliency).double()
    names: list[torch.Tensor] = []

    def look(changed) -> torch.Tensor:
        names.append(changed.module.get_submodule("classifier.1").weight.detach().clone())
        return saliency

    list(randomisation_steps(clf, saliency, look, Run(seed=1), 1))
    trained = clf.module.get_submodule("classifier.1").weight.detach()
    assert float(names[0].std()) == pytest.approx(float(trained.std()), rel=0.2)
    assert abs(float(torch.corrcoef(torch.stack([names[0].flatten(), trained.flatten()]))[0, 1])) < 0.2


def test_a_map_that_ignores_the_weights_is_found_out() -> None:
    clf, images, _, _ = scene(count=1)
    fake = evaluate(
        clf, images[0], explain(clf, images[0], method="fake-cam"), metric="parameter-randomisation", steps=3
    )
    assert fake.value == pytest.approx(1)
    assert fake.extras["ssim"] == pytest.approx(1)
    true = evaluate(
        clf, images[0], explain(clf, images[0], method="grad-cam"), metric="parameter-randomisation", steps=3
    )
    assert true.value < 0.9
    assert true.extras["spearman"].shape == (3,)


def test_same_seed_same_weights() -> None:
    clf, images, _, _ = scene(count=1)
    made = explain(clf, images[0], method="grad-cam")
    one, same, other = (
        evaluate(clf, images[0], made, metric="parameter-randomisation", steps=2, seed=s).extras["ssim"]
        for s in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_a_recipe_explains_with_another_network() -> None:
    clf, images, _, targets = scene("plain", count=1)
    other = tiny_classifier("plain", seed=9)
    made = explain(clf, images[0], method="grad-cam", target=targets[0])
    expected = explain(other, images[0], method="grad-cam", target=targets[0]).saliency
    assert (Recipe(clf, made, images[0]).with_network(other) == expected).all()
