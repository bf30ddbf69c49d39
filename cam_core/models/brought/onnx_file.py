"""An ONNX file: an image classifier that other frameworks hand on, made into modules of torch.

The optional extra `onnx` brings what reads the file and onnx2torch, which converts it. A file holds no code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from cam_core.images import Preprocessing
from cam_core.models.batching import is_out_of_memory
from cam_core.models.brought.facts import usual_statistics
from cam_core.models.noise import noise
from cam_core.types import ModelError

ENDING: Final = ".onnx"

_USUAL_SIDE: Final = 224  # pixels, where the file leaves the size open
_FLOATING: Final = (1, 10, 11, 16)  # ONNX's numbers for float, float16, double and bfloat16
# What a network ends in that returns probabilities: what goes into it are the logits.
_TO_PROBABILITIES: Final = ("Softmax", "LogSoftmax", "Sigmoid")
_AGREEMENT: Final = 1e-3  # relative to the largest |logit|
# By the names of ONNX's metadata: the values of black and of white.
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "nominalrange_0_255": (0.0, 255.0),
    "normalized_0_1": (0.0, 1.0),
    "normalized_1_1": (-1.0, 1.0),
    "nominalrange_16_235": (16.0, 235.0),
}
_ONE_AT_A_TIME: Final = (
    "it was exported for a fixed number of images: export it again with a number of images that is left open, as "
    "torch.onnx.export does with dynamic_shapes={…: {0: 'batch'}}"
)


def is_onnx(name: str) -> bool:
    """Whether a network's name means an ONNX file."""
    return name.lower().endswith(ENDING)


def open_onnx(path: Path) -> tuple[nn.Module, Preprocessing]:
    """The network with its weights, and how photos become its images.

    A softmax or a sigmoid at the end is left out: what goes into it are the logits. Images have the size that the file
    states, 224 × 224 where it leaves that open, and the range of values of its metadata `Image.NominalPixelRange`;
    where it has none, ImageNet's mean and standard deviation.

    Raises:
        ModelError: onnx2torch is not installed; no such file, or no image classifier that it can convert; one that
            takes a fixed number of images, or lets no gradient pass.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    try:
        import onnx
        import onnx2torch
    except ImportError:
        raise ModelError(
            f"{path.name} is an ONNX file, which onnx2torch makes a network of, and that is not installed: pip install "
            "camscope[onnx]"
        ) from None
    model = _read(path, onnx)
    try:
        preprocessing = preprocessing_of(model)
        end_in_logits(model.graph)
        _name_nodes(model.graph)
        module: nn.Module = _converted(model, onnx2torch).float().eval().requires_grad_(False)
        check_runs(module, preprocessing)
    except ModelError as error:
        raise ModelError(f"{path.name} cannot be explained: {error}") from error
    return module, preprocessing


def preprocessing_of(model: Any) -> Preprocessing:
    """How photos become images, by the first input of an ONNX model and by its metadata.

    Raises:
        ModelError: it takes no images (B, n, H, W), or colours in another order.
    """
    shape, facts = _input_shape(model.graph), {entry.key: entry.value.lower() for entry in model.metadata_props}
    channels, input_size = shape[1] or 3, (shape[2] or _USUAL_SIDE, shape[3] or _USUAL_SIDE)
    if facts.get("Image.BitmapPixelFormat", "").startswith("bgr"):
        raise ModelError(
            "it takes blue, green and red in this order: bring it as a module that turns the colours round"
        )
    mean, std = usual_statistics(channels)
    if stated := _RANGES.get(facts.get("Image.NominalPixelRange", "")):
        black, white = stated
        mean, std = (-black / (white - black),) * channels, (1 / (white - black),) * channels
    return Preprocessing(input_size, max(input_size) * 256 // 224, mean=mean, std=std)


def _input_shape(graph: Any) -> Sequence[int]:
    """(images, channels, H, W) of the input; 0 for what is left open."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ModelError(f"it takes {len(inputs)} inputs, not images alone")
    kind = inputs[0].type.tensor_type
    shape = [dim.dim_value for dim in kind.shape.dim]
    read = " × ".join(str(side or "?") for side in shape)
    if kind.elem_type not in _FLOATING:
        raise ModelError("it takes whole numbers, through which no gradient passes, or no tensor")
    if len(shape) != 4:
        raise ModelError(f"it takes {read or 'one number'}, not images × channels × height × width")
    if shape[3] in (1, 3) and shape[1] not in (1, 3):
        raise ModelError(f"it takes {read}, with the channels last: export it with images × channels × height × width")
    return shape


def end_in_logits(graph: Any) -> None:
    """Leave out, in place, a softmax or a sigmoid that makes the only output of an ONNX graph."""
    last = [node for node in graph.node if set(node.output) & {output.name for output in graph.output}]
    if len(graph.output) == len(last) == 1 and last[0].op_type in _TO_PROBABILITIES:
        graph.output[0].name = last[0].input[0]
        graph.node.remove(last[0])


def check_runs(module: nn.Module, preprocessing: Preprocessing) -> None:
    """Refuse a converted network that fails, mixes images, or lets no gradient pass.

    Args:
        module: without weights that ask for gradients.
    Raises:
        ModelError: says which.
    """
    images = noise((preprocessing.channels, *preprocessing.input_size), images=2)
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller is in
        alone = [_first(_run(module, image[None].clone().requires_grad_())) for image in images]
    if not all(output.requires_grad for output in alone):
        raise ModelError("no gradient passes through it, because of whole numbers, roundings or constants")
    expected = torch.cat(alone).detach()
    try:
        with torch.no_grad():
            together = _first(_run(module, images))
    except ModelError as error:
        raise ModelError(f"{_ONE_AT_A_TIME} ({error})") from error
    if together.shape != expected.shape or (together - expected).abs().max() > _AGREEMENT * expected.abs().max():
        raise ModelError(_ONE_AT_A_TIME)


def _read(path: Path, onnx: Any) -> Any:
    try:
        model = onnx.load(path, load_external_data=False)
        lacking = [name for name in _elsewhere(model.graph) if not (path.parent / name).is_file()]
        if not lacking:
            model = onnx.load(path)
    except Exception as error:  # a foreign library may raise anything on a foreign file
        raise ModelError(f"{path.name} is damaged, or no ONNX file ({_first_line(error)})") from error
    if lacking:
        raise ModelError(
            f"the weights of {path.name} lie in a file of their own, {lacking[0]}, which is not beside it: save it in "
            "one file, as torch.onnx.export does with external_data=False"
        )
    if not model.graph.node:
        raise ModelError(f"{path.name} holds no network")
    return model


def _elsewhere(graph: Any) -> list[str]:
    """The names of the files in which a graph's weights lie that are not in its own."""
    entries = [entry for tensor in graph.initializer for entry in tensor.external_data]
    return [entry.value for entry in entries if entry.key == "location"]


def _name_nodes(graph: Any) -> None:
    """Layers are called after nodes, of which some exporters name none."""
    for number, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{number}"


def _converted(model: Any, onnx2torch: Any) -> nn.Module:
    try:
        module: nn.Module = onnx2torch.convert(model)
    except Exception as error:  # a foreign library may raise anything on a foreign graph
        if is_out_of_memory(error):
            raise
        unknown = re.search(r"operation_type='(\w+)', version=(\d+)", str(error))
        what = f"the operation {unknown[1]} (version {unknown[2]})" if unknown else "a part of it"
        detail = "" if unknown else f" ({_first_line(error)})"
        raise ModelError(
            f"onnx2torch does not know {what}{detail}: bring the network that the file was made from, or export it "
            "without that"
        ) from error
    return module


def _run(module: nn.Module, images: Tensor) -> Any:
    try:
        return module(images)
    except Exception as error:  # a foreign network may raise anything
        if is_out_of_memory(error):
            raise
        shape = " × ".join(map(str, images.shape))
        raise ModelError(f"it cannot take images of {shape}: {_first_line(error)}") from error


def _first(output: Any) -> Tensor:
    """The first tensor of an output: where a network has several, that counts."""
    leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if not leaves:
        raise ModelError("it returns no floating-point numbers, and so no class scores: export it without its argmax")
    return leaves[0]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
