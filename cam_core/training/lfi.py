"""Train LFI-CAM, its plain baseline or an attention branch network: SGD, one schedule, resumable after every epoch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from cam_core.files import write_whole
from cam_core.models.devices import layout, resolve_device, wait_for
from cam_core.models.precision import computing_in, has_bfloat16
from cam_core.models.trainable.baseline import Baseline
from cam_core.models.trainable.checkpoints import load_checkpoint, save_checkpoint
from cam_core.models.trainable.lfi import build_network
from cam_core.training.batches import batch_count, evaluation_batches, training_batches
from cam_core.training.data import open_data
from cam_core.training.errors import TrainingError
from cam_core.training.image_sets import ImageSet, TrainingData
from cam_core.training.reports import EpochReport, TrainResult, as_csv
from cam_core.training.schedule import learning_rate
from cam_core.training.settings import TrainSettings
from cam_core.training.state import RunState, check_same, load_state, restore, save_state
from cam_core.types import FloatArray, Progress

BEST: Final = "best.safetensors"
STATE: Final = "last.safetensors"
LOG: Final = "log.csv"

_EVALUATION_BATCH: Final = 250

OnEpoch = Callable[[EpochReport], bool | None]
"""Called after each epoch, when its network has been saved; true ends the run there."""


def train(settings: TrainSettings, *, progress: Progress | None = None, on_epoch: OnEpoch | None = None) -> TrainResult:
    """Train a network, or go on training it where `settings.out` holds a run of the same settings.

    The folder then holds the best network with its card (`best.safetensors`, `best.json`), what is needed to go on
    (`last.safetensors`) and the log (`log.csv`); each is whole after every epoch, however the run ends.

    Args:
        progress: called with batches done and in all, those of earlier parts of the run included. It may raise
            `Cancelled`, which loses the epoch that has begun and no other: the best network stays in the folder.
        on_epoch: see `OnEpoch`.
    Raises:
        TrainingError: wrong settings or data, a folder that holds another or a damaged run, or a loss that is no number
            any more; the best network so far stays in the folder.
        ModelError: no such network.
        DeviceError: no such device.
    """
    device = resolve_device(settings.device)
    data = open_data(settings.data, size=settings.size, seed=settings.data_seed, count=settings.count)
    run = _Run(settings, data, device, progress or (lambda done, total: None))
    stopped = False
    while run.epoch < settings.epochs and not stopped and not run.out_of_patience:
        report = run.one_epoch()
        stopped = bool(on_epoch and on_epoch(report))
    return run.result()


class _Run:
    """A network on its way through the epochs."""

    def __init__(self, settings: TrainSettings, data: TrainingData, device: torch.device, progress: Progress) -> None:
        self.settings, self.data, self.device = settings, data, device
        self.batches = batch_count(len(data.train), settings.batch_size)
        if not self.batches:
            raise TrainingError(f"{len(data.train)} training images are too few: at least 2 are needed")
        network = build_network(
            settings.arch,
            settings.backbone,
            len(data.classes),
            seed=settings.seed,
            fin_relu=settings.fin_relu,
            frozen=settings.frozen,
            stem_stride=settings.stride(data.size),
            pretrained=settings.pretrained,
        )
        self.network = network.to(device, memory_format=layout(device))  # type: ignore[call-overload]
        self.optimiser = torch.optim.SGD(
            [parameter for parameter in network.parameters() if parameter.requires_grad],
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            weight_decay=settings.weight_decay,
        )
        self.state = RunState(settings.decisive, _digest(data))
        self._resume()
        rounds = -(-len(data.held_out) // _EVALUATION_BATCH)
        self._steps = self.batches + rounds
        self._progress = progress

    @property
    def epoch(self) -> int:
        """The number of epochs done."""
        return len(self.state.history)

    @property
    def out_of_patience(self) -> bool:
        best = self.state.best
        return bool(self.settings.patience and best and self.epoch - best.epoch >= self.settings.patience)

    def one_epoch(self) -> EpochReport:
        """Train, evaluate, save."""
        wait_for(self.device)
        started = time.perf_counter()
        number = self.epoch + 1
        with _reproducible(self.settings.seed, number, self.device) as generator:
            loss, train_accuracy, rate = self._learn(generator)
        if not np.isfinite(loss):
            raise TrainingError(self._diverged(number))
        accuracy = self._accuracy(self.data.held_out)
        wait_for(self.device)
        previous = self.state.best
        report = EpochReport(
            epoch=number,
            epochs=self.settings.epochs,
            loss=loss,
            train_accuracy=train_accuracy,
            accuracy=accuracy,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
            best=previous is None or accuracy > previous.accuracy,
            attention=self._maps(self.data.previews),
        )
        self._save(report)
        return report

    def result(self) -> TrainResult:
        """The best network, from its checkpoint."""
        path = self.settings.out / BEST
        network, card = load_checkpoint(path)
        assert isinstance(network, Baseline), "a run's folder holds what the run has saved there"
        return TrainResult(network, card, path, tuple(self.state.history), self.epoch == self.settings.epochs)

    def _resume(self) -> None:
        path = self.settings.out / STATE
        self.settings.out.mkdir(parents=True, exist_ok=True)
        if path.exists():
            saved = load_state(path)
            check_same(saved, self.state, self.settings.out)
            restore(saved, self.network, self.optimiser, path)
            self.state.history = saved.history

    def _learn(self, generator: torch.Generator) -> tuple[float, float, float]:
        """One pass over the training images: mean loss, share of right answers, last learning rate."""
        self.network.train()
        settings, rate = self.settings, 0.0
        total = torch.zeros(3, device=self.device)  # loss, right answers, images
        batches = training_batches(
            self.data.train,
            self.data.preprocessing,
            settings.batch_size,
            generator,
            augment=settings.augment,
            flip=self.data.flip,
        )
        for index, (images, labels) in enumerate(batches):
            rate = learning_rate(
                settings.learning_rate,
                settings.schedule,
                self.epoch * self.batches + index,
                settings.epochs * self.batches,
            )
            total += self._step(self._moved(images), labels.to(self.device), rate)
            self._report(index + 1)
        loss, right, count = total.tolist()
        return loss / count, right / count, rate

    def _step(self, images: Tensor, labels: Tensor, rate: float) -> Tensor:
        """One optimiser step; (3,): the loss summed over images, right answers, images."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with self._float32():
            with self._mixed():
                loss, logits = self.network.loss(images, labels)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
        self.optimiser.step()
        right = (logits.detach().argmax(1) == labels).sum()
        return torch.stack([loss.detach() * len(labels), right, torch.full_like(right, len(labels))])

    @torch.no_grad()
    def _accuracy(self, data: ImageSet) -> float:
        """Share of right answers."""
        self.network.eval()
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        batches = evaluation_batches(data, self.data.preprocessing, _EVALUATION_BATCH)
        for index, (images, labels) in enumerate(batches):
            with self._float32(), self._mixed():
                logits = self.network(self._moved(images))
            right += (logits.argmax(1) == labels.to(self.device)).sum()
            self._report(self.batches + index + 1)
        return int(right) / len(data)

    @torch.no_grad()
    def _maps(self, previews: ImageSet) -> FloatArray | None:
        self.network.eval()
        ((images, _),) = evaluation_batches(previews, self.data.preprocessing, len(previews))
        with self._float32():
            attention = self.network.attention(self._moved(images))
        return None if attention is None else attention.float().cpu().numpy()

    def _moved(self, images: Tensor) -> Tensor:
        return images.to(self.device, memory_format=layout(self.device))

    def _float32(self) -> AbstractContextManager[None]:
        return computing_in("float32", self.device)

    def _mixed(self) -> torch.autocast:
        # bfloat16 has the range of float32, so that no loss needs to be scaled.
        mixed = self.settings.amp and self.device.type == "cuda" and has_bfloat16(self.device)
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed)

    def _report(self, done: int) -> None:
        self._progress(self.epoch * self._steps + done, self.settings.epochs * self._steps)

    def _save(self, report: EpochReport) -> None:
        """The best network first: a run broken off in between repeats the epoch, and arrives at the same."""
        self.state.history.append(replace(report, attention=None))
        if report.best:
            save_checkpoint(self.settings.out / BEST, self.network, self._card(report))
        save_state(self.settings.out / STATE, self.state, self.network, self.optimiser)
        log = as_csv(self.state.history)
        write_whole(self.settings.out / LOG, lambda draft: draft.write_text(log, encoding="utf-8"))

    def _card(self, report: EpochReport) -> dict[str, Any]:
        settings = {name: value for name, value in self.settings.decisive.items() if name not in ("arch", "backbone")}
        return {
            "labels": list(self.data.classes),
            "preprocessing": self.data.preprocessing,
            "data": self.data.name,
            "seed": self.settings.seed,
            "accuracy": report.accuracy,
            "epoch": report.epoch,
            "training": settings
            | {"data": self.data.name, "device": self.device.type, "threads": torch.get_num_threads()},
            "images": {"train": len(self.data.train), "held_out": len(self.data.held_out)} | self.data.facts,
        }

    def _diverged(self, number: int) -> str:
        best = self.state.best
        kept = f"the network of epoch {best.epoch} is kept" if best else "nothing was learnt"
        return (
            f"the loss is no finite number any more in epoch {number}; {kept}. Lower the learning rate, which is "
            f"{self.settings.learning_rate:g}"
        )


@contextmanager
def _reproducible(seed: int, epoch: int, device: torch.device) -> Iterator[torch.Generator]:
    """A generator for this epoch; layers that draw by themselves, such as dropout, start from the same seed.

    The global random state is put back in the end. On a GPU the algorithms are the deterministic ones.
    """
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), _deterministic():
        torch.manual_seed(mixed)
        yield torch.Generator().manual_seed(mixed)


@contextmanager
def _deterministic() -> Iterator[None]:
    """cuDNN's switches, by hand: `torch.backends.cudnn.flags` raises where somebody set what TF32 goes by of late."""
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.benchmark, cudnn.deterministic
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = True, False, True
    try:
        yield
    finally:
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = before


def _digest(data: TrainingData) -> str:
    """Of every pixel and label that is learnt from or evaluated on."""
    digest = hashlib.sha256()
    for part in (data.train, data.held_out):
        digest.update(np.ascontiguousarray(part.images).data)
        digest.update(np.ascontiguousarray(part.labels).data)
    return digest.hexdigest()
