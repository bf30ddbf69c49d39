"""Which literal formula stands behind each key of the registry, with the constants of the papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cam_core.run import Run
from tests import literal
from tests.literal.activation_cams import Blend, blend_normalised, blend_pixels
from tests.literal.network import logit
from tests.oracles.scenes import Formula, Scene


def with_score(method: Callable[..., literal.LiteralMap], **constants: Any) -> Formula:
    """A formula that explains a score: here always the raw logit."""
    return lambda s: method(s.net, s.x.double(), logit(s.target), **constants)


def black(s: Scene) -> Blend:
    """Masking in pixel space."""
    mean, std = (
        torch.tensor(values, dtype=torch.float64) for values in (s.clf.preprocessing.mean, s.clf.preprocessing.std)
    )
    return lambda masks, image: blend_pixels(masks, image, mean, std)


def score_cam(s: Scene, score: str = "logit", mask_space: str = "normalized") -> literal.LiteralMap:
    blend = black(s) if mask_space == "pixel" else blend_normalised
    return literal.score_cam(s.net, s.x.double(), s.target, blend=blend, probability=score == "probability")


def smooth_grad_cam_plus_plus(s: Scene) -> literal.LiteralMap:
    """Four noisy images, sigma 0.3, drawn one after the other from the run's generator."""
    generator = torch.Generator().manual_seed(0)
    noise = [0.3 * torch.randn(s.x.shape[1:], generator=generator, dtype=torch.float64) for _ in range(4)]
    return literal.smooth_grad_cam_plus_plus(s.net, s.x.double(), logit(s.target), torch.stack(noise))


def ss_cam(s: Scene) -> literal.LiteralMap:
    """Two noisy copies of each mask, sigma 2, each drawn from a stream of its own."""
    channels = range(len(s.net.activations(s.x)[0]))
    noise = [
        torch.stack([torch.randn(s.size, generator=Run().generator(2 * k + copy + 1)) for k in channels])
        for copy in range(2)
    ]
    return literal.ss_cam(s.net, s.x.double(), s.target, 2 * torch.stack(noise).double())


def is_cam(s: Scene) -> literal.LiteralMap:
    return literal.is_cam(s.net, s.x.double(), s.target, [1 / 3, 2 / 3, 1.0])


def ablation_cam(s: Scene) -> literal.LiteralMap:
    return literal.ablation_cam(s.net, s.x.double(), s.target)


# The tails as plain sequences, for the Rescale rule by hand. Max-pool has no literal rule: VGG is cut behind its last.
LIFT_LAYERS = {
    "resnet18": "layer4",
    "vgg11": "features.20",
    "mobilenet_v3_large": "features.16",
    "densenet121": "features",
}


def tail_layers(network: str, module: nn.Module) -> list[nn.Module]:
    if network == "resnet18":
        return [module.avgpool, nn.Flatten(), module.fc]
    if network == "densenet121":
        return [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), module.classifier]
    return [module.avgpool, nn.Flatten(), *module.classifier]


# One backward pass or none: cheap enough for two layers of every network.
CHEAP: dict[str, Formula] = {
    "grad-cam": with_score(literal.grad_cam),
    "grad-cam++": with_score(literal.grad_cam_plus_plus),
    "smooth-grad-cam++": smooth_grad_cam_plus_plus,
    "xgrad-cam": with_score(literal.xgrad_cam),
    "hires-cam": with_score(literal.hires_cam),
    "layer-cam": with_score(literal.layer_cam),
    "eigen-cam": lambda s: literal.eigen_cam(s.net, s.x.double()),
    "eigen-grad-cam": with_score(literal.eigen_grad_cam),
    "shapley-cam": with_score(literal.shapley_cam),
    "finer-cam": lambda s: literal.finer_cam(s.net, s.x.double(), s.target),
}

# One forward pass a channel, or several: with the parameters that keep them few.
COSTLY: dict[str, tuple[Formula, dict[str, Any]]] = {
    "score-cam": (score_cam, {}),
    "ss-cam": (ss_cam, {"samples": 2}),
    "is-cam": (is_cam, {"steps": 3}),
    "ablation-cam": (ablation_cam, {}),
}
