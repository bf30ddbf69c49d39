"""The trainer: it learns, gives the same numbers again, goes on where it stopped, and keeps the best."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cam_core.models.trainable.checkpoints import load_checkpoint
from cam_core.training import EpochReport, TrainingError, TrainSettings, train
from cam_core.training.batches import batch_count
from cam_core.training.lfi import BEST, LOG, STATE
from cam_core.training.schedule import learning_rate
from cam_core.types import Cancelled, ModelError

Small = Callable[..., TrainSettings]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def numbers(history: tuple[EpochReport, ...]) -> list[dict[str, Any]]:
    """The log without its times."""
    return [{name: value for name, value in report.row().items() if name != "seconds"} for report in history]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("arch", ["lfi", "baseline", "abn"])
def test_learns(small: Small, arch: str) -> None:
    result = train(small(arch=arch, epochs=6))
    assert result.history[-1].loss < 0.7 * result.history[0].loss
    assert result.accuracy >= 0.75
    assert result.complete
    assert not result.network.training


def test_learns_also_where_somebody_set_the_new_switch(small: Small, restored_switches: None) -> None:
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # the legacy switch cannot be read any more
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    train(small(epochs=1))
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == before
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"


def test_two_runs_with_one_seed_give_the_same_numbers(small: Small, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    one = train(small(out=tmp_path / "one"))
    torch.rand(3)
    other = train(small(out=tmp_path / "other"))
    assert numbers(one.history) == numbers(other.history)
    assert equal(weights(tmp_path / "one" / STATE), weights(tmp_path / "other" / STATE))
    torch.random.set_rng_state(state)
    third = train(small(out=tmp_path / "third", seed=1))
    assert numbers(third.history) != numbers(one.history)


def test_global_random_state_is_left_alone(small: Small) -> None:
    before = torch.random.get_rng_state()
    train(small(epochs=1))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("arch", ["lfi", "abn"])
def test_interrupted_and_resumed_equals_unbroken(small: Small, tmp_path: Path, arch: str) -> None:
    unbroken = train(small(arch=arch, out=tmp_path / "unbroken"))
    settings = small(arch=arch, out=tmp_path / "broken")
    steps = []

    def stop_in_the_third_epoch(done: int, total: int) -> None:
        steps.append((done, total))
        if done > 0.8 * total:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        train(settings, progress=stop_in_the_third_epoch)
    seen: list[int] = []
    resumed = train(settings, on_epoch=lambda report: seen.append(report.epoch))
    assert seen == [3]
    assert numbers(resumed.history) == numbers(unbroken.history)
    assert equal(weights(tmp_path / "broken" / STATE), weights(tmp_path / "unbroken" / STATE))
    assert equal(weights(tmp_path / "broken" / BEST), weights(tmp_path / "unbroken" / BEST))
    assert all(later[0] > earlier[0] for earlier, later in pairwise(steps))


def test_a_run_that_is_complete_is_only_read(small: Small) -> None:
    first = train(small())
    again = train(small(), on_epoch=lambda _: pytest.fail("nothing is left to train"))
    assert again.history == first.history and again.card == first.card


def test_progress_ends_at_its_total(small: Small) -> None:
    seen: list[tuple[int, int]] = []
    train(small(epochs=2), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_asked_to_end_it_ends_and_can_go_on(small: Small) -> None:
    stopped = train(small(), on_epoch=lambda report: report.epoch == 2)
    assert not stopped.complete and len(stopped.history) == 2
    assert train(small()).complete


def test_patience_ends_a_run_that_no_longer_improves(small: Small) -> None:
    result = train(small(learning_rate=1e-9, epochs=9, patience=2))
    assert not result.complete
    assert len(result.history) - result.card["epoch"] == 2
    assert len(train(small(learning_rate=1e-9, epochs=9, patience=2)).history) == len(result.history)


def test_cancel_keeps_the_best(small: Small) -> None:
    def cancel(report: EpochReport) -> None:
        if report.epoch == 2:
            raise Cancelled("enough")

    settings = small()
    with pytest.raises(Cancelled):
        train(settings, on_epoch=cancel)
    network, card = load_checkpoint(settings.out / BEST)
    rows = list(csv.DictReader((settings.out / LOG).open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert card["accuracy"] == max(float(row["accuracy"]) for row in rows)
    assert network.recipe.arch == "lfi"


def test_the_checkpoint_is_that_of_the_best_epoch(small: Small) -> None:
    result = train(small(epochs=5))
    best = max(result.history, key=lambda report: report.accuracy)  # of equal ones the first
    assert (result.accuracy, result.card["epoch"]) == (best.accuracy, best.epoch)
    assert [report.best for report in result.history].count(True) >= 1
    assert result.card["seed"] == 0 and result.card["labels"] == ["blue", "red"]
    assert result.card["training"]["learning_rate"] == 0.05
    assert "out" not in result.card["training"] and str(result.path.parent) not in json.dumps(result.card)


def test_reports_carry_maps_of_the_same_images(small: Small) -> None:
    maps: list[Any] = []
    train(small(epochs=2), on_epoch=lambda report: maps.append(report.attention))
    assert [one.shape for one in maps] == [(8, 4, 4), (8, 4, 4)]
    assert all(one.min() >= 0 and one.max() <= 1 for one in maps)
    assert not np.array_equal(maps[0], maps[1])
    baseline: list[Any] = []
    train(small(arch="baseline", epochs=1, out=small().out / "b"), on_epoch=lambda r: baseline.append(r.attention))
    assert baseline == [None]


def test_a_loss_that_is_no_number_keeps_the_best(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small()
    train(settings, on_epoch=lambda report: report.epoch == 1)
    monkeypatch.setattr("cam_core.training.lfi.learning_rate", lambda *_: 1e30)
    with pytest.raises(TrainingError, match=r"in epoch 2; the network of epoch 1 is kept.* which is 0\.05"):
        train(settings)
    load_checkpoint(settings.out / BEST)


def test_another_run_in_the_folder_is_not_overwritten(small: Small) -> None:
    train(small(epochs=1))
    with pytest.raises(TrainingError, match=r"holds another run: batch_size=8 there, 4 here; epochs=1 there, 2 here"):
        train(small(epochs=2, batch_size=4))


def test_the_same_settings_on_other_data_are_another_run(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    train(small(epochs=1))
    monkeypatch.setattr("cam_core.training.lfi._digest", lambda _: "other")
    with pytest.raises(TrainingError, match="the data itself has changed"):
        train(small(epochs=1))


def test_resuming_from_a_damaged_file(small: Small) -> None:
    settings = small()
    train(settings, on_epoch=lambda report: True)
    path = settings.out / STATE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TrainingError, match=r"cannot be resumed: last\.safetensors is damaged"):
        train(settings)


def test_resuming_from_weights_of_another_shape(small: Small) -> None:
    settings = small()
    train(settings, on_epoch=lambda report: True)
    path = settings.out / STATE
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path) | {"weights/classifier.bias": torch.zeros(3)}
    save_file(tensors, path, metadata)
    with pytest.raises(TrainingError, match="does not fit the network"):
        train(settings)


def test_a_damaged_best_network_is_said_so(small: Small) -> None:
    settings = small()
    train(settings)
    (settings.out / BEST).write_bytes(b"nothing")
    with pytest.raises(Exception, match=r"best\.safetensors"):
        train(settings)


def test_an_unknown_backbone(small: Small) -> None:
    with pytest.raises(ModelError, match="resnet21"):
        train(small(backbone="resnet21"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "lfy"}, "arch='lfy' is not one of lfi, baseline, abn"),
        ({"schedule": "linear"}, "schedule='linear'"),
        ({"epochs": 0}, "epochs=0 must be at least 1"),
        ({"batch_size": 1}, "batch_size=1"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"count": 1}, "count=1"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_settings_out_of_range(small: Small, change: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        small(**change)


def test_stride_of_the_stem_follows_the_size(small: Small) -> None:
    settings = small()
    assert [settings.stride(size) for size in (32, 48, 64)] == [1, 2, 2]
    assert replace(settings, stem_stride=4).stride(64) == 4
    assert replace(settings, backbone="imagenet-resnet18").stride(224) == 1


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_learning_rate_warms_up_and_falls(schedule: str) -> None:
    rates = [learning_rate(0.1, schedule, step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert max(rates) == pytest.approx(0.1)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(rates[4:]))
    expected = {"cosine": (0.05 * (1 + np.cos(np.pi * 45 / 95)), 0.0), "step": (0.01, 0.001)}[schedule]
    assert (rates[50], rates[99]) == pytest.approx(expected, abs=1e-4)


def test_the_last_batch_is_never_a_single_image() -> None:
    assert [batch_count(total, 4) for total in (1, 2, 4, 5, 6)] == [0, 1, 1, 1, 2]


@pytest.mark.gpu
def test_learns_on_a_gpu_the_same_twice(small: Small, tmp_path: Path) -> None:
    one = train(small(device="cuda", out=tmp_path / "one"))
    other = train(small(device="cuda", out=tmp_path / "other"))
    assert numbers(one.history) == numbers(other.history)
