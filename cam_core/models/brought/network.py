"""From a module as it was brought to one that takes images alone and returns logits (B, C), on a copy or beside it."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from dataclasses import dataclass
from itertools import chain
from types import new_class
from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from cam_core.models.batching import is_out_of_memory
from cam_core.models.brought.answers import Answer, Choose, answer_in, as_they_are
from cam_core.models.brought.weights import with_plain_weights
from cam_core.models.noise import InputSize, noise_for
from cam_core.models.precision import computing_in
from cam_core.models.split.hooks import hooked_copy
from cam_core.models.split.watching import cannot_take
from cam_core.types import ModelError

_LOGITS: Final = "brought_logits"
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Brought:
    """A network that maps images (B, n, H, W) to logits (B, C ≥ 2) in float32.

    Attributes:
        network: the module itself where it does that already. Otherwise a copy, or a view that shares the module's
            parts: never to be changed, either way. Parts have the names that they have in the module.
        single: whether the module gives one number per image, which here has two sides.
    """

    network: nn.Module
    single: bool = False


def brought(module: nn.Module, input_size: InputSize, choose: Choose | None) -> Brought:
    """Find the logits by running a private copy of `module` on noise.

    Args:
        module: without wrappers around it: see `wrappers.opened`.
        input_size: (channels, H, W) of its images.
        choose: what it returns → its logits; found where None.
    Raises:
        ModelError: it cannot take such images, or does not return class scores.
    """
    if choose is as_they_are:
        return Brought(module)
    try:
        network = with_plain_weights(module, input_size)
        scratch = hooked_copy(network)
    except Exception as error:  # a foreign object may raise anything when it is copied
        if is_out_of_memory(error):
            raise
        raise ModelError(f"the network cannot be copied, and is never worked on itself: {error}") from error
    answer = answer_in(*_outputs(scratch, input_size), choose)
    if answer.plain and _takes_images_alone(network):
        return Brought(network)
    return Brought(_adapted(network, answer), answer.single)


def two_sided() -> nn.Linear:
    """One score z (B, 1) → the logits (−z/2, z/2) of "negative" and "positive".

    Their softmax is (sigmoid(−z), sigmoid(z)), what the score meant, and either side can be explained. A linear layer,
    so that every method knows it; its weights are no parameters, because nothing of it was learnt.
    """
    layer = nn.Linear(1, 2, bias=False)
    del layer.weight
    layer.register_buffer("weight", torch.tensor([[-0.5], [0.5]]))
    return layer.eval()


class _Logits(nn.Module):
    """What a network returns → logits (B, C ≥ 2)."""

    def __init__(self, answer: Answer, network: nn.Module) -> None:
        super().__init__()
        self._answer = answer
        like = next(chain(network.parameters(), network.buffers()), torch.empty(0))
        self.sides = two_sided().to(like.device) if answer.single else None
        self.eval()

    def forward(self, output: Any) -> Tensor:
        logits = self._answer(output)
        return logits if self.sides is None else self.sides(logits)


class _Adapted(nn.Module):
    """Stands before a module's own class: passes on the image alone, and returns the logits alone."""

    def forward(self, image: Tensor) -> Tensor:
        forward = vars(self)["_own_forward"] or super().forward
        logits: Tensor = self._modules[_LOGITS](forward(image))  # type: ignore[misc]
        return logits


def _adapted(network: nn.Module, answer: Answer) -> nn.Module:
    if network._forward_hooks or network._forward_pre_hooks:
        raise ModelError(
            "a hook on the network itself changes what it takes or returns, and its logits are not (B, C): remove the "
            "hook, or wrap both into a module that returns logits"
        )
    logits = _Logits(answer, network)
    if type(network).forward is nn.Sequential.forward and "forward" not in vars(network):  # runs all that it holds
        parts = {name: part for name, part in network._modules.items() if part is not None}
        return nn.Sequential(OrderedDict(parts | {_LOGITS: logits})).eval()
    return _longer_graph(network, logits) if isinstance(network, fx.GraphModule) else _view(network, logits)


def _view(network: nn.Module, logits: _Logits) -> nn.Module:
    kind = type(network)
    view: nn.Module = object.__new__(new_class(kind.__name__, (_Adapted, kind)))
    vars(view).update(vars(network), _modules={**network._modules, _LOGITS: logits})
    # A forward that somebody has put on the object, not on its class: torch would call it, and torch.fx would not.
    vars(view)["_own_forward"] = vars(view).pop("forward", None)
    return view


def _longer_graph(network: fx.GraphModule, logits: _Logits) -> nn.Module:
    """A copy, because the `forward` of a graph module is written anew whenever it is copied."""
    duplicate = copy.deepcopy(network)
    duplicate.add_module(_LOGITS, logits)
    output = next(node for node in duplicate.graph.nodes if node.op == "output")
    with duplicate.graph.inserting_before(output):
        output.args = (duplicate.graph.call_module(_LOGITS, (output.args[0],)),)
    duplicate.recompile()
    return duplicate


def _takes_images_alone(network: nn.Module) -> bool:
    if "forward" in vars(network):
        return False
    only, *more = inspect.signature(network.forward).parameters.values()
    return not more and only.kind not in _VARIADIC


def _outputs(scratch: nn.Module, input_size: InputSize) -> tuple[Any, Any]:
    """What a private copy returns for one image, and for two at once."""
    _check_arguments(scratch)
    images = noise_for(scratch, input_size, images=2)
    # Also for a caller in inference mode, whose tensors do not tell when they are written to.
    with computing_in("float32", images.device), torch.inference_mode(False), torch.no_grad():
        return _output(scratch, images[:1].clone()), _output(scratch, images)


def _output(network: nn.Module, images: Tensor) -> Any:
    try:
        return network(images)
    except Exception as error:  # a foreign network may raise anything
        if is_out_of_memory(error):
            raise
        reason = cannot_take(images.shape[1:], error, len(images))
        if len(images) == 1:
            raise reason from error
        raise ModelError(
            f"{reason}. If it was exported or traced for one image, make it again for any number of them"
        ) from error


def _check_arguments(network: nn.Module) -> None:
    if type(network).forward is nn.Module.forward and "forward" not in vars(network):
        raise ModelError(f"{type(network).__name__} has no forward: bring the network that it holds")
    beside = list(inspect.signature(network.forward).parameters.values())[1:]
    needed = [part.name for part in beside if part.default is part.empty and part.kind not in _VARIADIC]
    if needed:
        raise ModelError(
            f"the network's forward asks for {', '.join(needed)} beside the image: wrap it into a module whose forward "
            "takes the image alone"
        )
