"""ABN, the attention branch network of Fukui et al. 2019 (CVPR), arXiv:1812.10025: LFI-CAM's predecessor and rival."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core.models.trainable.backbones import Backbone
from cam_core.models.trainable.baseline import Attended, Baseline, Recipe
from cam_core.types import Activations, Images, Logits


class AttentionBranch(nn.Module):
    """One response map per class, and from these the class scores on one side and the attention map on the other.

        R     = ReLU(BN(conv1×1(BN(A))))          one map per class
        att   = sigmoid(BN(conv3×3(R)))           (B, h, w)
        score = GAP(conv1×1(R))                   (B, C)

    Layers, sizes and order are those of the authors' code, without biases in the convolutions.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.response = nn.Conv2d(channels, classes, 1, bias=False)
        self.response_norm = nn.BatchNorm2d(classes)
        self.relu = nn.ReLU()
        self.map = nn.Conv2d(classes, 1, 3, padding=1, bias=False)
        self.map_norm = nn.BatchNorm2d(1)
        self.sigmoid = nn.Sigmoid()
        self.scores = nn.Conv2d(classes, classes, 1, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, acts: Activations) -> tuple[Tensor, Logits]:
        """(B, K, h, w) → attention map (B, h, w) in (0, 1) and the branch's own logits (B, C)."""
        responses = self.relu(self.response_norm(self.response(self.norm(acts))))
        attention = self.sigmoid(self.map_norm(self.map(responses)))
        return attention[:, 0], torch.flatten(self.pool(self.scores(responses)), 1)


class ABN(Baseline):
    """An attention branch beside the perception branch: A' = A · (1 + att), y = FC(GAP(A')).

    The loss is the sum of both branches' cross-entropies. In the paper the branches part before the network's last
    stage, of which each has a copy of its own. Here they part behind the features that all networks of the comparison
    share, so the attention branch has no stage of its own and the perception branch is pooling and a linear layer; the
    attention map has the resolution of the last features.
    """

    branch: AttentionBranch
    attended: Attended

    def __init__(self, backbone: Backbone, recipe: Recipe) -> None:
        branch = AttentionBranch(backbone.channels, recipe.classes)
        super().__init__(backbone, recipe, branch=branch, attended=Attended())

    @property
    def layers(self) -> tuple[tuple[str, str], ...]:
        """As the baseline's, and the attended features behind them."""
        return (*self.stages, ("features", "features"), ("attended", "attended features, last"))

    def forward(self, images: Images) -> Logits:
        """(B, 3, H, W) → the perception branch's logits (B, C)."""
        return self._both(images)[0]

    def loss(self, images: Images, labels: Tensor) -> tuple[Tensor, Logits]:
        """The sum of both branches' cross-entropies, and the perception branch's logits."""
        logits, branch_logits = self._both(images)
        total = functional.cross_entropy(logits, labels) + functional.cross_entropy(branch_logits, labels)
        return total, logits

    def attention(self, images: Images) -> Tensor:
        """The attention map (B, h, w), in (0, 1); it depends on no chosen class."""
        attention: Tensor = self.branch(self.features(images))[0]
        return attention

    def _both(self, images: Images) -> tuple[Logits, Logits]:
        acts = self.features(images)
        attention, branch_logits = self.branch(acts)
        return self._classify(self.attended(acts, attention)), branch_logits
