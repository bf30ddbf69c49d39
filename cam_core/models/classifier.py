"""Classifier: a network with what an explanation needs to know of it: labels, preprocessing, layers. Never modified."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cam_core.deprecated import formerly_positional
from cam_core.images import Fit, Preprocessing
from cam_core.models.brought.answers import Choose, as_they_are
from cam_core.models.brought.facts import framing, own_labels, side_labels
from cam_core.models.brought.kinds import check_kind, check_scores
from cam_core.models.brought.network import Brought, brought
from cam_core.models.brought.programs import as_modules, is_program
from cam_core.models.brought.wrappers import name_inside, opened, wraps_inside
from cam_core.models.devices import double, resolve_device
from cam_core.models.noise import noise
from cam_core.models.origin import Origin
from cam_core.models.precision import COARSE, check_precision, dtype_of
from cam_core.models.split.compiled import CompiledHalves
from cam_core.models.split.halves import Halves, build_halves, check_layer_exists
from cam_core.models.split.layers import in_words, inspect_layers, layers_and_default
from cam_core.models.split.model import SplitModel
from cam_core.models.split.watching import LayerShape
from cam_core.types import Images, LayerInfo, ModelError, Picture, TargetError

# Each entry is a private copy of the network: enough to compare two layers or two precisions without rebuilding.
_CACHED_SPLITS = 3


@dataclass(frozen=True)
class Prediction:
    """One class with the network's belief in it."""

    index: int
    label: str
    logit: float
    probability: float


class Classifier:
    """Any torch image classifier, ready to be explained.

    The module is never modified, frozen, folded or moved: all work happens on private copies, made when a layer is
    first explained and kept for the few layers used last.

    One score z per image becomes the logits −z/2 of the negative side and z/2 of the positive one, whose softmax is
    sigmoid(z): each side can be explained, and its probability is what the score meant. (Of a regression value, only
    the sides mean something.)

    Args:
        module: maps images (B, n, H, W) to class scores, n being 3, 1 (grey) or any other number. `DataParallel`,
            `torch.compile` and the like are looked through, TorchScript and programs of `torch.export` are put together
            again of modules, weights of half and double precision become float32, and optional arguments of its
            forward keep their defaults. The guide "A network of your own" tells all of it.
        name: how explanations refer to it.
        labels: one name per class; those in the module's own `config.id2label`, or "class 0" …, where omitted. For a
            module with one score per image (B,) or (B, 1): the positive label, or the negative and the positive one.
        preprocessing: overrides input_size, mean, std and resize.
        input_size: (H, W) after cropping: the shorter side is scaled to 256/224 of the longer of these two, and the
            middle is cut out.
        resize: "crop" does that; "letterbox" shows all of the photo, in the middle of the mean colour, and padding is
            never counted or drawn as a part of it; "stretch" scales each side for itself.
        mean, std: of the input normalisation, one number per channel, for pixels in [0, 1]. Where omitted: ImageNet's
            for 3 channels; its average over the colours, 0.449 and 0.226, for 1; 0 and 1 for any other number. The
            number of channels is that of the first convolution.
        logits: what the module returns → its logits (B, C). Where omitted, they are the tensor that it returns, the
            `logits` or "out" of a structure, its only tensor, or the first of a tuple.
        layers: curated (module name, plain-language label) pairs in order; found by inspection where omitted.
        default_layer: the layer explained where none is named. Where omitted, the last with a feature map; in a
            transformer, the last block or norm whose patches still decide: see `cam_core.models.split.layers`.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        trained: whether the weights were learnt. Explanations, figures and tables of a network that was not say so.
    Raises:
        ModelError: no network to explain, such as a quantised network, or one that returns features. At first use:
            the network has neither feature maps nor tokens on a grid, or does not map images to class
            scores.
        LayerError: a named layer does not exist.
        DeviceError: the device does not exist.
    Examples:
        >>> from torch import nn
        >>> from cam_core import Classifier
        >>> head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]
        >>> module = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), *head).eval()
        >>> clf = Classifier(module, labels=["cat", "dog"], input_size=(32, 32))
        >>> [layer.label for layer in clf.layers if layer.default]
        ['1 · 8 × 15 × 15']
    """

    def __init__(
        self,
        module: nn.Module,
        labels: Sequence[str] | None = None,
        input_size: tuple[int, int] = (224, 224),
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        name: str = "custom",
        preprocessing: Preprocessing | None = None,
        layers: Sequence[tuple[str, str]] | None = None,
        default_layer: str | None = None,
        device: str | torch.device = "auto",
        trained: bool = True,
        logits: Choose | None = None,
        resize: Fit = "crop",
    ) -> None:
        if is_program(opened(module)):
            module = as_modules(opened(module), input_size if preprocessing is None else preprocessing.input_size)
        if logits is not as_they_are:
            check_kind(module)
        self.module = module
        self._opened = opened(module)
        if logits is None:
            check_scores(self._opened)
        self._choose = self._chosen_by = logits
        self._brought: Brought | None = None
        self.name = name
        self.trained = trained
        self.origin: Origin | None = None  # set by whoever had it from where it can be had again
        self.preprocessing = preprocessing or framing(self._opened, input_size, mean, std, resize)
        self.device = resolve_device(str(device))
        self._curated = None if layers is None else [(name_inside(module, layer), text) for layer, text in layers]
        self._default_layer = default_layer and name_inside(module, default_layer)
        if not wraps_inside(self._opened):  # the names are others then: see `network`, where they are looked up
            for layer in [layer for layer, _ in self._curated or ()] + [*filter(None, [self._default_layer])]:
                check_layer_exists(self._opened, layer)
        self._given_labels = None if labels is None else list(labels)
        self._labels: list[str] | None = None
        self._classes: int | None = None
        self._layers: list[LayerInfo] | None = None
        self._splits: OrderedDict[tuple[str, str, bool, bool], Halves] = OrderedDict()
        self._answering: OrderedDict[Choose, Classifier] = OrderedDict()
        self._lock = threading.RLock()
        self._refitted: dict[Fit, Classifier] = {}

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) that the network sees."""
        return self.preprocessing.input_size

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, H, W) that the network sees."""
        return self.preprocessing.channels, *self.input_size

    @property
    def network(self) -> nn.Module:
        """The module, or what was made of it: maps images to logits (B, C) in float32. To look at, not to change."""
        return self._as_brought().network

    @property
    def layers(self) -> list[LayerInfo]:
        """The layers worth offering, from input to output, with their shapes; exactly one is the default."""
        with self._lock:
            if self._layers is None:
                self._layers = self._inspect()
            return self._layers

    @property
    def default_layer(self) -> str:
        """The name of the layer explained where none is named."""
        return self._default_layer or next(layer.name for layer in self.layers if layer.default)

    @property
    def labels(self) -> list[str]:
        """One name per class."""
        with self._lock:
            if self._labels is None:
                self._labels = self._name_classes()
            return self._labels

    @property
    def classes(self) -> int:
        """How many logits the network gives for an image."""
        with self._lock:
            if self._classes is None:
                self._classes = self.logits(torch.zeros(1, *self.input_shape)).shape[1]
            return self._classes

    def refitted(self, fit: Fit) -> Classifier:
        """The same network, shared, with photos fitted to its input another way: always the same object."""
        if fit == self.preprocessing.fit:
            return self
        with self._lock:
            if fit not in self._refitted:
                self._as_brought()
                other = copy.copy(self)
                other.preprocessing = replace(self.preprocessing, fit=fit)
                other._answering = OrderedDict()
                other._refitted = {}  # not the same: it would hold itself, and its network, until garbage is collected
                self._refitted[fit] = other
            return self._refitted[fit]

    def picture(self, image: Image.Image | Tensor) -> Picture | None:
        """The part of the network's input that shows a photo, (left, top, right, bottom) in its pixels.

        None where all of it does, and of a tensor, whose padding nobody knows.
        """
        if not isinstance(image, Image.Image):
            return None
        picture = self.preprocessing.picture(image.size)
        height, width = self.input_size
        return None if picture == (0, 0, width, height) else picture

    @property
    def two_sided(self) -> bool:
        """Whether the module gives one number per image, of which the two classes are the sides."""
        return self._as_brought().single

    def _name_classes(self) -> list[str]:
        given = self._given_labels
        if given is not None and len(given) != 1:
            return given
        own = given or own_labels(self._opened)
        if self._as_brought().single:
            return side_labels(own)
        if own is not None and len(own) == self.classes:
            return own
        return [f"class {index}" for index in range(self.classes)]

    def _as_brought(self) -> Brought:
        with self._lock:
            if self._brought is None:
                self._brought = brought(self._opened, self.input_shape, self._choose)
            return self._brought

    def answering(self, choose: Choose) -> Classifier:
        """The same network with other logits, `logits=choose`; kept for the few that were asked for last.

        Args:
            choose: has to be equal to another one that chooses the same.
        """
        with self._lock:
            if choose == self._chosen_by:
                return self
            if choose not in self._answering:
                other = copy.copy(self)
                other._choose = other._chosen_by = choose
                other.origin = None
                other._layers = self.layers
                other._brought = other._classes = None
                other._refitted = {}
                other._splits, other._answering, other._lock = OrderedDict(), OrderedDict(), threading.RLock()
                self._answering[choose] = other
                while len(self._answering) > _CACHED_SPLITS:
                    self._answering.popitem(last=False)
            self._answering.move_to_end(choose)
            return self._answering[choose]

    def changed(self, network: nn.Module, *, name: str) -> Classifier:
        """The same with a changed copy of its `network` in place of it."""
        other = Classifier(
            network,
            self.labels,
            name=name,
            preprocessing=self.preprocessing,
            default_layer=self.default_layer,
            device=self.device,
            logits=as_they_are,
        )
        other._chosen_by = self._chosen_by
        return other

    def preprocess(self, image: Image.Image) -> Tensor:
        """PIL image → (channels, H, W) float32, resized, cropped, normalised."""
        return self.preprocessing.tensor(image)

    @formerly_positional("precision")
    def logits(self, images: Images, *, precision: str = "float32") -> Tensor:
        """(B, channels, H, W) → (B, C) on the classifier's device, without gradients."""
        with torch.no_grad():
            return self.split(self.default_layer, precision).model(images.to(self.device))

    @formerly_positional("top")
    def predict(self, image: Image.Image | Tensor, *, top: int | None = 5) -> list[Prediction]:
        """The `top` most probable classes of one image, most probable first; all of them for None."""
        logits = double(self.logits(self.as_batch(image))[0]).cpu()
        probabilities = logits.softmax(0)
        order = probabilities.argsort(descending=True)[:top].tolist()
        return [Prediction(i, self.labels[i], float(logits[i]), float(probabilities[i])) for i in order]

    def as_batch(self, image: Image.Image | Tensor) -> Images:
        """A PIL image, or a normalised tensor (n, H, W) or (1, n, H, W) of n channels, as (1, n, H, W) on the device.

        Raises:
            ImageError: a PIL image for a network of other channels than photos have.
            ValueError: a tensor of another shape, or with NaN or infinite values.
        """
        if isinstance(image, Image.Image):
            return self.preprocess(image)[None].to(self.device)
        batch = image[None] if image.ndim == 3 else image
        n = self.preprocessing.channels
        if batch.ndim != 4 or batch.shape[:2] != (1, n):
            raise ValueError(f"an image tensor must be ({n}, H, W) or (1, {n}, H, W), not {tuple(image.shape)}")
        if not torch.isfinite(batch).all():
            raise ValueError("the image tensor contains NaN or infinite values")
        return batch.to(self.device)

    def resolve_target(self, target: int | str | None, logits: Tensor) -> int:
        """The class index meant by an index, a label, or None (the largest of `logits` (C,)).

        Raises:
            TargetError: out of range, or no label of that name (near ones are named).
        """
        if target is None:
            return int(logits.argmax())
        if isinstance(target, str):
            return self._labelled(target)
        if isinstance(target, bool) or not isinstance(target, int | np.integer):
            raise TargetError(f"target {target!r} is neither a class index nor a label")
        if not 0 <= target < len(logits):
            raise TargetError(f"target {target} is out of range for {len(logits)} classes (0–{len(logits) - 1})")
        return int(target)

    def _labelled(self, label: str) -> int:
        lowered = [name.lower() for name in self.labels]
        if label in self.labels:
            return self.labels.index(label)
        if label.lower() in lowered:
            return lowered.index(label.lower())
        import difflib

        near = difflib.get_close_matches(label.lower(), lowered, n=3, cutoff=0.5)
        hint = f"; near: {', '.join(near)}" if near else ""
        raise TargetError(f"no class is called {label!r}{hint}")

    def split(
        self,
        layer: str | None = None,
        precision: str = "float32",
        *,
        compiled: bool = False,
        force_hooks: bool = False,
    ) -> SplitModel:
        """A fresh view of the network cut after `layer`. The halves behind it are cached and shared.

        A view in a coarse precision knows the float32 one, which is made when it is asked for.

        Args:
            compiled: compile the whole network at its first pass without gradients: for long jobs only.
            force_hooks: take the path for networks that cannot be traced.
        Raises:
            LayerError: see `cam_core.models.split.halves.build_halves`.
            DeviceError: the device does not have that precision.
        """
        check_precision(precision, self.device)
        layer = name_inside(self.module, layer) if layer else self.default_layer
        halves = self._halves(layer, precision, compiled, force_hooks)
        exact = partial(self._halves, layer, "float32", False, force_hooks) if precision in COARSE else None
        return SplitModel(halves, precision, exact=exact)

    def _halves(self, layer: str, precision: str, compiled: bool, force_hooks: bool) -> Halves:
        # TF32 is a way to compute, not to store; but what is compiled keeps the way in which it was.
        shared = dtype_of(precision) == torch.float32 and not compiled
        key = (layer, "float32" if shared else precision, compiled, force_hooks)
        with self._lock:
            if key not in self._splits:
                self._splits[key] = self._build(*key)
                while len(self._splits) > _CACHED_SPLITS:
                    self._splits.popitem(last=False)
            self._splits.move_to_end(key)
            return self._splits[key]

    def _build(self, layer: str, precision: str, compiled: bool, force_hooks: bool) -> Halves:
        image = noise(self.input_shape).to(self.device)
        halves = build_halves(self.network, layer, image, precision=precision, force_hooks=force_hooks)
        return CompiledHalves(halves) if compiled else halves

    def _inspect(self) -> list[LayerInfo]:
        names = None if self._curated is None else [name for name, _ in self._curated]
        shapes, default = self._layers_and_default(names)
        if not shapes:
            raise ModelError(
                f"{self.name} has no layer that yields a feature map (channels × height × width): "
                "class-activation maps need a convolutional layer, or tokens on a grid"
            )
        if default not in [shape[0] for shape in shapes]:
            shapes += inspect_layers(self.network, self.input_shape, [default])
        plain = dict(self._curated or ())
        return [
            LayerInfo(name, k, h, w, _describe(name, plain.get(name, ""), (k, h, w)), name == default)
            for name, k, h, w in shapes
        ]

    def _layers_and_default(self, names: list[str] | None) -> tuple[list[LayerShape], str]:
        if self._default_layer:
            return inspect_layers(self.network, self.input_shape, names), self._default_layer
        return layers_and_default(self.network, self.input_shape, names)


def _describe(name: str, plain: str, shape: tuple[int, int, int]) -> str:
    parts = [name if plain else in_words(name), " × ".join(map(str, shape)), plain]
    return " · ".join(part for part in parts if part)
