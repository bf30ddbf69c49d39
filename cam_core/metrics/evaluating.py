"""evaluate: one metric on one map, or on many, whatever made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cam_core.deprecated import formerly_positional
from cam_core.metrics.base import METRICS, Metric, MetricResult, Scores
from cam_core.metrics.samples import ExplainAgain, ExplainWith, GroundTruth, Saliency, Samples, gather
from cam_core.models.classifier import Classifier
from cam_core.numbers import significant
from cam_core.options import DEFAULTS, Options
from cam_core.run import Run
from cam_core.targets.asking import Target, gives_probabilities
from cam_core.types import IMPROBABLE, CamError, Cancelled, MetricError, Progress

_HOW_TO_GIVE = {
    "region": "ground truth: pass region= (boxes or a mask in pixels of the network's input)",
    "other_region": "the ground truth of another object: pass other_region=",
    "explain_again": "to explain changed images: pass explain_again= (image → map), or an Explanation",
    "explain_with": "to explain by changed networks: pass explain_with= (classifier → map), or an Explanation",
}

# Those that leave a letterbox's padding as it is and count the photo alone; of others nobody knows.
_KNOW_PADDING: Final = (
    *("deletion-auc", "insertion-auc"),
    *("average-drop", "average-increase", "average-gain", "average-drop-in-deletion"),
    *("sparseness", "complexity", "coherency", "adcc", "arcc"),
    *("road", "road-morf", "road-lerf"),
    *("infidelity", "max-sensitivity", "parameter-randomisation"),
    *("ebpg", "class-discrimination", "pointing-game", "max-box-acc"),
)


@formerly_positional("metric", "target")
def evaluate(
    clf: Classifier,
    image: Image.Image | Tensor,
    saliency: Saliency,
    *,
    metric: str,
    target: Target = None,
    region: GroundTruth | None = None,
    other_region: GroundTruth | None = None,
    explain_again: ExplainAgain | None = None,
    explain_with: ExplainWith | None = None,
    seed: int = 0,
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress | None = None,
    **params: Any,
) -> MetricResult:
    """Measure one map by one metric.

    Args:
        image: PIL image, or a normalised float tensor (channels, H, W) or (1, channels, H, W).
        saliency: (H, W) in [0, 1] at the size of the network's input, or an `Explanation`.
        metric: a key of `METRICS`.
        target: class index or label; where omitted that of the explanation, or the most probable class.
        region: the object, for metrics of localisation; `other_region` an object of another class.
        explain_again: image (channels, H, W) → map, for metrics that explain changed images; an `Explanation` brings
            its own.
        explain_with: classifier → map of this image, for metrics that change the network; likewise.
        seed: of everything random; the same seed gives the same value.
        precision: "float32"; "tf32" or "bfloat16" (explicit: they deviate); or "float64".
        compiled: compile the network first, which takes up to a minute: pays for a metric of thousands of passes.
        progress: called as `progress(done, total)`; may raise `Cancelled`.
        params: the metric's declared parameters.
    Raises:
        MetricError: unknown metric or parameter, a map that is none, or something missing that the metric needs.
        CamError: a subclass that names what is wrong; see `cam_core.types`.
    Examples:
        >>> from cam_core import SAMPLES, evaluate, explain, load_model
        >>> clf, photo = load_model("efficientnet_lite0"), SAMPLES[0].open()
        >>> explanation = explain(clf, photo, method="grad-cam")
        >>> result = evaluate(clf, photo, explanation, metric="deletion-auc", steps=8, baseline="blur")
        >>> result.extras["curve"].shape, result.params["baseline"]
        ((9,), 'blur')

        Any array will do, whoever made it. A map that shows everything hides nothing of the class:

        >>> import numpy as np
        >>> evaluate(clf, photo, np.ones((224, 224)), metric="average-drop", target="German shepherd").value
        0.0
    """
    return evaluate_batch(
        clf,
        [image],
        [saliency],
        metric=metric,
        targets=[target],
        regions=[region],
        other_regions=[other_region],
        explain_again=[explain_again],
        explain_with=[explain_with],
        seed=seed,
        precision=precision,
        compiled=compiled,
        progress=progress,
        **params,
    )[0]


@formerly_positional("metric", "targets")
def evaluate_batch(
    clf: Classifier,
    images: Sequence[Image.Image | Tensor],
    saliencies: Sequence[Saliency],
    *,
    metric: str,
    targets: Sequence[Target] | None = None,
    regions: Sequence[GroundTruth | None] | None = None,
    other_regions: Sequence[GroundTruth | None] | None = None,
    explain_again: Sequence[ExplainAgain | None] | None = None,
    explain_with: Sequence[ExplainWith | None] | None = None,
    seed: int = 0,
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress | None = None,
    **params: Any,
) -> list[MetricResult]:
    """Measure many maps, each as if alone: see `evaluate`. Every sequence has one entry per image.

    Examples:
        >>> from cam_core import SAMPLES, evaluate_batch, explain_batch, load_model
        >>> clf, photos = load_model("efficientnet_lite0"), [sample.open() for sample in SAMPLES[:2]]
        >>> explanations = explain_batch(clf, photos, method="random")
        >>> results = evaluate_batch(clf, photos, explanations, metric="sparseness")
        >>> [round(result.value, 1) for result in results]
        [0.2, 0.2]
    """
    registered = METRICS[metric]
    checked = registered.validate(params)
    batch = gather(
        clf,
        images,
        saliencies,
        targets=targets,
        regions=regions,
        other_regions=other_regions,
        explain_again=explain_again,
        explain_with=explain_with,
        precision=precision,
    )
    return measure(batch, registered, checked, Options(seed, precision, compiled, progress))


@formerly_positional("metrics", "target")
def evaluate_many(
    clf: Classifier,
    image: Image.Image | Tensor,
    saliency: Saliency,
    *,
    metrics: Sequence[str],
    target: Target = None,
    seed: int = 0,
    precision: str = "float32",
    progress: Progress | None = None,
) -> Iterator[MetricResult]:
    """Measure one map by several metrics at their defaults, one after the other; arguments as of `evaluate`.

    Faster than one by one: what several of them have scored goes through the network once, and together.

    A metric that fails gives NaN with the reason as its warning, and leaves the others.

    Args:
        progress: counts metrics, in thousandths.
    """
    requests = [(METRICS[key], METRICS[key].validate({})) for key in metrics]
    options = Options(seed, precision, progress=progress)
    batch = wanting(gather(clf, [image], [saliency], targets=[target], precision=precision), requests)
    for place, (metric, params) in enumerate(requests):
        part = options.part(place, len(requests))
        try:
            yield measure(batch, metric, params, part)[0]
        except Cancelled:
            raise
        except CamError as error:
            yield MetricResult(metric.key, float("nan"), params, warnings=(str(error),))
        if part.progress:
            part.progress(1, 1)


def wanting(batch: Samples, requests: Sequence[tuple[Metric, Mapping[str, Any]]]) -> Samples:
    """The samples, knowing which metrics are to come, with which parameters: what they share is scored at once."""
    return replace(batch, wanted=[metric.shows(params) for metric, params in requests if metric.shows is not None])


def measure(batch: Samples, metric: Metric, params: dict[str, Any], options: Options = DEFAULTS) -> list[MetricResult]:
    """One metric on samples that are gathered already: for several metrics of the same maps.

    Raises:
        MetricError: something is missing that the metric needs, or it cannot tell a photo from a letterbox's padding.
    """
    _check_needs(metric, batch)
    _check_padding(metric, batch)
    net = batch.clf.split(None, options.precision, compiled=options.compiled)
    run = Run.of(batch.clf, options, batch=len(batch))
    with torch.no_grad():
        returned = metric.function(net, batch, run, **params)
    scores = returned if isinstance(returned, Scores) else Scores(returned)
    probability = batch.score() if gives_probabilities(batch.clf) else torch.ones(len(batch))
    return [
        MetricResult(
            metric=metric.key,
            value=float(scores.values[index]),
            params=params,
            extras={name: np.asarray(values[index], dtype=np.float64) for name, values in scores.extras.items()},
            warnings=tuple(run.warnings[index] + _doubts(metric, float(probability[index]))),
        )
        for index in range(len(batch))
    ]


def missing_needs(metric: Metric, batch: Samples) -> list[str]:
    """The needs of `metric` that at least one of the samples lacks, each with how to give it."""
    given = {
        "region": batch.regions,
        "other_region": batch.other_regions,
        "explain_again": batch.explain_again,
        "explain_with": batch.explain_with,
    }
    return [_HOW_TO_GIVE[need] for need in metric.needs if any(value is None for value in given[need])]


def _check_padding(metric: Metric, batch: Samples) -> None:
    if metric.key not in _KNOW_PADDING and any(picture is not None for picture in batch.pictures):
        raise MetricError(
            f"{metric.key} takes all of the network's input for the photo, and here a part of it is padding: measure "
            "it on a photo that is cropped or stretched"
        )


def _check_needs(metric: Metric, batch: Samples) -> None:
    missing = missing_needs(metric, batch)
    if missing:
        raise MetricError(f"{metric.key} needs {'; and '.join(missing)}")


def _doubts(metric: Metric, probability: float) -> list[str]:
    if not metric.uses_network or probability >= IMPROBABLE:
        return []
    return [f"The network gives this class a probability of {significant(probability, 1)}: the value says very little."]
