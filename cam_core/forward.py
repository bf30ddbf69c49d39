"""Where all work on a cut network begins: cut → head → logits → target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from cam_core.declarations.lazy import lazy
from cam_core.models.classifier import Classifier
from cam_core.models.split.model import SplitModel
from cam_core.options import Options
from cam_core.targets.asking import ClassTarget
from cam_core.types import Activations, ClassIndex, Images, Logits


def as_images(clf: Classifier, net: SplitModel, images: Sequence[Image.Image | Tensor]) -> Images:
    """(B, channels, H, W) in the dtype that the network's halves take."""
    return torch.cat([clf.as_batch(image) for image in images]).to(net.dtype)


def class_indices(clf: Classifier, targets: Sequence[ClassTarget], logits: Logits) -> ClassIndex:
    """(B,) on the device of `logits` (B, C): the class that is meant for each image.

    Raises:
        TargetError: there is no such class.
    """
    indices = [clf.resolve_target(target, row) for target, row in zip(targets, logits, strict=True)]
    return torch.tensor(indices, device=logits.device)


@dataclass(frozen=True)
class Forward:
    """Images that have passed the heads. The tail is run only where its logits are asked for.

    Attributes:
        nets: the network cut after each layer, holding the context of the images.
        images: (B, channels, H, W), on the device.
        acts: (B, K, h, w), one per layer.
        targets: one per image.
    """

    clf: Classifier
    nets: tuple[SplitModel, ...]
    images: Images
    acts: tuple[Activations, ...]
    targets: Sequence[ClassTarget]

    @lazy
    def logits(self) -> Logits:
        """(B, C), of the unmasked images."""
        with torch.no_grad():
            return self.nets[0].tail(self.acts[0])

    @lazy
    def target(self) -> ClassIndex:
        """(B,) int64, on the device.

        Raises:
            TargetError: there is no such class.
        """
        return class_indices(self.clf, self.targets, self.logits)


def forward(
    clf: Classifier,
    images: Sequence[Image.Image | Tensor],
    targets: Sequence[ClassTarget],
    layers: Sequence[str],
    options: Options,
    *,
    exactly: bool = False,
) -> Forward:
    """Cut the network after each layer and run the heads.

    Args:
        exactly: run them in float32 where the precision is coarser: see `SplitModel.head_exactly`.
    """
    nets = tuple(clf.split(layer, options.precision, compiled=options.compiled) for layer in layers)
    batch = as_images(clf, nets[0], images)
    with torch.no_grad():
        acts = tuple(net.head_exactly(batch) if exactly else net.head(batch) for net in nets)
    return Forward(clf, nets, batch, acts, targets)
