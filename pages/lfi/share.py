"""LFI-CAM, to be taken along: the maps of the board and the training by Python, the training from a shell, one zip."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from cam_core.files import npy
from cam_core.models.trainable.trained import digit_networks
from cam_core.training import TrainSettings
from cam_core.training.looks import share_on_object
from cam_core.training.reports import as_csv
from cam_core.version import versions
from pages.lfi.board import Board, Sample, composed
from pages.lfi.training import Run
from pages.shared.provenance import Facts
from pages.shared.sharing.script import PROGRAM, Name, assembled, written_call
from pages.shared.sharing.section import draw

_LOOKING: Final = [
    ("cam_core", "load_model"),
    ("cam_core.training.looks", "looks"),
]
_TRAINING: Final = [
    ("pathlib", "Path"),
    ("cam_core.training", "TrainSettings"),
    ("cam_core.training", "train"),
]
_PLACE: Final = ("out", "data", "device")  # of the settings: where, not what


def share(board: Board | None, run: Run | None) -> None:
    """The last part of the page, where there is something on it.

    Args:
        board: the networks' maps, if they are there.
        run: a training that has ended.
    """
    if board is None and run is None:
        return
    samples = board.samples if board else ()
    draw(
        f"Where networks look in {_named(samples)}" if samples else "A training",
        "lfi",
        _facts(board, run),
        script=python(board, run),
        command=shell(run) if run else "",
        pictures=lambda: {f"images/{_stem(sample)}.png": sample.image for sample in samples},
        files=lambda: {**(_of_board(board) if board else {}), **(_of_run(run) if run else {})},
    )


def python(board: Board | None, run: Run | None) -> str:
    """The script: `seen`, the looks by network; of a training `reports` and `result`."""
    imports: list[tuple[str, str]] = []
    lines: list[str] = []
    if board:
        imports += _LOOKING
        opened, images = _images(board.samples)
        imports += opened
        lines += [
            *images,
            f"networks = {list(board.looks)}",
            'seen = {name: looks(load_model(name, device="cpu"), images) for name in networks}',
            "for name, each in seen.items():",
            "    for look in each:",
            "        print(name, look.prediction.label, look.prediction.probability, look.map.shape, look.map.max())",
        ]
    if run:
        imports += _TRAINING
        lines += [
            "reports = []",
            f"settings = TrainSettings({written_call(_training(run))})",
            "result = train(settings, on_epoch=reports.append)",
            "for report in reports:  # report.attention: the maps on held-out images",
            "    print(report.epoch, report.loss, report.train_accuracy, report.accuracy)",
        ]
    return assembled("LFI-CAM", _named(board.samples) if board else "a training", imports, lines)


def shell(run: Run) -> str:
    """The command that trains the same network, in a folder of its own below `runs`."""
    options = _training(run) | {"out": "runs"}
    words = [f"--{'seeds' if name == 'seed' else name.replace('_', '-')}={value}" for name, value in options.items()]
    return f"{PROGRAM} train {shlex.join(words)}"


def _images(samples: Iterable[Sample]) -> tuple[list[tuple[str, str]], list[str]]:
    """What has to be imported, and the lines that give `images`."""
    indices = [sample.index for sample in samples if sample.index is not None]
    if not indices:
        names = ", ".join(f"load_image({sample.title!r})" for sample in samples)
        return [("cam_core", "load_image")], [f"images = [{names}]"]
    return [("cam_core.training", "DigitsSet")], [
        f'data = DigitsSet("held-out", count={composed(indices[-1] + 1)})',
        f"images = [data.picture(index) for index in {indices}]",
    ]


def _training(run: Run) -> dict[str, Any]:
    """The settings that are not their defaults, beside where the network goes and what it learns from."""
    own = {
        field.name: getattr(run.settings, field.name)
        for field in fields(TrainSettings)
        if field.name not in _PLACE and getattr(run.settings, field.name) != field.default
    }
    return {"out": Name('Path("run")'), "data": run.data, **own}


def _named(samples: Iterable[Sample]) -> str:
    titles = [sample.title for sample in samples]
    return titles[0] if len(titles) == 1 else f"{titles[0]} and those up to {titles[-1]}"


def _stem(sample: Sample) -> str:
    return "mine" if sample.index is None else f"held-out-{sample.index}"


def _facts(board: Board | None, run: Run | None) -> Facts:
    cards = {key: entry.card for key, entry in digit_networks().items() if board and key in board.looks}
    facts = {
        "networks": ", ".join(f"{key} (sha256 {card['sha256']})" for key, card in cards.items()),
        "images": ", ".join(sample.title for sample in board.samples) if board else "",
        "training": json.dumps(run.settings.decisive | {"data": run.data}) if run else "",
        "best_epoch": str(run.best.epoch) if run else "",
        "made_with": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _of_board(board: Board) -> Mapping[str, bytes]:
    masks = {f"masks/{_stem(sample)}.npy": npy(sample.mask) for sample in board.samples if sample.mask is not None}
    maps = {
        f"maps/{key}-{_stem(sample)}.npy": npy(look.map)
        for key, looks in board.looks.items()
        for sample, look in zip(board.samples, looks, strict=True)
    }
    return {**masks, **maps, "looks.csv": _table(board)}


def _table(board: Board) -> bytes:
    """Network, image, true class, answer, its probability, kind of map, share of the map on the digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("network", "image", "class", "says", "probability", "map", "on_object"))
    for key, looks in board.looks.items():
        for sample, look in zip(board.samples, looks, strict=True):
            share = "" if sample.mask is None else share_on_object(look.map, sample.mask)
            kind = "attention" if look.attention else "grad-cam"
            answer = look.prediction.label, look.prediction.probability
            writer.writerow((key, sample.title, sample.label, *answer, kind, share))
    return text.getvalue().encode()


def _of_run(run: Run) -> Mapping[str, bytes]:
    attention = run.best.attention
    maps = {} if attention is None else {"attention.npy": npy(attention)}
    return {"training.csv": as_csv(run.reports).encode(), **maps}
