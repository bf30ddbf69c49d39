"""Networks as people bring them: the same two tiny ones, under everything that libraries and habits put around them."""

from __future__ import annotations

import contextlib
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from captum.attr import DeepLift, LayerGradCam
from pytorch_grad_cam import GradCAM as PeerGradCAM
from torch import Tensor, distributed, fx, nn
from torch.nn.utils import parametrizations, prune
from torchcam.methods import LayerCAM as PeerLayerCAM

from tests.tiny import CLASSES, SIZE, Plain, Untraceable, enliven, tiny, tiny_images

Score = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Kind:
    """One way to bring a network.

    Attributes:
        bring: makes what is given to `Classifier`.
        plain: the network under it, with the same weights in float32, which Grad-CAM is worked out for by hand.
        layer: its name in the plain network, and in the classifier.
        score: plain network and images → (B, C) scores, one of which is explained.
        traced: whether the fast path is taken.
        options: of the classifier.
        called: the layer's name in the classifier, where it is another than that with the prefix.
    """

    bring: Callable[[], nn.Module]
    plain: Callable[[], nn.Module] = lambda: tiny("plain")
    layer: str = "features.3"
    prefix: str = ""
    score: Score = lambda network, images: network(images)
    traced: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 3
    called: str = ""

    @property
    def own_layer(self) -> str:
        """The layer's name in the classifier."""
        return self.called or self.prefix + self.layer


class Around(nn.Module):
    """Something that holds a network as `net`."""

    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net = tiny("plain") if net is None else net

    def forward(self, x: Tensor) -> Any:
        return self.net(x)


class AsLightning(Around):
    """As a Lightning module is written."""

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])


def returning(make: Callable[[Tensor], Any]) -> Callable[[], nn.Module]:
    """A network whose output is made of the logits."""

    class Returning(Plain):
        def forward(self, x: Tensor) -> Any:
            return make(super().forward(x))

    def build() -> nn.Module:
        network = Returning().eval()
        network.load_state_dict(tiny("plain").state_dict())
        return network

    return build


class Named(NamedTuple):
    """Logits that are not the first."""

    features: Tensor
    logits: Tensor


class Output(OrderedDict[str, Any]):
    """As transformers return it: entries by name, attributes too, and what is None is left out."""

    def __init__(self, **entries: Any) -> None:
        super().__init__((name, value) for name, value in entries.items() if value is not None)
        self.__dict__.update(entries)


class Configuration:
    id2label = {0: "a", 1: "b", 2: "c", 3: "d", 4: "e"}  # noqa: RUF012
    num_channels = 3
    return_dict = True


class AsTransformers(Plain):
    """As `ResNetForImageClassification` is written: a decision by the channels, optional arguments, a structure."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Configuration()

    def forward(
        self,
        pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> Any:
        if pixel_values is None:
            raise ValueError("You have to specify pixel_values")
        if pixel_values.shape[1] != self.config.num_channels:
            raise ValueError("Make sure that the channel dimension matches")
        return_dict = self.config.return_dict if return_dict is None else return_dict
        logits = super().forward(pixel_values)
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits, labels)
        return Output(loss=loss, logits=logits, hidden_states=None) if return_dict else (logits,)


class Optional(Plain):
    """Further arguments that change what is returned."""

    def forward(self, x: Tensor, labels: Tensor | None = None, features: bool = False) -> Any:
        maps = self.features(x)
        if features:
            return maps
        logits = self.fc(torch.flatten(self.pool(maps), 1))
        return logits if labels is None else nn.functional.cross_entropy(logits, labels)


class Anything(Plain):
    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return super().forward(args[0])


class Auxiliary(Plain):
    """A second head while it trains, as Inception and GoogLeNet have one."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Any:
        pooled = torch.flatten(self.pool(self.features(x)), 1)
        return (self.fc(pooled), self.auxiliary(pooled)) if self.training else self.fc(pooled)


class Squeezing(Plain):
    """For one image it returns no row of logits, but the logits."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.features(x)).squeeze())


class Asserting(Plain):
    """Checks its input, as careful people do."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.ndim == 4 and x.size(1) == 3, "images, please"
        if x.dtype != torch.float32:
            raise TypeError("float32, please")
        return super().forward(x)


class InBfloat16(Plain):
    """Its last layer under autocast, and so its logits in bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).bfloat16()


class OneScore(nn.Module):
    """A binary network: the fifth class of the plain one, as (B, 1) or (B,)."""

    def __init__(self, row: bool) -> None:
        super().__init__()
        plain = tiny("plain")
        assert isinstance(plain, Plain)
        self.features, self.pool, self.fc = plain.features, plain.pool, nn.Linear(8, 1)
        self.fc.load_state_dict({name: value[4:] for name, value in plain.fc.state_dict().items()})
        self.row = row

    def forward(self, x: Tensor) -> Tensor:
        score = self.fc(torch.flatten(self.pool(self.features(x)), 1))
        return score if self.row else score.squeeze(1)


def one_after_the_other() -> nn.Module:
    """The same as a sequence, which runs whatever it holds."""
    parts = OneScore(row=True)
    in_order = {"features": parts.features, "pool": parts.pool, "flat": nn.Flatten(), "fc": parts.fc}
    return nn.Sequential(OrderedDict(in_order)).eval()


def both_sides(network: nn.Module, images: Tensor) -> Tensor:
    score = network(images)[:, 4:]
    return torch.cat([-score / 2, score / 2], 1)


def with_channels(count: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(count)
        network = Plain()
        network.features[0] = nn.Conv2d(count, 6, 3, stride=2, padding=1)
        enliven(network)
    return network.eval()


def rounded(dtype: torch.dtype) -> nn.Module:
    """The weights that are left after a visit to another dtype."""
    return tiny("plain").to(dtype).float()


def distributed_by_two() -> nn.Module:
    if not distributed.is_initialized():
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    return nn.parallel.DistributedDataParallel(tiny("residual"))


def changed(change: Callable[[nn.Module], Any], key: str = "plain") -> Callable[[], nn.Module]:
    """The tiny network after something was done to it."""

    def build() -> nn.Module:
        network = tiny(key)
        change(network)
        return network

    return build


def pruned(network: nn.Module) -> None:
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            prune.l1_unstructured(part, "weight", amount=0.4)
    prune.ln_structured(network.get_submodule("features.2"), "weight", amount=0.3, n=2, dim=0)


def pruned_for_good(network: nn.Module) -> None:
    pruned(network)
    for part in network.modules():
        if prune.is_pruned(part) and isinstance(part, nn.Conv2d | nn.Linear):
            prune.remove(part, "weight")


def normed(network: nn.Module) -> None:
    parametrizations.weight_norm(network.get_submodule("features.0"))
    parametrizations.weight_norm(network.get_submodule("fc"))


def normed_in_the_old_way(network: nn.Module) -> None:
    nn.utils.weight_norm(network.get_submodule("features.0"))


def watched_by_captum(network: nn.Module) -> None:
    """Captum's DeepLIFT, interrupted: hooks that hand on equal copies of what they see stay on the module."""
    peer = DeepLift(network)
    network.apply(peer._register_hooks)
    LayerGradCam(network, network.get_submodule("features.3"))


def watched_by_pytorch_grad_cam(network: nn.Module) -> None:
    PeerGradCAM(network, [network.get_submodule("features.3")])(tiny_images(1), None)


def watched_by_torchcam(network: nn.Module) -> None:
    peer = PeerLayerCAM(network, target_layer="features.3")
    peer(0, network(tiny_images(1)))


def copying_hook(network: nn.Module) -> None:
    network.get_submodule("features.1").register_forward_hook(lambda _module, _inputs, output: output.clone())


def compiled_inside(network: nn.Module) -> None:
    network.features = torch.compile(network.features, backend="eager")  # type: ignore[arg-type]


def patched(network: nn.Module) -> None:
    """Another forward on the object: half the logits of its class."""
    network.forward = types.MethodType(lambda self, x: 0.5 * Plain.forward(self, x), network)


def graph_with_names() -> nn.Module:
    graph = fx.symbolic_trace(tiny("plain"))
    output = next(node for node in graph.graph.nodes if node.op == "output")
    output.args = ({"out": output.args[0]},)
    graph.recompile()
    return graph


def as_written(kind: type[nn.Module], **options: Any) -> Callable[[], nn.Module]:
    """Another class with the plain network's weights."""

    def build() -> nn.Module:
        network = kind(**options).eval()
        network.load_state_dict(tiny("plain").state_dict(), strict=False)
        return network

    return build


def traced(key: str) -> nn.Module:
    return torch.jit.trace(tiny(key), tiny_images(2))


def exported(network: str | nn.Module) -> Any:
    module = tiny(network) if isinstance(network, str) else network
    any_number = ({0: torch.export.Dim.DYNAMIC},)
    return torch.export.export(module, (tiny_images(2),), dynamic_shapes=any_number)


def untraceable() -> nn.Module:
    return tiny("untraceable")


def _inside(wrapped: Callable[[], nn.Module], **more: Any) -> Kind:
    return Kind(wrapped, prefix="net.", **more)


KINDS: dict[str, Kind] = {
    "as it should be": Kind(lambda: tiny("plain")),
    "while it trains": Kind(changed(lambda network: network.train(), "residual"), lambda: tiny("residual"), "relu2"),
    "frozen": Kind(changed(lambda network: network.requires_grad_(False))),
    "DataParallel": Kind(lambda: nn.DataParallel(tiny("plain"))),
    "DistributedDataParallel": Kind(distributed_by_two, lambda: tiny("residual"), "relu2"),
    "averaged weights": Kind(lambda: torch.optim.swa_utils.AveragedModel(tiny("plain"))),
    "compiled": Kind(lambda: torch.compile(tiny("plain"), backend="eager")),
    "compiled in place": Kind(changed(lambda network: network.compile(backend="eager"))),
    "compiled and parallel": Kind(lambda: nn.DataParallel(torch.compile(tiny("plain"), backend="eager"))),
    "a part of it compiled": Kind(changed(compiled_inside)),
    "a Lightning module": _inside(AsLightning),
    "a parallel net in a module": _inside(lambda: Around(nn.DataParallel(tiny("plain")))),
    "written as in transformers": Kind(as_written(AsTransformers)),
    "dict of logits": Kind(returning(lambda logits: {"loss": None, "features": logits * 2, "logits": logits})),
    "dict of out and aux": Kind(returning(lambda logits: OrderedDict(out=logits, aux=logits * 2))),
    "dict of one tensor": Kind(returning(lambda logits: {"name": "tiny", "prediction": logits})),
    "tuple": Kind(returning(lambda logits: (logits, logits * 2))),
    "list in a dict": Kind(returning(lambda logits: {"out": [logits, logits * 2]})),
    "named tuple": Kind(returning(lambda logits: Named(logits * 2, logits))),
    "logits told": Kind(
        returning(lambda logits: {"features": logits * 2, "scores": logits}),
        options={"logits": lambda output: output["scores"]},
    ),
    "optional arguments": Kind(as_written(Optional)),
    "any arguments": Kind(as_written(Anything)),
    "an auxiliary head in training": Kind(lambda: as_written(Auxiliary)().train()),
    "positions left (B, C, 1, 1)": Kind(returning(lambda logits: logits[:, :, None, None])),
    "squeezed where one image is": Kind(as_written(Squeezing)),
    "checks of its input": Kind(as_written(Asserting)),
    "logits in bfloat16": Kind(as_written(InBfloat16), score=lambda network, images: network(images).bfloat16()),
    "half precision": Kind(changed(lambda network: network.half()), lambda: rounded(torch.float16)),
    "bfloat16": Kind(changed(lambda network: network.bfloat16()), lambda: rounded(torch.bfloat16)),
    "double precision": Kind(changed(lambda network: network.double())),
    "pruned": Kind(changed(pruned), changed(pruned_for_good)),
    "weight norm": Kind(changed(normed)),
    "weight norm in the old way": Kind(changed(normed_in_the_old_way)),
    "hooks of pytorch-grad-cam": Kind(changed(watched_by_pytorch_grad_cam)),
    "hooks of torchcam": Kind(changed(watched_by_torchcam)),
    "hooks of captum": Kind(changed(watched_by_captum)),
    "a hook that hands on a copy": Kind(changed(copying_hook)),
    "a forward of its own": Kind(changed(patched), score=lambda network, images: 0.5 * network(images)),
    "a graph": Kind(lambda: fx.symbolic_trace(tiny("plain"))),
    "a graph that returns a dict": Kind(graph_with_names),
    "one score (B, 1)": Kind(lambda: OneScore(row=True).eval(), score=both_sides),
    "one score (B,)": Kind(lambda: OneScore(row=False).eval(), score=both_sides),
    "one score of a sequence": Kind(one_after_the_other, score=both_sides),
    "grey images": Kind(lambda: with_channels(1), lambda: with_channels(1), channels=1),
    "six channels": Kind(lambda: with_channels(6), lambda: with_channels(6), channels=6),
    "TorchScript, traced": Kind(lambda: torch.jit.trace(tiny("plain"), tiny_images(2))),
    "TorchScript, traced, with a skip": Kind(lambda: traced("residual"), lambda: tiny("residual"), "relu2"),
    "TorchScript, scripted": Kind(lambda: torch.jit.script(tiny("plain")), called="relu_1"),
    "TorchScript, scripted, with a skip": Kind(
        lambda: torch.jit.script(tiny("residual")), lambda: tiny("residual"), "relu2", called="relu_2"
    ),
    "TorchScript while it trains": Kind(
        lambda: torch.jit.script(tiny("residual").train()), lambda: tiny("residual"), "relu2", called="relu_2"
    ),
    "TorchScript, parallel": Kind(lambda: nn.DataParallel(torch.jit.script(tiny("plain"))), called="relu_1"),
    "exported program": Kind(lambda: exported("plain")),
    "exported program with a skip": Kind(lambda: exported("residual"), lambda: tiny("residual"), "relu2"),
    "exported program's module": Kind(lambda: exported("plain").module()),
    "exported program of a dict": Kind(
        lambda: exported(returning(lambda logits: {"logits": logits, "twice": 2 * logits})())
    ),
    "cannot be traced": Kind(untraceable, untraceable, "conv2", traced=False),
    "cannot be traced, and parallel": Kind(lambda: nn.DataParallel(untraceable()), untraceable, "conv2", traced=False),
    "cannot be traced, in a tuple": Kind(lambda: Around(Tupled()), untraceable, "conv2", prefix="net.", traced=False),
}


class Tupled(Untraceable):
    """Untraceable, with a second output."""

    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(tiny("untraceable").state_dict())

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """Ends what some kinds start for the whole process."""
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def images_for(kind: Kind, count: int) -> Tensor:
    """(count, channels, 16, 16)."""
    colours = tiny_images(count, seed=7)
    return colours.repeat(1, 2, 1, 1)[:, : kind.channels] if kind.channels != 3 else colours


__all__ = ["KINDS", "SIZE", "Kind", "cleared", "images_for"]
