"""CAMs that weight the activations by gradients. g_k(i, j) = ∂y_c / ∂A_k(i, j); 0/0 = 0 everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.literal.activation_cams import principal_projection
from tests.literal.network import Hooked, LiteralMap, Score, min_max, upsample, weighted


def cam(net: Hooked, x: Tensor, target: int, classifier: nn.Linear) -> LiteralMap:
    """CAM (Zhou et al. 2016, eq. 2): w_k = W[c, k], the row of the linear classifier behind the average pool."""
    return weighted(classifier.weight[target].detach().double(), net.activations(x)[0])


def grad_cam(net: Hooked, x: Tensor, score: Score) -> LiteralMap:
    """Grad-CAM (1610.02391, eq. 1): w_k = 1/(h·w) Σ_ij g_k(i, j)."""
    acts, gradient = net.gradient(x, score)
    return weighted(torch.stack([g.sum() / g.numel() for g in gradient]), acts)


def grad_cam_plus_plus(net: Hooked, x: Tensor, score: Score, epsilon: float = 0.0, divide: bool = True) -> LiteralMap:
    """Grad-CAM++ (1710.11063, eq. 19 and 7): a = g² / (2g² + (Σ_ab A_k) g³), w_k = Σ_ij a · ReLU(g); 0/0 = 0.

    Args:
        epsilon: added to the denominator (0 in the paper, 1e-6 in PyPI grad-cam).
        divide: False leaves the denominator out altogether, as PyPI torchcam 0.5.0 does: its in-place division acts on
            the copy that boolean indexing makes, hence a = g².
    """
    acts, gradient = net.gradient(x, score)
    weights = []
    for channel, g in zip(acts, gradient, strict=True):
        denominator = 2 * g**2 + channel.sum() * g**3 + epsilon
        alpha = _ratio(g**2, denominator) if divide else g**2
        weights.append((alpha * g.clamp(min=0)).sum())
    return weighted(torch.stack(weights), acts)


def smooth_grad_cam_plus_plus(
    net: Hooked,
    x: Tensor,
    score: Score,
    noise: Tensor,
    epsilon: float = 0.0,
    cubes_inside_the_sum: bool = False,
    last_gradient: bool = False,
) -> LiteralMap:
    """Smooth Grad-CAM++ (1908.01224): D1, D2, D3 = means over noisy inputs of g, g², g³;
    a = D2 / (2 D2 + (Σ_ab A_k) D3), w_k = Σ_ij a · ReLU(D1). A is the activation of the clean image.

    Args:
        noise: (n, 3, H, W), added to the normalised input.
        epsilon: added to the denominator (0; 1e-8 in torchcam).
        cubes_inside_the_sum: Σ_ab A_k · D3 in place of (Σ_ab A_k) · D3, as torchcam has it.
        last_gradient: ReLU(g of the last noisy input) in place of ReLU(D1), as torchcam has it.
    """
    gradients = torch.stack([net.gradient(x + one, score)[1] for one in noise])
    first, second, third = (gradients**power for power in (1, 2, 3))
    acts, weights = net.activations(x)[0], []
    for k, channel in enumerate(acts):
        d1, d2, d3 = first[:, k].mean(0), second[:, k].mean(0), third[:, k].mean(0)
        cubes = (channel * d3).sum() if cubes_inside_the_sum else channel.sum() * d3
        direction = gradients[-1, k] if last_gradient else d1
        weights.append((_ratio(d2, 2 * d2 + cubes + epsilon) * direction.clamp(min=0)).sum())
    return weighted(torch.stack(weights), acts)


def xgrad_cam(net: Hooked, x: Tensor, score: Score, epsilon: float = 0.0) -> LiteralMap:
    """XGrad-CAM (2008.02312, eq. 8): w_k = Σ_ij A_k(i, j) / (Σ_ab A_k(a, b)) · g_k(i, j); a dead channel weighs 0.

    Args:
        epsilon: added to the denominator (0; 1e-7 in PyPI grad-cam, 1e-8 in torchcam).
    """
    acts, gradient = net.gradient(x, score)
    weights = [_ratio((a * g).sum(), a.sum() + epsilon) for a, g in zip(acts, gradient, strict=True)]
    return weighted(torch.stack(weights), acts)


def hires_cam(net: Hooked, x: Tensor, score: Score) -> LiteralMap:
    """HiResCAM (2011.08891, eq. 3): map = Σ_k g_k ⊙ A_k."""
    acts, gradient = net.gradient(x, score)
    total = torch.zeros_like(acts[0])
    for a, g in zip(acts, gradient, strict=True):
        total += g * a
    return LiteralMap(total)


def layer_cam(net: Hooked, x: Tensor, score: Score) -> LiteralMap:
    """LayerCAM (Jiang et al. 2021, eq. 6 and 7): map = Σ_k ReLU(g_k) ⊙ A_k."""
    acts, gradient = net.gradient(x, score)
    total = torch.zeros_like(acts[0])
    for a, g in zip(acts, gradient, strict=True):
        total += g.clamp(min=0) * a
    return LiteralMap(total)


def eigen_grad_cam(net: Hooked, x: Tensor, score: Score) -> LiteralMap:
    """Eigen-CAM's projection of g ⊙ A in place of A, with the same rule for the sign, on g ⊙ A."""
    acts, gradient = net.gradient(x, score)
    return LiteralMap(principal_projection(gradient * acts))


def shapley_cam(net: Hooked, x: Tensor, score: Score) -> LiteralMap:
    """ShapleyCAM (2501.06261): w_k = mean_ij (g − ½ H A), H A the Hessian of the score times the activations.

    A tail that is linear around A has a gradient that does not depend on A: autograd then offers none, and H A = 0.
    """
    with twice_differentiable(net.module):
        acts = net.activations(x).requires_grad_()
        (gradient,) = torch.autograd.grad(score(net.logits_from(acts, x)), acts, create_graph=True)
        curvature = torch.zeros_like(acts)
        if gradient.requires_grad:
            (found,) = torch.autograd.grad((gradient * acts.detach()).sum(), acts, allow_unused=True)
            curvature = curvature if found is None else found
    weights = (gradient - curvature / 2).detach()[0]
    return weighted(torch.stack([w.sum() / w.numel() for w in weights]), acts.detach()[0])


@contextmanager
def twice_differentiable(module: nn.Module) -> Iterator[None]:
    """torch knows no second derivative of hard-sigmoid: its modules are written as relu6(x + 3) / 6 meanwhile."""
    gates = [m for m in module.modules() if isinstance(m, nn.Hardsigmoid) and "forward" not in vars(m)]
    for gate in gates:
        gate.forward = lambda x: functional.relu6(x + 3) / 6  # type: ignore[method-assign]
    try:
        yield
    finally:
        for gate in gates:
            del gate.forward


def finer_score(logits: Tensor, target: int, gamma: float, references: int) -> Score:
    """y_c − gamma · mean_j y_{d_j}: d = the classes, other than c, whose `logits` are nearest to y_c."""
    others = [c for c in range(logits.shape[1]) if c != target]
    others.sort(key=lambda c: abs(float(logits[0, c] - logits[0, target])))
    nearest = others[:references]
    return lambda y: y[0, target] - gamma * sum(y[0, c] for c in nearest) / len(nearest)


def finer_cam(net: Hooked, x: Tensor, target: int, gamma: float = 0.6, references: int = 3) -> LiteralMap:
    """Finer-CAM (2501.11309): Grad-CAM of the class's logit minus gamma times the mean logit of its look-alikes."""
    return grad_cam(net, x, finer_score(net.logits(x), target, gamma, references))


def refine_cam(
    maps: list[Tensor], size: tuple[int, int], normalise_first: bool = False, epsilon: float = 0.0
) -> LiteralMap:
    """Refine-CAM (2605.14641): the product over layers of n(up(ReLU(base map))), base Grad-CAM++.

    Args:
        maps: the base method's raw map at each layer.
        size: the common one: the largest layer's; PyPI grad-cam takes the image's.
        normalise_first: up(n(map)) in place of n(up(map)), as torchcam has it.
        epsilon: added to the range of each map; 1e-8 in torchcam.
    """
    product = torch.ones(size, dtype=torch.float64)
    for positive in (raw.clamp(min=0) for raw in maps):
        if normalise_first:
            product *= upsample(min_max(positive, epsilon), size)
        else:
            product *= min_max(upsample(positive, size), epsilon)
    return LiteralMap(product)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, 0 where the denominator is 0."""
    safe = torch.where(denominator == 0, torch.ones_like(denominator), denominator)
    return torch.where(denominator == 0, torch.zeros_like(denominator), numerator / safe)
