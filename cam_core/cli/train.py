"""`train`: LFI-CAM, its baseline and its rival, one run per architecture and seed; broken off, it goes on next time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final

import torch
import typer

from cam_core.cli import options
from cam_core.cli.progress import watching
from cam_core.cli.tables import print_table
from cam_core.models.trainable.lfi import ARCHITECTURES, FIN_RELU
from cam_core.training import BUILT_IN, DOWNLOADED, EpochReport, TrainingError, TrainResult, TrainSettings, train
from cam_core.training.settings import SCHEDULES

_COLUMNS: Final = ("architecture", "seed", "accuracy", "epoch", "of", "seconds", "checkpoint")
_NUMERIC: Final = ("seed", "accuracy", "epoch", "of", "seconds")


def train_networks(
    out: Annotated[Path, typer.Option(help="A folder; each run gets one in it, named by architecture and seed.")],
    arch: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(ARCHITECTURES)}. Repeat for several one after another.", show_default="lfi"),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(help="resnetD with D = 6n + 2, densenetD with D = 6n + 4, imagenet-resnet18 …, or see `models`."),
    ] = TrainSettings.backbone,
    data: Annotated[
        str, typer.Option(help=f"{BUILT_IN}, {', '.join(DOWNLOADED)}, or a folder with one folder of images per class.")
    ] = TrainSettings.data,
    seeds: Annotated[str, typer.Option(help="Of weights, order and augmentation: one or several, as 0,1,2.")] = "0",
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = TrainSettings.epochs,
    size: Annotated[int | None, typer.Option(help="Of the images, pixels; the data's own if omitted.")] = None,
    count: Annotated[int | None, typer.Option(help="Of training images; all if omitted.")] = None,
    data_seed: Annotated[int, typer.Option(help="Of the built-in set, and of what a folder holds out.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = TrainSettings.batch_size,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = TrainSettings.learning_rate,
    momentum: Annotated[float, typer.Option(help="Nesterov's.")] = TrainSettings.momentum,
    weight_decay: Annotated[float, typer.Option(help="L2 penalty on all weights.")] = TrainSettings.weight_decay,
    schedule: Annotated[str, typer.Option(help=f"{' or '.join(SCHEDULES)}.")] = TrainSettings.schedule,
    augment: Annotated[bool, typer.Option(help="Shift, contrast, brightness, mirroring.")] = True,
    stem_stride: Annotated[
        int | None, typer.Option(help="Of the first convolution; 2 quarters the work.", show_default="by size")
    ] = None,
    fin_relu: Annotated[
        str | None,
        typer.Option(help=f"{' or '.join(FIN_RELU)}: ReLUs of LFI-CAM's network.", show_default="by backbone"),
    ] = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Keep the backbone's official weights.")] = False,
    patience: Annotated[int, typer.Option(help="End after so many epochs without progress; 0 for never.")] = 0,
    amp: Annotated[bool, typer.Option(help="Mixed precision on a GPU.")] = True,
    device: options.Device = "auto",
    threads: Annotated[int | None, typer.Option(help="Of the CPU; results depend on it in the last digits.")] = None,
) -> None:
    """Train networks; the best of each run is kept, with a card. The same command goes on with what was broken off."""
    given = locals()
    shared = {field.name: given[field.name] for field in fields(TrainSettings) if field.name in given}
    runs = [
        _settings(shared, out, name, seed)
        for name in dict.fromkeys(arch or [TrainSettings.arch])
        for seed in _read_seeds(seeds)
    ]
    _use_threads(threads)
    done: list[TrainResult] = []
    try:
        for settings in runs:
            done.append(_train_one(settings))
    finally:
        if done:
            _summarise(runs, done)


def _settings(shared: dict[str, Any], out: Path, arch: str, seed: int) -> TrainSettings:
    return TrainSettings(**shared | {"arch": arch, "seed": seed, "out": out / f"{arch}-seed{seed}"})


def _read_seeds(text: str) -> list[int]:
    """ "0,1,2" → [0, 1, 2], each once."""
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise TrainingError(f"--seeds takes whole numbers with commas between them, as 0,1,2, not {text!r}") from None
    return list(dict.fromkeys(seeds))


def _use_threads(threads: int | None) -> None:
    if threads is None:
        return
    if threads < 1:
        raise TrainingError(f"--threads {threads} must be at least 1")
    torch.set_num_threads(threads)


def _train_one(settings: TrainSettings) -> TrainResult:
    name = f"{settings.arch}, seed {settings.seed}"

    def tell(report: EpochReport) -> None:
        mark = "  best" if report.best else ""
        typer.echo(
            f"{name}: epoch {report.epoch}/{report.epochs}  loss {report.loss:.3f}  "
            f"training {report.train_accuracy:.1%}  held out {report.accuracy:.1%}  {report.seconds:.0f} s{mark}",
            err=True,
        )

    try:
        with watching(name) as progress:
            return train(settings, progress=progress, on_epoch=tell)
    except KeyboardInterrupt:
        typer.echo(f"{name}: stopped; what was learnt is in {settings.out}, and the same command goes on", err=True)
        raise


def _summarise(runs: Sequence[TrainSettings], done: Sequence[TrainResult]) -> None:
    rows = [
        (
            settings.arch,
            settings.seed,
            f"{result.accuracy:.2%}",
            result.card["epoch"],
            len(result.history),
            f"{result.seconds:.0f}",
            result.path,
        )
        for settings, result in zip(runs, done, strict=False)
    ]
    print_table(_COLUMNS, rows, numeric=_NUMERIC)
