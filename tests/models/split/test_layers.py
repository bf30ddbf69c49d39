"""Which layers are offered: what a person would call a feature map, and nothing else; the network stays as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cam_core.models.classifier import Classifier
from cam_core.models.split.layers import inspect_layers, select_layers
from cam_core.types import LayerError, ModelError
from tests.tiny import SIZE, TINY, tiny


def names_of(module: nn.Module) -> list[str]:
    return [shape[0] for shape in inspect_layers(module, SIZE)]


class Tokens(nn.Module):
    """A vision transformer in small: one convolution cuts the image into patches, the rest works on tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class AttentionPool(nn.Module):
    """Convolutions, and attention only where other networks average: the maps decide."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU())
        self.score = nn.Linear(16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.features(x).flatten(2).transpose(1, 2)
        return self.head((self.score(tokens).softmax(1) * tokens).sum(1))


class ChannelsLast(nn.Module):
    """ConvNeXt's block: inside it, channels stand in the last place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)
        self.last = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.down(self.up(self.norm(self.stem(x).permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
        return self.head(self.last(inner).mean((2, 3)))


class Gated(nn.Module):
    """Dropout, identity, squeeze-and-excitation, a branch that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Hardtanh()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Identity(), nn.Dropout())
        self.squeeze, self.excite = nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1)
        self.pool = nn.MaxPool2d(2)
        self.never = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(self.before(x))
        return self.head((self.pool(x) * self.excite(self.squeeze(x))).mean((2, 3)))


def test_layers_come_in_the_order_of_computation_with_their_shapes() -> None:
    assert inspect_layers(tiny("plain"), SIZE) == [
        ("features.0", 6, 8, 8),
        ("features.1", 6, 8, 8),
        ("features.2", 8, 4, 4),
        ("features", 8, 4, 4),
    ]


def test_a_block_stands_for_its_last_part_and_pooling_for_nothing() -> None:
    # `features` ends in a max-pooling: the last map that a convolution made is the ReLU before it, as in VGG.
    assert names_of(tiny("max-pool")) == ["features.0", "features.1", "features.2", "features.3"]
    assert names_of(tiny("residual"))[-1] == "relu2"


def test_a_layer_that_is_called_again_stands_where_it_was_called_last() -> None:
    shapes = inspect_layers(tiny("reused-relu"), SIZE)
    assert [shape[0] for shape in shapes] == ["conv1", "conv2", "conv3", "relu"]
    assert shapes[-1] == ("relu", 8, 4, 4)


def test_what_is_no_feature_map_is_not_offered() -> None:
    assert names_of(Gated()) == ["stem"]
    assert names_of(ChannelsLast()) == ["stem", "last"]


def test_named_layers_alone() -> None:
    shapes = inspect_layers(tiny("plain"), SIZE, ["features.3", "features.1"])
    assert shapes == [("features.1", 6, 8, 8), ("features.3", 8, 4, 4)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stems", "no layer 'stems'; did you mean stem"),
        ("head", "'head' yields 5 values, not channels × height × width"),
        ("never", "'never' is never called"),
    ],
)
def test_a_wrong_name_is_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        inspect_layers(Gated(), SIZE, [name])


def test_a_transformer_offers_what_its_blocks_return() -> None:
    shapes = [("patches", 16, 4, 4), ("blocks.layers.0", 16, 4, 4), ("blocks.layers.1", 16, 4, 4)]
    assert inspect_layers(Tokens(), SIZE) == shapes
    assert select_layers(Tokens(), SIZE, ()) == (shapes, None)


def test_a_convolutional_network_may_end_in_attention() -> None:
    assert names_of(AttentionPool())[-1] == "features"


def test_without_a_convolution_there_is_nothing_to_explain() -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    assert inspect_layers(dense, SIZE) == []
    with pytest.raises(ModelError, match="convolutional layer"):
        select_layers(dense, SIZE, ())
    with pytest.raises(ModelError, match="convolutional layer"):
        _ = Classifier(dense, input_size=SIZE, device="cpu").layers


def test_an_image_that_the_network_cannot_take_is_an_error_of_the_model() -> None:
    with pytest.raises(ModelError, match="cannot take an image of 3 × 1 × 1"):
        inspect_layers(tiny("max-pool"), (1, 1))


@pytest.mark.parametrize("key", TINY)
@pytest.mark.parametrize("size", [SIZE, (1, 1)], ids=["success", "failure"])
def test_the_network_is_left_as_it_was(key: str, size: tuple[int, int]) -> None:
    module = tiny(key).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        inspect_layers(module, size)
    except ModelError:
        assert size != SIZE
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(part.training and not part._forward_hooks for part in module.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())


def test_a_module_in_another_dtype_or_on_the_meta_device() -> None:
    expected = inspect_layers(tiny("residual"), SIZE)
    assert inspect_layers(tiny("residual").double(), SIZE) == expected
    assert inspect_layers(tiny("residual").to("meta"), SIZE) == expected


def test_a_caller_in_inference_mode_sees_the_same() -> None:
    module = tiny("reused-relu")
    with torch.inference_mode():
        assert inspect_layers(module, SIZE) == inspect_layers(tiny("reused-relu"), SIZE)


@pytest.mark.parametrize(
    ("build", "stages", "expected"),
    [
        (lambda: tiny("plain"), ("features.1", "features.3"), ["features.1", "features.3"]),  # its authors' name for it
        (lambda: tiny("plain"), ("features.1",), ["features.1", "features"]),
        (lambda: tiny("plain"), (), ["features.1", "features"]),  # the last at each resolution
        (Gated, ("squeeze", "never", "unknown", "head", "stem"), ["stem"]),
    ],
)
def test_a_short_list_ends_in_the_last_feature_map(
    build: Callable[[], nn.Module], stages: tuple[str, ...], expected: list[str]
) -> None:
    shapes, default = select_layers(build(), SIZE, stages)
    assert [shape[0] for shape in shapes] == expected
    assert default == expected[-1]
