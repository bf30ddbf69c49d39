"""explain: the only place that calls the head, then a method, then ReLU, upsampling and normalisation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core import maps
from cam_core.methods import METHODS
from cam_core.methods.registry import Method, Result
from cam_core.models.classifier import Classifier
from cam_core.models.split.compiled import CompiledHalves
from cam_core.models.split.halves import Halves
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Explanation, FloatArray, MethodError, Passes, Progress

# Cheap methods share one pass over this many images; expensive ones take one at a time and fill their batches inside.
_IMAGES_AT_ONCE = 16

# Below this probability the network does not hold the class to be there: a map for it explains very little.
_IMPROBABLE = 0.01

Layer = str | Sequence[str] | None
Target = int | str | None


def explain(
    clf: Classifier,
    image: Image.Image | Tensor,
    method: str = "lift-cam",
    layer: Layer = None,
    target: Target = None,
    seed: int = 0,
    progress: Progress | None = None,
    precision: str = "float32",
    compiled: bool = False,
    **params: Any,
) -> Explanation:
    """Explain one class of one image.

    Args:
        image: PIL image, or a normalised float tensor (3, H, W) or (1, 3, H, W).
        method: a key of `METHODS`.
        layer: a module name, or several for a method over several layers; the classifier's default where omitted.
        target: class index or label; the most probable class where omitted.
        seed: of everything random; the same seed gives the same result.
        progress: called as `progress(done, total)`; may raise `Cancelled`.
        precision: "float32", "bfloat16" (explicit: it deviates) or "float64".
        compiled: compile the network first, which takes up to a minute: pays where thousands of masked images follow.
        params: the method's declared parameters.
    Raises:
        CamError: a subclass that names what is wrong; see `cam_core.types`.
    Examples:
        >>> from cam_core import SAMPLES, explain, load_model
        >>> clf, photo = load_model("efficientnet_lite0"), SAMPLES[0].open()
        >>> explanation = explain(clf, photo, method="grad-cam")
        >>> explanation.label, explanation.saliency.shape, explanation.coefficients.shape
        ('German shepherd', (224, 224), (1280,))

        Another layer, and another class:

        >>> explanation = explain(clf, photo, method="grad-cam", layer="blocks.4", target="malinois")
        >>> explanation.target, explanation.map.shape
        (225, (14, 14))
    """
    return explain_batch(
        clf, [image], method, layer, [target], seed, progress, precision=precision, compiled=compiled, **params
    )[0]


def explain_batch(
    clf: Classifier,
    images: Sequence[Image.Image | Tensor],
    method: str = "lift-cam",
    layer: Layer = None,
    targets: Sequence[Target] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    precision: str = "float32",
    compiled: bool = False,
    **params: Any,
) -> list[Explanation]:
    """Explain many images, each as if alone: see `explain`. One target per image, or None for the most probable.

    Examples:
        >>> from cam_core import SAMPLES, explain_batch, load_model
        >>> photos = [sample.open() for sample in SAMPLES[:3]]
        >>> explanations = explain_batch(load_model("efficientnet_lite0"), photos, method="grad-cam")
        >>> [explanation.label for explanation in explanations]
        ['German shepherd', 'tiger cat', 'giant panda']
    """
    chosen = METHODS[method]
    checked = chosen.validate(params)
    wanted: Sequence[Target] = [None] * len(images) if targets is None else targets
    if len(wanted) != len(images):
        raise ValueError(f"{len(images)} images but {len(wanted)} targets")
    layers = _layers(clf, chosen, layer)
    at_once = 1 if chosen.expensive else _IMAGES_AT_ONCE
    chunks = [slice(start, start + at_once) for start in range(0, len(images), at_once)]
    explanations: list[Explanation] = []
    for position, chunk in enumerate(chunks):
        shared = _share(progress, position, len(chunks))
        job = _Job(clf, chosen, layers, checked, seed, precision, compiled, shared)
        explanations += job.explain(images[chunk], wanted[chunk])
    return explanations


def _share(progress: Progress | None, position: int, chunks: int) -> Progress | None:
    """Progress of one chunk as progress of the whole, whose chunks are taken to be alike."""
    if progress is None or chunks == 1:
        return progress
    return lambda done, total: progress(position * total + done, chunks * total)


def _layers(clf: Classifier, method: Method, layer: Layer) -> list[str]:
    names = [layer] if isinstance(layer, str) else list(layer or ())
    if method.multi_layer:
        names = names or [entry.name for entry in last_per_resolution(clf)]
        if len(names) < 2:
            raise MethodError(f"{method.key} combines at least two layers, but got {', '.join(names) or 'none'}")
    elif len(names) > 1:
        raise MethodError(f"{method.key} explains one layer, but got {len(names)}: {', '.join(names)}")
    return names or [clf.default_layer]


def last_per_resolution(clf: Classifier, count: int = 3) -> list[Any]:
    """The last listed layer at each of the `count` coarsest resolutions: what a method over several layers combines."""
    last = {(entry.height, entry.width): entry for entry in clf.layers if entry.height * entry.width > 1}
    return list(last.values())[-count:]


@dataclass
class _Job:
    """One method on one chunk of images."""

    clf: Classifier
    method: Method
    layers: list[str]
    params: Mapping[str, Any]
    seed: int
    precision: str
    compiled: bool
    progress: Progress | None

    def explain(self, images: Sequence[Image.Image | Tensor], targets: Sequence[Target]) -> list[Explanation]:
        started = time.perf_counter()
        batch = torch.cat([self.clf.as_batch(image) for image in images])
        nets = [self.clf.split(layer, self.precision, compiled=self.compiled) for layer in self.layers]
        batch = batch.to(nets[0].dtype)
        run = Run(
            batch=len(batch),
            seed=self.seed,
            mean=self.clf.preprocessing.mean,
            std=self.clf.preprocessing.std,
            progress=self.progress,
        )
        with torch.no_grad():
            acts = [net.head_exactly(batch) if self.method.expensive else net.head(batch) for net in nets]
            logits = nets[0].tail(acts[0])
            target = torch.tensor(
                [self.clf.resolve_target(t, row) for t, row in zip(targets, logits, strict=True)], device=batch.device
            )
            result = self._call(nets, batch, acts, target, run)
            outcome = _Outcome(result, acts, tuple(batch.shape[-2:]), run)
        seconds = (time.perf_counter() - started) / len(batch)
        return [self._package(index, outcome, batch, logits, target, nets, seconds) for index in range(len(batch))]

    def _call(self, nets: list[SplitModel], batch: Tensor, acts: list[Tensor], target: Tensor, run: Run) -> Result:
        many = self.method.multi_layer
        returned = self.method.function(
            tuple(nets) if many else nets[0], batch, tuple(acts) if many else acts[0], target, run, **self.params
        )
        if isinstance(returned, Result):
            return returned
        return Result(coefficients=returned) if returned.ndim == 2 else Result(map=returned)

    def _package(
        self,
        index: int,
        outcome: _Outcome,
        batch: Tensor,
        logits: Tensor,
        target: Tensor,
        nets: list[SplitModel],
        seconds: float,
    ) -> Explanation:
        chosen = int(target[index])
        probability = float(logits[index].double().softmax(0)[chosen])
        passes = [sum(net.passes[half] for net in nets) // len(batch) for half in (0, 1)]
        return Explanation(
            method=self.method.key,
            model=self.clf.name,
            layer=" + ".join(self.layers),
            target=chosen,
            label=self.clf.labels[chosen],
            score=float(logits[index, chosen]),
            probability=probability,
            params=dict(self.params),
            seed=self.seed,
            precision=self.precision,
            device=str(self.clf.device),
            image_sha256=_digest(batch[index]),
            seconds=seconds,
            passes=Passes(*passes),
            warnings=tuple(outcome.warnings(index, probability, nets[0].halves, self.method.control)),
            **outcome.arrays(index),
        )


class _Outcome:
    """A method's result turned into maps: the sum over channels, ReLU, upsampling and normalisation of every method."""

    def __init__(self, result: Result, acts: list[Tensor], size: tuple[int, ...], run: Run) -> None:
        raw = result.map
        if raw is None:
            assert result.coefficients is not None, "a method returns coefficients or a map"
            raw = maps.weighted_sum(result.coefficients, acts[0])
        self.finite = torch.isfinite(raw).flatten(1).all(1)
        self.raw = torch.nan_to_num(raw, nan=0.0, posinf=0.0, neginf=0.0)
        self.saliency = maps.saliency(self.raw, (size[0], size[1]))
        self.result = result
        self.run = run

    def arrays(self, index: int) -> dict[str, Any]:
        result = self.result
        return {
            "map": _array(self.raw[index]),
            "saliency": _array(self.saliency[index]),
            "coefficients": None if result.coefficients is None else _array(result.coefficients[index]),
            "stderr": None if result.stderr is None else _array(result.stderr[index]),
            "extras": {name: _array(values[index]) for name, values in result.extras.items()},
        }

    def warnings(self, index: int, probability: float, halves: Halves, control: bool) -> list[str]:
        found = list(self.run.warnings[index])
        if not self.finite[index]:
            found.append("Some values of the map were not finite and were set to 0: do not trust this map.")
        if bool(maps.is_constant(self.raw)[index]):
            found.append("The map is constant: it prefers no position, and the heatmap is empty.")
        elif not bool((self.raw[index] > 0).any()):
            found.append("The map is nowhere positive: no position speaks for this class, and the heatmap is empty.")
        if probability < _IMPROBABLE and not control:
            found.append(
                f"The network gives this class a probability of {probability:.1g}: the map explains very little."
            )
        if not halves.traced:
            found.append("The network cannot be traced: every pass runs the whole of it, which is slower.")
        if isinstance(halves, CompiledHalves) and halves.problem:
            found.append(f"The network could not be compiled and ran as it is: {halves.problem}")
        return found


def _array(values: Tensor | FloatArray) -> FloatArray:
    if isinstance(values, Tensor):
        return values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=np.float32)


def _digest(image: Tensor) -> str:
    """SHA-256 of what the network was given, in float32."""
    return hashlib.sha256(image.float().cpu().contiguous().numpy().tobytes()).hexdigest()
