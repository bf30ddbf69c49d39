"""explain: the only place that calls the head, then a method, then ReLU, upsampling and normalisation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core import maps
from cam_core.deprecated import formerly_positional
from cam_core.forward import Forward, forward
from cam_core.methods import METHODS
from cam_core.methods.registry import Method, Result
from cam_core.models import resuming
from cam_core.models.batching import Rows, batches, remembered_rows
from cam_core.models.classifier import Classifier
from cam_core.models.devices import moved_to_cpu, wait_for
from cam_core.models.split.compiled import CompiledHalves
from cam_core.models.split.halves import Halves
from cam_core.notebooks.bars import watched
from cam_core.numbers import significant
from cam_core.options import Options
from cam_core.run import Run
from cam_core.targets.asking import Asked, ClassTarget, Target, answer, counts_for, resolve
from cam_core.targets.scores import TargetScore
from cam_core.types import IMPROBABLE, Cancelled, Explanation, FloatArray, MethodError, Passes, Picture, Progress

# Cheap methods share one pass over this many images; expensive ones take one at a time and fill their batches inside.
_IMAGES_AT_ONCE = 16

Layer = str | Sequence[str] | None


@formerly_positional("method", "layer", "target", "seed", "progress", "precision", "compiled")
def explain(
    clf: Classifier,
    image: Image.Image | Tensor,
    *,
    method: str = "lift-cam",
    layer: Layer = None,
    target: Target = None,
    seed: int = 0,
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress | None = None,
    **params: Any,
) -> Explanation:
    """Explain one class of one image, or whatever else of the network's output: see `cam_core.targets`.

    Args:
        image: PIL image, or a normalised float tensor (channels, H, W) or (1, channels, H, W), with as many channels as
            the network takes.
        method: a key of `METHODS`.
        layer: a module name, or several for a method over several layers; the classifier's default where omitted.
        target: class index or label; the most probable class where omitted. Or a `TargetScore`, such as
            `Difference("tabby", "tiger cat")`; how it is written, "tabby - tiger cat", "-tabby", "tabby | tiger cat",
            "p(tabby)"; or a function of the logits.
        seed: of everything random; the same seed gives the same result.
        precision: "float32"; "tf32" or "bfloat16" (explicit: they deviate); or "float64".
        compiled: compile the network first, which takes up to a minute: pays where thousands of masked images follow.
        progress: called as `progress(done, total)`; may raise `Cancelled`.
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
    meant = resolve(clf, target)
    with _watched(METHODS[method], progress) as told:
        options = Options(seed, precision, compiled, told)
        return _explain_all(clf, [image], METHODS[method], layer, [meant], options, params)[0]


@formerly_positional("method", "layer", "targets", "seed", "progress", "precision", "compiled")
def explain_batch(
    clf: Classifier,
    images: Sequence[Image.Image | Tensor],
    *,
    method: str = "lift-cam",
    layer: Layer = None,
    targets: Sequence[Target] | None = None,
    seed: int = 0,
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress | None = None,
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
    targets = [None] * len(images) if targets is None else targets
    if len(targets) != len(images):
        raise ValueError(f"{len(images)} images but {len(targets)} targets")
    meant = [resolve(clf, target) for target in targets]
    with _watched(METHODS[method], progress) as told:
        options = Options(seed, precision, compiled, told)
        return _explain_all(clf, images, METHODS[method], layer, meant, options, params)


def _watched(method: Method, progress: Progress | None) -> AbstractContextManager[Progress | None]:
    """In a notebook expensive methods show a bar, where nobody else is told of their progress."""
    return watched(progress, method.title) if method.expensive else nullcontext(progress)


def _explain_all(
    clf: Classifier,
    images: Sequence[Image.Image | Tensor],
    method: Method,
    layer: Layer,
    targets: Sequence[ClassTarget | TargetScore],
    options: Options,
    params: Mapping[str, Any],
) -> list[Explanation]:
    """Images that are asked about the same go together; all that are asked about classes are."""
    scores = [target if isinstance(target, TargetScore) else None for target in targets]
    kinds = list(dict.fromkeys(scores)) or [None]
    explanations: dict[int, Explanation] = {}
    for number, score in enumerate(kinds):
        places = [place for place, each in enumerate(scores) if each == score]
        part = options if len(kinds) == 1 else options.part(number, len(kinds))
        asked = clf if score is None else Asked(clf, score)
        classes = [0 if isinstance(target, TargetScore) else target for target in (targets[place] for place in places)]
        made = _explain_same(asked, [images[place] for place in places], method, layer, classes, part, params)
        explanations |= zip(places, made, strict=True)
    return [explanations[place] for place in range(len(images))]


def _explain_same(
    clf: Classifier,
    images: Sequence[Image.Image | Tensor],
    method: Method,
    layer: Layer,
    targets: Sequence[ClassTarget],
    options: Options,
    params: Mapping[str, Any],
) -> list[Explanation]:
    """Chunk by chunk; progress is told in the method's own unit where there is one chunk alone.

    A chunk that does not fit into memory is explained in pieces.
    """
    checked = method.validate(params)
    job = _Job(clf, method, _layers(clf, method, layer), checked, options)
    at_once = images_at_once(method, clf.device)
    chunks = [slice(start, start + at_once) for start in range(0, len(images), at_once)]
    rows = remembered_rows(clf, ("explain", method.key, *job.layers, options.precision), at_once)
    if len(chunks) == 1:
        return job.explain_in_batches(images, targets, rows)
    parts = [replace(job, options=options.part(place, len(chunks))) for place in range(len(chunks))]
    per_chunk = [
        part.explain_in_batches(images[chunk], targets[chunk], rows) for part, chunk in zip(parts, chunks, strict=True)
    ]
    return [explanation for explanations in per_chunk for explanation in explanations]


def images_at_once(method: Method, device: torch.device) -> int:
    """How many images a method takes at once. Those that say so take that many where there is more than a CPU.

    On a CPU, whose cache a batch of whole images and their gradients leaves, they were a fifth slower for it.
    """
    if method.expensive:
        return max(1, method.at_once) if device.type != "cpu" else 1
    return _IMAGES_AT_ONCE


def _layers(clf: Classifier, method: Method, layer: Layer) -> list[str]:
    names = [layer] if isinstance(layer, str) else list(layer or ())
    if method.multi_layer:
        names = names or [last.name for last in last_per_resolution(clf)]
        if len(names) < 2:
            raise MethodError(f"{method.key} combines at least two layers, but got {', '.join(names) or 'none'}")
    elif len(names) > 1:
        raise MethodError(f"{method.key} explains one layer, but got {len(names)}: {', '.join(names)}")
    return names or [clf.default_layer]


def last_per_resolution(clf: Classifier, count: int = 3) -> list[Any]:
    """The last listed layer at each of the `count` coarsest resolutions: what a method over several layers combines."""
    last = {(layer.height, layer.width): layer for layer in clf.layers if layer.height * layer.width > 1}
    return list(last.values())[-count:]


@dataclass(frozen=True)
class _Job:
    """One method on one chunk of images."""

    clf: Classifier
    method: Method
    layers: list[str]
    params: Mapping[str, Any]
    options: Options

    def explain_in_batches(
        self, images: Sequence[Image.Image | Tensor], targets: Sequence[ClassTarget], rows: Rows
    ) -> list[Explanation]:
        parts = batches(lambda start, stop: self.explain(images[start:stop], targets[start:stop]), len(images), rows)
        return [explanation for part in parts for explanation in part]

    def explain(self, images: Sequence[Image.Image | Tensor], targets: Sequence[ClassTarget]) -> list[Explanation]:
        wait_for(self.clf.device)
        started = time.perf_counter()
        seen = forward(self.clf, images, targets, self.layers, self.options, exactly=self.method.expensive)
        run = Run.of(self.clf, self.options, batch=len(seen.images))
        earlier = resuming.current()
        if earlier is None:
            earlier = resuming.Record()
        try:
            with torch.no_grad(), moved_to_cpu() as moved:
                pictures = [self.clf.picture(image) for image in images]
                outcome = _Outcome(self._call(seen, run), seen, run, moved, pictures)
        except Cancelled:
            earlier.spent(time.perf_counter() - started - run.seconds_told, *_passes(seen))
            raise
        wait_for(self.clf.device)
        # Whoever is told of progress may have others go first: that is not the method's time.
        seconds = earlier.seconds + time.perf_counter() - started - run.seconds_told
        head, tail = (before + now for before, now in zip((earlier.head, earlier.tail), _passes(seen), strict=True))
        count = len(seen.images)
        own = outcome.result.passes or [0] * count  # of the whole network, where images differ in them
        shared = [(total - sum(own)) // count for total in (head, tail)]
        passes = [Passes(*(total + extra for total in shared)) for extra in own]
        return [self._package(index, outcome, seen, seconds / count, passes[index]) for index in range(count)]

    def _call(self, seen: Forward, run: Run) -> Result:
        nets, acts = (seen.nets, seen.acts) if self.method.multi_layer else (seen.nets[0], seen.acts[0])
        returned = self.method.function(nets, seen.images, acts, seen.target, run, **self.params)
        if isinstance(returned, Result):
            return returned
        return Result(coefficients=returned) if returned.ndim == 2 else Result(map=returned)

    def _package(self, index: int, outcome: _Outcome, seen: Forward, seconds: float, passes: Passes) -> Explanation:
        told = answer(self.clf, int(seen.target[index]), seen.logits[index])
        return Explanation(
            method=self.method.key,
            model=self.clf.name,
            layer=" + ".join(self.layers),
            **told._asdict(),
            params=dict(self.params),
            seed=self.options.seed,
            precision=self.options.precision,
            device=str(self.clf.device),
            image_sha256=input_digest(seen.images[index]),
            trained=self.clf.trained,
            seconds=seconds,
            passes=passes,
            warnings=tuple(outcome.warnings(index, told.probability, seen.nets[0].halves, self.method.control)),
            **outcome.arrays(index),
        )


def _passes(seen: Forward) -> list[int]:
    """Of head and tail, for all images together."""
    return [sum(net.passes[half] for net in seen.nets) for half in (0, 1)]


class _Outcome:
    """A method's result turned into maps: the sum over channels, ReLU, upsampling and normalisation of every method."""

    def __init__(
        self,
        result: Result,
        seen: Forward,
        run: Run,
        moved: Sequence[str],
        pictures: Sequence[Picture | None],
    ) -> None:
        raw = result.map
        if raw is None:
            assert result.coefficients is not None, "a method returns coefficients or a map"
            raw = maps.weighted_sum(result.coefficients, seen.acts[0])
        self.finite = torch.isfinite(raw).flatten(1).all(1)
        self.raw = torch.nan_to_num(raw, nan=0.0, posinf=0.0, neginf=0.0)
        size = (seen.images.shape[-2], seen.images.shape[-1])
        self.saliency = maps.saliency(self.raw, size)
        self.pictures = pictures
        for index, picture in enumerate(pictures):
            if picture is not None:
                self.saliency[index] = maps.saliency_within(self.raw[index, None], size, picture)[0]
        self.counts_for = counts_for(seen.clf)
        self.result = result
        self.run = run
        self.moved = moved

    def arrays(self, index: int) -> dict[str, Any]:
        result = self.result
        return {
            "map": array_of(self.raw[index]),
            "saliency": array_of(self.saliency[index]),
            "coefficients": None if result.coefficients is None else array_of(result.coefficients[index]),
            "stderr": None if result.stderr is None else array_of(result.stderr[index]),
            "extras": {name: array_of(values[index]) for name, values in result.extras.items()},
            "picture": self.pictures[index],
        }

    def warnings(self, index: int, probability: float | None, halves: Halves, control: bool) -> list[str]:
        sentences = list(self.run.warnings[index])
        if not self.finite[index]:
            sentences.append("Some values of the map were not finite and were set to 0: do not trust this map.")
        if bool(maps.is_constant(self.raw)[index]):
            sentences.append("The map is constant: it prefers no position, and the heatmap is empty.")
        elif not bool((self.raw[index] > 0).any()):
            sentences.append(f"The map is nowhere positive: no position {self.counts_for}, and the heatmap is empty.")
        elif self.pictures[index] is not None and not bool(self.saliency[index].any()):
            sentences.append("Over the photo, without the padding around it, the map prefers no position: it is empty.")
        if probability is not None and probability < IMPROBABLE and not control:
            sentences.append(
                f"The network gives this class a probability of {significant(probability, 1)}: the map explains very "
                "little."
            )
        if self.moved:
            sentences.append(f"Apple's GPU cannot do all of this: {' and '.join(self.moved)} ran on the CPU.")
        if not halves.traced:
            sentences.append("The network cannot be traced: every pass runs the whole of it, which is slower.")
        if isinstance(halves, CompiledHalves) and halves.problem:
            sentences.append(f"The network could not be compiled and ran as it is: {halves.problem}")
        return sentences


def array_of(values: Tensor | FloatArray) -> FloatArray:
    """As an explanation holds it."""
    if isinstance(values, Tensor):
        return values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=np.float32)


def input_digest(image: Tensor) -> str:
    """SHA-256 of what the network was given, in float32."""
    return hashlib.sha256(image.float().cpu().contiguous().numpy().tobytes()).hexdigest()
