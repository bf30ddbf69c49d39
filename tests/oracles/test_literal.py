"""The literal formulas themselves, against finite differences, definitions and torch: a check must be checkable."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import literal
from tests.literal.network import Score, logit
from tests.literal.opti import adam
from tests.tiny import TINY, tiny, tiny_images

X = tiny_images(1).double()


def hooked(key: str, layer: str | None = None) -> literal.Hooked:
    return literal.Hooked(tiny(key), layer or TINY[key].layers[-1])


@pytest.mark.parametrize("key", TINY)
def test_gradient_is_the_finite_difference(key: str) -> None:
    net, score, step = hooked(key), logit(1), 1e-6
    acts, gradient = net.gradient(X, score)
    for place in acts.flatten().argsort(descending=True)[:5]:  # the largest lie on no kink of a ReLU or a max-pool
        moved = torch.stack([acts, acts])
        moved[0].view(-1)[place] -= step
        moved[1].view(-1)[place] += step
        low, high = net.logits_from(moved, X)[:, 1]
        assert float(high - low) / (2 * step) == pytest.approx(float(gradient.reshape(-1)[place]), abs=1e-8)


def test_activations_are_those_before_an_in_place_relu() -> None:
    net = hooked("reused-relu", "conv3")
    acts = net.activations(X)
    assert acts.min() < 0
    assert torch.equal(net.logits_from(acts, X), net.logits(X))


def test_hessian_vector_product_is_the_finite_difference_of_the_gradient() -> None:
    net, score = hooked("squeeze-excite", "stem"), logit(2)
    weights = literal.shapley_cam(net, X, score).coefficients
    acts, step = net.activations(X), 1e-4
    low, middle, high = (_gradient_at(net, acts * factor, score) for factor in (1 - step, 1, 1 + step))
    curvature = (high - low) / (2 * step)
    assert curvature.abs().max() > 1e-3
    assert torch.allclose(weights, (middle - curvature / 2).mean(dim=(1, 2)), atol=1e-7)


def _gradient_at(net: literal.Hooked, acts: Tensor, score: Score) -> Tensor:
    leaf = acts.clone().requires_grad_()
    return torch.autograd.grad(score(net.logits_from(leaf, X)), leaf)[0][0]


def test_subsets_and_permutations_give_the_same_shapley_values() -> None:
    values = torch.randn(32, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).tolist()

    def value(inside: frozenset[int]) -> float:
        return values[sum(2**player for player in inside)]

    phi = literal.shapley_values(value, 5)
    assert torch.allclose(phi, literal.permutation_values(value, 5), atol=1e-12)
    assert float(phi.sum()) == pytest.approx(values[31] - values[0])


def test_shapley_values_of_the_glove_game() -> None:
    """Player 0 has a left glove, 1 and 2 a right one each; a pair is worth 1. Known answer: 2/3, 1/6, 1/6."""

    def value(inside: frozenset[int]) -> float:
        return float(0 in inside and bool(inside & {1, 2}))

    assert literal.shapley_values(value, 3).tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_rescale_contributions_sum_to_the_change_of_the_output() -> None:
    torch.manual_seed(1)
    layers = [nn.Conv2d(4, 6, 3), nn.SiLU(), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.Sigmoid()]
    tail = nn.Sequential(*layers).double().eval()
    acts, reference = torch.randn(2, 4, 4, 4, dtype=torch.float64)
    contributions = literal.rescale_contributions(layers, acts, reference, 3)
    change = (tail(acts[None]) - tail(reference[None]))[0, 3]
    assert float(contributions.sum()) == pytest.approx(float(change.detach()), rel=1e-10)


def test_rescale_rule_by_hand() -> None:
    """y = 2 ReLU(a − 1) + ReLU(b + 1) at (3, −2) from (0, 0): 2 · 2/3 · 3 = 4 from a and (−1/−2) · −2 = −1 from b."""
    first, second = nn.Linear(2, 2).double(), nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        first.weight.copy_(torch.eye(2))
        first.bias.copy_(torch.tensor([-1.0, 1.0]))
        second.weight.copy_(torch.tensor([[2.0, 1.0]]))
    acts = torch.tensor([3.0, -2.0], dtype=torch.float64).view(2, 1, 1)
    found = literal.lift_cam([nn.Flatten(), first, nn.ReLU(), second], acts, 0)
    assert found.coefficients is not None
    assert found.coefficients.tolist() == pytest.approx([4.0, -1.0])


def testadam_is_torchsadam() -> None:
    u, first, second = torch.full((3,), 0.5, dtype=torch.float64), torch.zeros(3).double(), torch.zeros(3).double()
    theirs = u.clone().requires_grad_()
    optimiser = torch.optim.Adam([theirs], lr=0.1)
    for step in range(1, 6):
        gradient = torch.tensor([1.0, -0.3, 0.02 * step], dtype=torch.float64)
        u, first, second = adam(u, gradient, first, second, step, 0.1)
        theirs.grad = gradient
        optimiser.step()
    assert torch.allclose(u, theirs.detach(), atol=1e-12)


def test_principal_projection_is_the_singular_vector_up_to_its_sign() -> None:
    features = torch.randn(6, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    rows = features.flatten(1).T - features.flatten(1).T.mean(0)
    _, _, directions = torch.linalg.svd(rows, full_matrices=False)
    expected, found = (rows @ directions[0]).reshape(3, 4), literal.principal_projection(features)
    assert torch.allclose(found, expected) or torch.allclose(found, -expected)
