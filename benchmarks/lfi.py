"""LFI-CAM against its plain baseline and an attention branch network, each trained five times with other settings.

    python benchmarks/lfi.py                  # trains what is missing, two networks at a time; resumes where it stopped
    python benchmarks/lfi.py --train-only --arch lfi      # a part of the training, for a machine that is shared
    python benchmarks/lfi.py --compare-only   # tables from the networks that are there

Held-out accuracy, attention against the true mask of the digit, and whether networks that were trained differently look
at the same pixels, beside Grad-CAM and LIFT-CAM on the baseline. The project bundles seed 0 of each architecture.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import typer
from rich.progress import track
from scipy.stats import t as student

from benchmarks.common import machine, publish
from cam_core.analysis.stability import map_iou, object_iou, pairwise_iou, salient
from cam_core.explain import explain_batch
from cam_core.files import write_whole
from cam_core.images import ASSETS
from cam_core.maps import saliency
from cam_core.metrics import METRICS
from cam_core.metrics.evaluating import measure
from cam_core.metrics.samples import gather
from cam_core.metrics.statistics import Interval
from cam_core.models.classifier import Classifier
from cam_core.models.trainable.baseline import Baseline
from cam_core.models.trainable.checkpoints import card_path, load_checkpoint, preprocessing_of
from cam_core.models.trainable.lfi import ARCHITECTURES
from cam_core.numbers import decimals
from cam_core.training import DigitsSet, EpochReport, ImageSet, TrainSettings, train
from cam_core.training.batches import evaluation_batches
from cam_core.training.lfi import BEST
from cam_core.types import FloatArray, MetricError

SCRATCH = Path(__file__).parent / "scratch" / "lfi"
MODELS = ASSETS / "models"
# As in the paper, what differs is not the seed alone. The first of them is the default and is bundled.
VARIANTS: tuple[dict[str, Any], ...] = (
    {"seed": 0},
    {"seed": 1, "batch_size": 64},
    {"seed": 2, "learning_rate": 0.05},
    {"seed": 3, "weight_decay": 1e-4},
    {"seed": 4, "schedule": "step"},
)
COMMON: dict[str, Any] = {"device": "cpu"}
# The metric's 15 pixels are of 224.
TOLERANCE = 15 * 64 / 224
POST_HOC = ("grad-cam", "lift-cam")
TITLES = {
    "lfi": "LFI-CAM",
    "abn": "ABN",
    "baseline": "Baseline",
    "grad-cam": "Grad-CAM on the baseline",
    "lift-cam": "LIFT-CAM on the baseline",
}
LOCALISATION = ("ebpg", "pointing-game")


@dataclass(frozen=True)
class Measured:
    """One kind of map on one network: values per image (N,), and the maps themselves (N, H, W)."""

    values: Mapping[str, Any]
    maps: FloatArray


def settings_of(arch: str, variant: Mapping[str, Any]) -> TrainSettings:
    """The settings that one network of the comparison is trained with."""
    return TrainSettings(**COMMON | variant | {"arch": arch, "out": SCRATCH / f"{arch}-{variant['seed']}"})


def train_all(architectures: Sequence[str], workers: int) -> None:
    """Train what is missing, each network in a process and a thread of its own: so the numbers are the same again."""
    jobs = [settings_of(arch, variant) for variant in VARIANTS for arch in architectures]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for _ in pool.map(train_one, jobs):
            pass


def train_one(settings: TrainSettings) -> None:
    """In a worker."""
    torch.set_num_threads(1)

    def tell(report: EpochReport) -> None:
        clock = time.strftime("%H:%M:%S")
        print(
            f"{clock} {settings.out.name} {report.epoch}/{report.epochs} loss {report.loss:.3f} "
            f"train {report.train_accuracy:.3f} held out {report.accuracy:.3f} {report.seconds:.0f} s",
            flush=True,
        )

    train(settings, on_epoch=tell)


def measure_network(network: Baseline, card: Mapping[str, Any], data: ImageSet) -> dict[str, Measured]:
    """The network's own attention, or the post-hoc maps of a network that has none."""
    preprocessing = preprocessing_of(card)
    images = torch.cat([batch for batch, _ in evaluation_batches(data, preprocessing, 250)])
    clf = Classifier(network, preprocessing=preprocessing, labels=card["labels"], device="cpu")
    if network.attention(images[:1]) is None:
        maps = {
            method: np.stack([explanation.saliency for explanation in explain_batch(clf, list(images), method=method)])
            for method in POST_HOC
        }
    else:
        with torch.no_grad():
            attention = torch.cat([network.attention(part) for part in images.split(250)])  # type: ignore[misc]
        maps = {card["arch"]: saliency(attention, preprocessing.input_size).numpy()}
    return {name: Measured(localisation(clf, images, own_maps, data), own_maps) for name, own_maps in maps.items()}


def localisation(clf: Classifier, images: torch.Tensor, maps: FloatArray, data: ImageSet) -> dict[str, Any]:
    """Values per image: how well maps (N, H, W) lie on the true masks."""
    masks = None if data.masks is None else list(data.masks)
    batch = gather(clf, list(images), list(maps), targets=list(data.labels.tolist()), regions=masks)
    params = {"pointing-game": {"tolerance": TOLERANCE}}
    values = {
        key: np.array(
            [result.value for result in measure(batch, METRICS[key], METRICS[key].validate(params.get(key, {})))]
        )
        for key in LOCALISATION
    }
    return values | {"iou": object_iou(maps, data.masks), "area": salient(maps).mean((1, 2))}


def over_networks(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over networks with Student's interval: what another network, trained in yet another way, would vary by."""
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, float("nan"), float("nan"), len(sample))
    reach = float(student.ppf((1 + level) / 2, len(sample) - 1) * sample.std(ddof=1) / len(sample) ** 0.5)
    return Interval(mean, mean - reach, mean + reach, len(sample))


def stability(maps: Sequence[FloatArray]) -> dict[str, Any]:
    """Overlap of every two networks' maps of one image, and of two different images: what overlap says nothing."""
    if len(maps) < 2:
        raise MetricError("stability needs at least two networks of a kind")
    pairs = {name: pairwise_iou(maps, rowwise=name == "rowwise") for name in ("iou", "rowwise")}
    means = {name: [float(value.mean()) for value in overlaps.values()] for name, overlaps in pairs.items()}
    next_image = np.roll(np.arange(len(maps[0])), 1)
    unrelated = [float(map_iou(salient(maps[i]), salient(maps[j][next_image])).mean()) for i, j in pairs["iou"]]
    return {name: _pairs(values) for name, values in means.items()} | {"other images": _pairs(unrelated)}


def _pairs(values: Sequence[float]) -> dict[str, Any]:
    """Pairs share networks, so no interval: mean, least and greatest."""
    return {"mean": float(np.mean(values)), "low": min(values), "high": max(values), "pairs": list(values)}


def compare(architectures: Sequence[str], images: int) -> dict[str, Any]:
    """Everything that is reported, as plain values."""
    data = DigitsSet("held-out").head(images)
    cards: dict[str, list[dict[str, Any]]] = {arch: [] for arch in architectures}
    measured: dict[str, list[Measured]] = {}
    jobs = [settings_of(arch, variant) for arch in architectures for variant in VARIANTS]
    for settings in track([job for job in jobs if _finished(job)], "measuring"):
        network, card = load_checkpoint(settings.out / BEST)
        cards[settings.arch].append(card | {"last accuracy": _last_accuracy(settings)})
        cache = settings.out / f"judged-{card['sha256'][:12]}-{len(data)}.npz"
        of_network = _cached(cache) or measure_network(network, card, data)
        _keep(cache, of_network)
        for name, of_map in of_network.items():
            measured.setdefault(name, []).append(of_map)
    return _gain(cards) | {
        "accuracy": {arch: _accuracy(its_cards) for arch, its_cards in cards.items() if its_cards},
        "maps": {name: _summary(of_networks) for name, of_networks in measured.items()},
        "even map": {"ebpg": float(data.masks.mean()) if data.masks is not None else None},
        "images": len(data),
    }


def _keep(path: Path, measured: Mapping[str, Measured]) -> None:
    """For the next time, so that a comparison that was broken off goes on."""
    if not path.exists():
        arrays = {f"{name}/{key}": value for name, of_map in measured.items() for key, value in of_map.values.items()}
        content = io.BytesIO()
        np.savez(content, **arrays, **{name: of_map.maps for name, of_map in measured.items()})
        write_whole(path, lambda draft: draft.write_bytes(content.getvalue()))


def _cached(path: Path) -> dict[str, Measured]:
    """The arrays that `_keep` kept; nothing where it kept nothing."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        names = [name for name in file.files if "/" not in name]
        values = {name: [key for key in file.files if key.startswith(f"{name}/")] for name in names}
        return {
            name: Measured({key.partition("/")[2]: file[key] for key in values[name]}, file[name]) for name in names
        }


def _gain(cards: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The accuracy of LFI-CAM less that of the baseline trained with the same settings."""
    accuracy = {arch: {card["seed"]: card["accuracy"] for card in its_cards} for arch, its_cards in cards.items()}
    shared = sorted(accuracy.get("lfi", {}).keys() & accuracy.get("baseline", {}).keys())
    differences = [accuracy["lfi"][seed] - accuracy["baseline"][seed] for seed in shared]
    return {"gain": asdict(over_networks(differences))} if shared else {}


def _finished(settings: TrainSettings) -> bool:
    return _last_epoch(settings) == settings.epochs


def _last_epoch(settings: TrainSettings) -> int:
    rows = _log(settings)
    return int(rows[-1][0]) if rows else 0


def _last_accuracy(settings: TrainSettings) -> float:
    return float(_log(settings)[-1][3])


def _log(settings: TrainSettings) -> list[list[str]]:
    path = settings.out / "log.csv"
    return [line.split(",") for line in path.read_text().splitlines()[1:]] if path.exists() else []


def _accuracy(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [float(card["accuracy"]) for card in cards]
    return asdict(over_networks(values)) | {
        "networks": [
            {
                "seed": card["seed"],
                "accuracy": card["accuracy"],
                "last accuracy": card["last accuracy"],
                "epoch": card["epoch"],
            }
            for card in cards
        ]
    }


def _summary(measured: Sequence[Measured]) -> dict[str, Any]:
    means = {key: [float(of_network.values[key].mean()) for of_network in measured] for key in measured[0].values}
    summary: dict[str, Any] = {
        key: asdict(over_networks(values)) | {"networks": values} for key, values in means.items()
    }
    if len(measured) > 1:
        summary["stability"] = stability([of_network.maps for of_network in measured])
    return summary


def tables(record: Mapping[str, Any]) -> tuple[tuple[str, ...], list[list[str]]]:
    """The published table: a row per kind of map."""
    columns = (
        "",
        "accuracy",
        "EBPG",
        "IoU with the digit",
        "pointing game",
        "area",
        "stability IoU",
        "rowwise",
        "other images",
    )
    rows = []
    for name in (*ARCHITECTURES, *POST_HOC):
        arch = "baseline" if name in POST_HOC else name
        maps = record["maps"].get(name, {})
        if arch not in record["accuracy"]:
            continue
        accuracy = "" if name in POST_HOC else _shares(record["accuracy"][arch])
        overlap = maps.get("stability", {})
        rows.append(
            [TITLES[name], accuracy]
            + [_number(maps.get(key)) for key in ("ebpg", "iou", "pointing-game", "area")]
            + [_number(overlap.get(key)) for key in ("iou", "rowwise", "other images")]
        )
    return columns, rows


def _shares(interval: Mapping[str, float]) -> str:
    mean, low, high = (f"{decimals(100 * interval[name], 1)}%" for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _number(interval: Mapping[str, float] | None) -> str:
    return f"{interval['mean']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" if interval else "–"


def bundle(architectures: Sequence[str], say: Callable[[str], None]) -> None:
    """Copy the first network of each architecture into the project."""
    MODELS.mkdir(parents=True, exist_ok=True)
    for arch in architectures:
        source = settings_of(arch, VARIANTS[0]).out / BEST
        target = MODELS / f"{arch}_digits{source.suffix}"
        shutil.copyfile(source, target)
        shutil.copyfile(card_path(source), card_path(target))
        say(f"bundled {target.name}")


NOTES = (
    "Five networks of each architecture around one backbone, each trained with other settings (seed, batch size, "
    "learning rate, weight decay, schedule), as in the paper. Intervals are Student's 95 % over the five networks; "
    "those of the stability columns are the least and greatest of the ten pairs of networks, which share networks.",
    "Accuracy is that of the epoch that is kept, chosen on the same held-out images; the JSON file also has that of "
    "the last epoch. The digits and the photos behind them are held out.",
    "EBPG is the share of a map's energy on the digit, the pointing game whether its peak lies on it or less than "
    f"{TOLERANCE:.1f} pixels away, IoU the overlap of digit and map cut at 100 of 255, area the share of pixels above "
    "that cut. Grad-CAM and LIFT-CAM explain the predicted class.",
    "Stability is the overlap of two networks' maps of one image, cut at 100 of 255. The row-wise variant counts as "
    "the authors' code does, row by row, where rows that are empty in both maps count as 1. The last column is the "
    "overlap of maps of two different images: what networks that always look at the same place have for nothing.",
)


def report(record: dict[str, Any]) -> None:
    """Write the results of the benchmark, and the summary that the app shows."""
    notes = [*NOTES, *_remarks(record)]
    whole = record | {
        "machine": machine("cpu"),
        "settings": {"common": COMMON, "variants": list(VARIANTS)},
        "notes": notes,
    }
    columns, rows = tables(record)
    publish("lfi", "LFI-CAM, its baseline and ABN on the built-in digits", columns, rows, whole, notes)
    summary = {"columns": list(columns), "rows": rows, "notes": notes} | record
    (MODELS / "comparison.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _remarks(record: Mapping[str, Any]) -> list[str]:
    """The figures in words, against the paper's two claims."""
    remarks = [f"The digits cover {record['even map']['ebpg']:.1%} of the images: that is the EBPG of an even map."]
    partial = {
        TITLES[arch]: mean["count"] for arch, mean in record["accuracy"].items() if mean["count"] < len(VARIANTS)
    }
    if partial:
        counts = ", ".join(f"{count} of {name}" for name, count in partial.items())
        remarks.append(f"Not complete: {counts} instead of {len(VARIANTS)}. `python benchmarks/lfi.py` goes on.")
    if "gain" in record:
        remarks.append(
            "The paper's claim that LFI-CAM is at least as accurate as its baseline: the difference, setting by "
            f"setting, is {_shares(record['gain'])} here."
        )
    lfi, abn = (record["maps"].get(name, {}).get("stability") for name in ("lfi", "abn"))
    if lfi and abn:
        own, rival = ((overlap["iou"]["mean"], overlap["other images"]["mean"]) for overlap in (lfi, abn))
        area = record["maps"]["abn"]["area"]["mean"]
        remarks.append(
            f"The paper's figure shows LFI-CAM about twice as stable as ABN: the overlap is {own[0]:.3f} against "
            f"{rival[0]:.3f} here, and what it exceeds that of different images by {own[0] - own[1]:.3f} against "
            f"{rival[0] - rival[1]:.3f}: ABN's maps lie above the cut on {area:.0%} of the image, which overlaps "
            "anyhow."
        )
    return remarks


def main(
    arch: Annotated[list[str] | None, typer.Option(help=f"{', '.join(ARCHITECTURES)}; all if omitted.")] = None,
    workers: Annotated[int, typer.Option(help="Networks trained at a time, one thread each.")] = 2,
    images: Annotated[int, typer.Option(help="Held-out images to evaluate on, of 1000.")] = 1000,
    train_only: Annotated[bool, typer.Option("--train-only", help="No tables.")] = False,
    compare_only: Annotated[bool, typer.Option("--compare-only", help="No training.")] = False,
) -> None:
    """Train, compare, write the results, bundle the networks of seed 0."""
    architectures = arch or list(ARCHITECTURES)
    if not compare_only:
        train_all(architectures, workers)
    if train_only:
        return
    torch.set_num_threads(2)
    bundle(architectures, typer.echo)
    report(compare(architectures, images))


if __name__ == "__main__":
    typer.run(main)
