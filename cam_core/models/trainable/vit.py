"""A small vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) whose class token decides.

Its patches are embedded by a few convolutions instead of one (Xiao et al. 2021, arXiv:2106.14881): so it learns from
thousands of images what otherwise takes millions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.types import Images, Logits, ModelError

VIT: Final = "vit"
_PATCH: Final = 8  # pixels: three convolutions that halve the size
_STEM: Final = (24, 48)  # channels of the first two
_SPREAD: Final = 0.02  # of tokens and positions before training, as in the paper's code


@dataclass(frozen=True)
class VitRecipe:
    """All that decides the construction.

    Attributes:
        size: height and width of the images in pixels: positions are learnt for so many patches.
        width: D, of a token.
        depth: how many blocks.
        heads: of each attention; they share the width.
        expansion: how many times as wide as a token the layer within a block's perceptron is.
    """

    arch: ClassVar[str] = VIT

    classes: int
    size: int = 64
    width: int = 64
    depth: int = 4
    heads: int = 4
    expansion: int = 2

    def __post_init__(self) -> None:
        """Raises ModelError: a shape that cannot be built."""
        if not all(isinstance(value, int) and value > 0 for value in asdict(self).values()):
            raise ModelError(f"a transformer of {asdict(self)} cannot be built: all of these must be at least 1")
        if self.size % _PATCH or self.width % self.heads:
            raise ModelError(
                f"size={self.size} must be a multiple of {_PATCH} pixels, and width={self.width} of heads={self.heads}"
            )

    @property
    def backbone(self) -> str:
        """In words, for lists of networks."""
        return f"{self.depth} blocks"

    @property
    def options(self) -> dict[str, Any]:
        """The settings beside the number of classes; plain values."""
        return {name: value for name, value in asdict(self).items() if name != "classes"}

    @property
    def patches(self) -> int:
        """How many there are."""
        return (self.size // _PATCH) ** 2


class SelfAttention(nn.Module):
    """softmax(QKᵀ / √d) V, head by head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) → (B, N, D)."""
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        projected: Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return projected


class Block(nn.Module):
    """Attention, then a perceptron, each behind a norm and added to what it was given."""

    def __init__(self, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        inner = expansion * width
        self.perceptron = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) → (B, N, D)."""
        tokens = tokens + self.attention(self.norm1(tokens))
        moved: Tensor = tokens + self.perceptron(self.norm2(tokens))
        return moved


class VisionTransformer(nn.Module):
    """Patches and a class token → blocks → the class token's norm → one linear layer."""

    default_layer: None = None
    """Found with the weights, as for any network on tokens: the norm before the last attention."""

    def __init__(self, recipe: VitRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        width = recipe.width
        self.stem = _stem(width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + recipe.patches, width))
        self.blocks = nn.Sequential(*(Block(width, recipe.heads, recipe.expansion) for _ in range(recipe.depth)))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, recipe.classes)

    @property
    def layers(self) -> tuple[tuple[str, str], ...]:
        """(module name, plain label) of the layers worth explaining; the default is found behind them."""
        blocks = [(f"blocks.{index}", f"block {index + 1}") for index in range(self.recipe.depth - 1)]
        return ("stem", "patches"), *blocks, (last_norm(self.recipe.depth), "before the last attention")

    def forward(self, images: Images) -> Logits:
        """(B, 3, S, S) → (B, C)."""
        patches = self.stem(images).flatten(2).transpose(1, 2)
        class_token = self.class_token.expand(patches.shape[0], -1, -1)
        tokens = self.blocks(torch.cat([class_token, patches], 1) + self.positions)
        logits: Logits = self.classifier(self.norm(tokens)[:, 0])
        return logits


def last_norm(depth: int) -> str:
    """The name of the norm before the last attention of so many blocks."""
    return f"blocks.{depth - 1}.norm1"


def _stem(width: int) -> nn.Sequential:
    """(B, 3, S, S) → (B, width, S / 8, S / 8): three convolutions that halve the size, and one that mixes channels."""
    parts: list[nn.Module] = []
    before = 3
    for channels in (*_STEM, width):
        convolution = nn.Conv2d(before, channels, 3, stride=2, padding=1, bias=False)
        parts += [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        before = channels
    return nn.Sequential(*parts, nn.Conv2d(width, width, 1))


def build_vit(recipe: VitRecipe, *, seed: int = 0) -> VisionTransformer:
    """A new network, in training mode, on the CPU. The same seed gives the same weights.

    Torch's global random state is left alone.
    """
    with PrivateRandomness(seed):
        network = VisionTransformer(recipe)
        for parameter in (network.class_token, network.positions):
            nn.init.trunc_normal_(parameter, std=_SPREAD)
    return network.train()
