"""SHAP coefficients of the channels of one image: what the pages and the command line call."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from PIL import Image
from torch import Tensor

from cam_core.deprecated import formerly_positional
from cam_core.forward import forward
from cam_core.models.classifier import Classifier
from cam_core.options import Options
from cam_core.run import Run
from cam_core.shapley.estimate import BUDGET, Estimate
from cam_core.shapley.estimators import estimates, expected_passes
from cam_core.shapley.games import ChannelGame
from cam_core.targets.asking import LOGIT, Measure, Target, answer, ask, measure_of
from cam_core.types import Activations, Progress


@dataclass(frozen=True, kw_only=True)
class ChannelEstimate(Estimate):
    """An estimate of every channel's Shapley value, and what it is of.

    Attributes:
        model, layer, target, label: the network, and the explained class; of another target how it is written, and its
            title.
        score, probability: its logit and softmax probability on the whole image; of another target its value, and no
            probability unless it is one.
        activations: (1, K, h, w), the layer's output, on the CPU.
        budget, seed: what was asked for.
        trained: whether the network has learnt its weights.
        measure: of the score, and of its shares.
    """

    model: str
    layer: str
    target: int | str
    label: str
    score: float
    probability: float | None
    activations: Activations
    budget: int
    seed: int
    trained: bool = True
    measure: Measure = LOGIT

    @property
    def live(self) -> Tensor:
        """(K,) bool: channels that are not 0 everywhere."""
        return (self.activations[0] != 0).flatten(1).any(1)

    @property
    def mean_activation(self) -> Tensor:
        """(K,): what turns a weight per unit of activation into a contribution."""
        return self.activations[0].mean((1, 2))


@formerly_positional("layer", "target", "estimator", "budget", "seed", "progress", "precision")
def channel_shap(
    clf: Classifier,
    image: Image.Image | Tensor,
    *,
    layer: str | None = None,
    target: Target = None,
    estimator: str = "owen",
    budget: int = BUDGET,
    seed: int = 0,
    precision: str = "float32",
    progress: Progress | None = None,
) -> ChannelEstimate:
    """The last, and best, of `stream_channel_shap`."""
    options = Options(seed, precision, progress=progress)
    return deque(_stream(clf, image, layer, target, estimator, budget, options), maxlen=1)[0]


@formerly_positional("layer", "target", "estimator", "budget", "seed", "progress", "precision")
def stream_channel_shap(
    clf: Classifier,
    image: Image.Image | Tensor,
    *,
    layer: str | None = None,
    target: Target = None,
    estimator: str = "owen",
    budget: int = BUDGET,
    seed: int = 0,
    precision: str = "float32",
    progress: Progress | None = None,
) -> Iterator[ChannelEstimate]:
    """Ever better estimates; stop listening to stop the work. Exact at once where that costs no more than `budget`.

    Args:
        image: PIL image, or a normalised float tensor (channels, H, W) or (1, 3, H, W).
        layer: a module name; the classifier's default where omitted.
        target: class index or label, the most probable class where omitted; or another target: see `explain`.
        estimator: "owen", "permutation", "kernel" or "exact".
        budget: tail passes; at least one repetition is made, whatever it costs.
        progress: called as `progress(done, total)` between batches, in tail passes; may raise `Cancelled`.
    Raises:
        CamError: a subclass that names what is wrong.
    """
    yield from _stream(clf, image, layer, target, estimator, budget, Options(seed, precision, progress=progress))


def _stream(
    clf: Classifier,
    image: Image.Image | Tensor,
    layer: str | None,
    target: Target,
    estimator: str,
    budget: int,
    options: Options,
) -> Iterator[ChannelEstimate]:
    name = layer or clf.default_layer
    clf, asked_class = ask(clf, target)
    seen = forward(clf, [image], [asked_class], [name], options)
    acts, class_index = seen.acts[0], int(seen.target)
    run = Run.of(clf, options)
    game = ChannelGame(seen.nets[0].sample(0), acts, class_index, advance=run.advance)
    run.expect(expected_passes(game, estimator, budget))
    describe = partial(
        ChannelEstimate,
        model=clf.name,
        trained=clf.trained,
        layer=name,
        **answer(clf, class_index, seen.logits[0])._asdict(),
        activations=acts.cpu(),
        budget=budget,
        seed=options.seed,
        measure=measure_of(clf),
    )
    for estimate in estimates(game, estimator, run.generator(), budget):
        yield describe(**vars(estimate))
