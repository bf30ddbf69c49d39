"""Smooth Grad-CAM++: Grad-CAM++ on gradients averaged over noisy copies of the image."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from cam_core.declarations.parameters import Parameter
from cam_core.maps import divide
from cam_core.methods.gradients import class_gradient
from cam_core.methods.registry import Planned, method
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Coefficients, Images, Passes


@method(
    "smooth-grad-cam++",
    title="Smooth Grad-CAM++",
    plain="Grad-CAM++ averaged over noisy copies of the photo, so that chance details cancel out.",
    family="Gradients",
    paper=(
        "Omeiza et al., “Smooth Grad-CAM++: An Enhanced Inference Level Visualization Technique for Deep Convolutional "
        "Neural Network Models”, 2019, arXiv:1908.01224, eq. 7–9, with Grad-CAM++'s numerator"
    ),
    formula="w_k = Σ_ij a · ReLU(D1), a = D2 / (2 D2 + (Σ A_k) D3), D1, D2, D3 = means of g, g², g³ over noisy inputs",
    cost="n full passes and n backward passes of the tail",
    planned=lambda site, p: Planned(p["samples"], p["samples"], Passes(0, p["samples"])),
    fails="Depends on the noise: too much of it explains another image.",
    score="logit; the weights a assume its exponential",
    unit="logits per unit of activation",
    signed=False,
    stochastic=True,
    claim="Averaging over noise sharpens Grad-CAM++.",
)
def smooth_grad_cam_plus_plus(
    net: SplitModel,
    image: Images,
    acts: Activations,
    target: ClassIndex,
    run: Run,
    samples: Annotated[int, Parameter("noisy copies of the image", low=1, high=256)] = 4,
    sigma: Annotated[
        float, Parameter("standard deviation of the noise on the normalised input", title="noise, σ", low=0, high=5)
    ] = 0.3,
) -> Coefficients:
    """w_k = Σ_ij a_k · ReLU(D1), with a_k = D2 / (2 D2 + (Σ_ab A_k) D3), and a_k = 0 where the denominator is 0.

    D1, D2, D3: means over the noisy copies of g, g², g³. The paper's numerator for a is D1; Grad-CAM++, which it
    generalises, and the published peers have D2. A_k are the clean image's activations.

    Returns:
        (B, K).
    """
    first, second, third = (torch.zeros_like(acts) for _ in range(3))
    run.expect(samples)
    noises = [run.generator() for _ in image]
    for _ in range(samples):
        gradient = _noisy_gradient(net, image, target, noises, sigma)
        first += gradient / samples
        second += gradient**2 / samples
        third += gradient**3 / samples
        run.advance()
    denominator = 2 * second + acts.sum(dim=(2, 3), keepdim=True) * third
    return (divide(second, denominator) * first.relu()).sum(dim=(2, 3))


def _noisy_gradient(
    net: SplitModel, image: Images, target: ClassIndex, noises: list[torch.Generator], sigma: float
) -> Tensor:
    shape = image.shape[1:]
    noise = torch.stack([torch.randn(shape, generator=generator, dtype=torch.float64) for generator in noises])
    view = net.fork()
    return class_gradient(view, view.head(image + sigma * noise.to(image)), target)
