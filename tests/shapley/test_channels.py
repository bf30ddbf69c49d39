"""`channel_shap` on tiny networks: what a page needs, streamed, exact where it can be."""

from __future__ import annotations

import pytest
import torch

from cam_core import Cancelled, explain
from cam_core.shapley import ESTIMATORS, channel_shap, stream_channel_shap
from cam_core.types import LayerError, MethodError, TargetError
from tests.tiny import tiny_classifier, tiny_images

IMAGE = tiny_images(1)[0]


@pytest.mark.parametrize("estimator", ["exact", *ESTIMATORS])
def test_pooled_linear_tail_is_exact_by_every_name(estimator: str) -> None:
    clf = tiny_classifier("plain")
    found = channel_shap(clf, IMAGE, layer="features.3", target=1, estimator=estimator)
    assert found.exact and found.passes == 2 and found.converged
    assert float(found.stderr.max()) == 0
    lift = explain(clf, IMAGE, method="lift-cam", layer="features.3", target=1)
    torch.testing.assert_close(found.phi.float(), torch.tensor(lift.coefficients))


@pytest.mark.parametrize("estimator", ["owen", "permutation", "independent-permutation", "kernel"])
def test_sampling_agrees_with_the_closed_form_to_float_precision(estimator: str) -> None:
    from cam_core.shapley import ChannelGame

    clf = tiny_classifier("plain")
    net = clf.split("features.3")
    acts = net.head(IMAGE[None]).detach()
    game = ChannelGame(net.sample(0), acts, 1)
    exact = game.contributions
    *_, last = ESTIMATORS[estimator].run(game, torch.Generator().manual_seed(0), 100)
    torch.testing.assert_close(last.phi.float(), exact, atol=1e-6, rtol=1e-5)
    ablation = torch.tensor(explain(clf, IMAGE, method="ablation-cam", layer="features.3", target=1).coefficients)
    cosine = torch.cosine_similarity(ablation, last.phi.float(), dim=0)
    assert abs(float(cosine)) == pytest.approx(1, abs=1e-6)


def test_it_says_what_it_is_of() -> None:
    clf = tiny_classifier("residual")
    found = channel_shap(clf, IMAGE, layer="relu1", target="class 3", budget=40, seed=5)
    explanation = explain(clf, IMAGE, method="owen-cam", layer="relu1", target=3, budget=40, seed=5)
    assert (found.model, found.layer, found.target, found.label) == ("tiny residual", "relu1", 3, "class 3")
    assert (found.budget, found.seed, found.name) == (40, 5, "owen")
    assert found.score == pytest.approx(explanation.score) == pytest.approx(found.v_all, abs=1e-5)
    assert found.probability == pytest.approx(explanation.probability)
    assert found.activations.shape == (1, 8, 4, 4)
    torch.testing.assert_close(found.phi.float(), torch.tensor(explanation.coefficients))
    torch.testing.assert_close(found.stderr.float(), torch.tensor(explanation.stderr))


def test_default_layer_and_most_probable_class() -> None:
    clf = tiny_classifier("max-pool")
    found = channel_shap(clf, IMAGE, budget=16)
    assert (found.layer, found.target) == (clf.default_layer, clf.predict(IMAGE, top=1)[0].index)


def test_stream_ends_with_what_channel_shap_returns() -> None:
    arguments = {"layer": "conv2", "estimator": "permutation", "budget": 60, "seed": 2}
    clf = tiny_classifier("dense")
    stream = list(stream_channel_shap(clf, IMAGE, **arguments | {"budget": 12}))
    assert [found.passes for found in stream] == [8]
    last = channel_shap(clf, IMAGE, **arguments | {"budget": 12})
    assert torch.equal(stream[-1].phi, last.phi)
    # 2⁴ coalitions are fewer than 60 passes.
    assert channel_shap(clf, IMAGE, **arguments).exact


def test_progress_counts_tail_passes_up_to_the_total() -> None:
    seen: list[tuple[int, int]] = []
    clf = tiny_classifier("residual")
    found = channel_shap(clf, IMAGE, layer="relu1", budget=100, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (found.passes, found.passes) == (100, 100)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_cancelling_leaves_the_classifier_as_it_was() -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise Cancelled

    clf = tiny_classifier("residual")
    before = channel_shap(clf, IMAGE, layer="relu1", budget=30).phi
    with pytest.raises(Cancelled):
        channel_shap(clf, IMAGE, layer="relu1", budget=30, progress=stop)
    assert torch.equal(channel_shap(clf, IMAGE, layer="relu1", budget=30).phi, before)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"layer": "relu9"}, LayerError, "relu9"),
        ({"target": 99}, TargetError, "99"),
        ({"estimator": "magic"}, MethodError, "magic"),
    ],
)
def test_wrong_requests_are_named(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        channel_shap(tiny_classifier("residual"), IMAGE, **{"layer": "relu1"} | arguments)  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.parametrize("estimator", ["owen", "permutation"])
def test_the_gpu_says_what_the_cpu_says(estimator: str) -> None:
    cpu, gpu = (
        channel_shap(
            tiny_classifier("plain", device=device), IMAGE, layer="features.1", target=1, estimator=estimator, budget=32
        )
        for device in ("cpu", "cuda")
    )
    torch.testing.assert_close(gpu.phi.cpu(), cpu.phi, rtol=1e-3, atol=1e-4)
    assert (gpu.passes, gpu.activations.device.type) == (cpu.passes, "cpu")
