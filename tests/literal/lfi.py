"""LFI-CAM and ABN written out in loops over single numbers, from features onwards, in float64 and evaluation mode."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from cam_core.models.trainable.abn import ABN
from cam_core.models.trainable.lfi import LFI

Array = npt.NDArray[np.float64]


def lfi_forward(network: LFI, image: Tensor, relu: str) -> tuple[Array, Array, Array]:
    """One image (3, H, W) → logits (C,), attention (h, w), weights (K,). `relu`: "alternate" or "all"."""
    acts = array(network.features(image[None])[0])
    grey = resized(array(image).mean(0), acts.shape[1], acts.shape[2])
    masked = np.stack([channel_mask(channel) * grey for channel in acts])
    parts = [part for part in network.importance.convolutions if not isinstance(part, nn.ReLU)]
    for index in range(4):
        masked = normalised(convolved(masked, parts[2 * index]), parts[2 * index + 1])
        if relu == "all" or index in (1, 3):
            masked = np.maximum(masked, 0)
    importance = [channel.mean() for channel in masked]
    largest = max(importance)
    shares = [math.exp(value - largest) for value in importance]
    weights = np.array([share / sum(shares) for share in shares])
    combined = np.zeros(acts.shape[1:])
    for weight, channel in zip(weights, acts, strict=True):
        combined += weight * channel
    positive = np.maximum(combined, 0)
    low, high = positive.min(), positive.max()
    attention = positive if high == low else (positive - low) / (high - low)
    return classified(acts, attention, network.classifier), attention, weights


def abn_forward(network: ABN, image: Tensor) -> tuple[Array, Array, Array]:
    """One image → logits of the perception branch (C,), attention (h, w), logits of the attention branch (C,)."""
    acts, branch = array(network.features(image[None])[0]), network.branch
    responses = np.maximum(
        normalised(convolved(normalised(acts, branch.norm), branch.response), branch.response_norm), 0
    )
    attention = 1 / (1 + np.exp(-normalised(convolved(responses, branch.map), branch.map_norm)[0]))
    scores = np.array([channel.mean() for channel in convolved(responses, branch.scores)])
    return classified(acts, attention, network.classifier), attention, scores


def channel_mask(channel: Array) -> Array:
    """(h, w) from 0 to 1; 1 where it is constant, and 0 wherever the channel is 0."""
    low, high = channel.min(), channel.max()
    mask = np.empty_like(channel)
    for place, value in np.ndenumerate(channel):
        mask[place] = 0.0 if value == 0 else 1.0 if high == low else (value - low) / (high - low)
    return mask


def resized(image: Array, height: int, width: int) -> Array:
    """Bilinear without antialiasing, pixel centres aligned as by align_corners=False."""
    found = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            down = min(max((i + 0.5) * image.shape[0] / height - 0.5, 0.0), image.shape[0] - 1.0)
            across = min(max((j + 0.5) * image.shape[1] / width - 0.5, 0.0), image.shape[1] - 1.0)
            top, left = int(down), int(across)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            v, u = down - top, across - left
            upper = (1 - u) * image[top, left] + u * image[top, right]
            lower = (1 - u) * image[bottom, left] + u * image[bottom, right]
            found[i, j] = (1 - v) * upper + v * lower
    return found


def convolved(maps: Array, layer: nn.Module) -> Array:
    """A convolution without bias, stride 1, zeros around the border: one output channel and one tap at a time."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is None
    weight = array(layer.weight)
    reach = weight.shape[2] // 2
    height, width = maps.shape[1:]
    padded = np.pad(maps, ((0, 0), (reach, reach), (reach, reach)))
    found = np.zeros((len(weight), height, width))
    for out in range(weight.shape[0]):
        for channel in range(weight.shape[1]):
            for row in range(weight.shape[2]):
                for column in range(weight.shape[3]):
                    tap = padded[channel, row : row + height, column : column + width]
                    found[out] += weight[out, channel, row, column] * tap
    return found


def normalised(maps: Array, layer: nn.Module) -> Array:
    """Batch norm with its running statistics."""
    assert isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None
    mean, variance = array(layer.running_mean), array(layer.running_var)
    scale, shift = array(layer.weight), array(layer.bias)
    found = np.empty_like(maps)
    for k in range(len(maps)):
        found[k] = (maps[k] - mean[k]) / math.sqrt(variance[k] + layer.eps) * scale[k] + shift[k]
    return found


def classified(acts: Array, attention: Array, linear: nn.Linear) -> Array:
    """Attention mechanism, pooling, linear layer."""
    pooled = np.array([(channel * attention + channel).mean() for channel in acts])
    return array(linear.weight) @ pooled + array(linear.bias)


def array(values: Tensor) -> Array:
    """As float64 numbers."""
    return values.detach().double().numpy()
