"""The closeness of estimators and methods to the channels' Shapley values, on photos, where the tail is not linear.

    python benchmarks/shapley.py                          # half an hour on one core; references are kept and reused
    python benchmarks/shapley.py --photos 2 --pairs 20    # a look

The reference is `pairs` antithetic permutations, 100 by default. It has noise of its own, so each table states the
ceiling: the cosine that the true values themselves would have to it. Intervals are 95 % bootstrap intervals over
photos; claims are tested on paired differences, photo by photo. Seconds are CPU seconds of one thread.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import typer
from rich.progress import track
from torch import Tensor

from benchmarks.common import machine, publish
from cam_core import METHODS, Classifier, explain, load_image, load_model
from cam_core.analysis.shapley_fidelity import (
    Fidelity,
    ShapReference,
    fidelity,
    reference_from_samples,
    shap_reference,
    similarity,
)
from cam_core.images import ASSETS, image_digest
from cam_core.metrics.statistics import Interval, bootstrap_interval
from cam_core.shapley import ChannelGame, Estimate, kernel, owen, permutation
from cam_core.shapley.permutation import permutation_passes, repetitions
from cam_core.types import MethodError

SCRATCH = Path(__file__).parent / "scratch" / "shapley"
REFERENCE_SEED, SEED = 20_260, 0
BUDGETS = (16, 32, 64, 128, 256)
# Ten and thirty-five full passes per channel: hours each.
TEDIOUS = ("is-cam", "ss-cam")
RIVALS = ("grad-cam", "grad-cam++", "score-cam", "ablation-cam")

Sampler = Callable[..., Iterator[Estimate]]
SAMPLERS: Mapping[str, Sampler] = {
    "Owen (default: trapezoid, balanced)": owen,
    "Owen, trapezoid, independent masks": partial(owen, balanced=False),
    "Owen, plain, balanced": partial(owen, rule="plain"),
    "Owen, plain, independent masks": partial(owen, rule="plain", balanced=False),
    "KernelSHAP, paired": kernel,
}
PAIR = "Permutations, one antithetic pair"


@dataclass(frozen=True)
class Scene:
    """One photo at one layer, with its reference."""

    photo: str
    layer: str
    image: Tensor
    acts: Tensor
    target: int
    game: Callable[[], ChannelGame]
    reference: ShapReference

    @property
    def means(self) -> np.ndarray:
        return self.acts.mean((0, 2, 3)).numpy()


def scenes(clf: Classifier, photos: Sequence[Path], layer: str, pairs: int) -> list[Scene]:
    """With references, computed where they are not yet in `SCRATCH`."""
    return [scene(clf, photo, layer, pairs) for photo in track(photos, f"{layer}: references")]


def scene(clf: Classifier, photo: Path, layer: str, pairs: int) -> Scene:
    """The photo's most probable class at this layer."""
    image = load_image(photo)
    batch = clf.as_batch(image)
    net = clf.split(layer)
    with torch.no_grad():
        acts = net.head(batch)
        target = int(net.tail(acts).argmax())
    game = partial(ChannelGame, net.sample(0), acts, target)
    store = SCRATCH / f"{photo.stem}-{layer}-{pairs}.npz"
    reference = stored_reference(game(), store, image_digest(image), pairs)
    return Scene(photo.stem, layer, batch[0], acts, target, game, reference)


def stored_reference(game: ChannelGame, store: Path, digest: str, pairs: int) -> ShapReference:
    """From `store` if it is of this photo and this network, else computed and kept there."""
    if game.contributions is not None:
        return shap_reference(game, torch.Generator())
    if store.exists():
        stored = np.load(store)
        if stored["digest"] == digest and abs(float(stored["v_all"]) - game.v_all) < 1e-3:
            return reference_from_samples(stored["samples"].astype(np.float64), live(game))
    generator = torch.Generator().manual_seed(REFERENCE_SEED)
    samples = np.zeros((pairs, game.players), dtype=np.float32)
    samples[:, game.live.numpy()] = torch.stack(list(islice(repetitions(game, generator), pairs))).float().numpy()
    store.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(store, samples=samples, v_all=game.v_all, digest=digest)
    return reference_from_samples(samples.astype(np.float64), live(game))


def live(game: ChannelGame) -> np.ndarray:
    """(K,) bool."""
    return np.isin(np.arange(game.players), game.live.numpy())


@dataclass(frozen=True)
class Trial:
    """One estimate on one scene."""

    cosine: float
    gap: float
    passes: int
    seconds: float
    noise: float


def trial(place: Scene, sampler: Sampler, budget: int) -> Trial:
    """The sampler's last estimate against the reference."""
    game = place.game()
    generator = torch.Generator().manual_seed(SEED)
    started = time.process_time()
    estimate = deque(sampler(game, generator, budget), maxlen=1)[0]
    seconds = time.process_time() - started
    cosine = similarity(estimate.phi, place.reference.phi).cosine
    return Trial(cosine, estimate.relative_gap, estimate.passes, seconds, estimate.noise)


def estimator_rows(places: Sequence[Scene]) -> list[dict[str, Any]]:
    """One row per sampler and budget, and one for a pair of permutations, at one layer."""
    pair = 2 + permutation_passes(places[0].game().size)
    jobs = [(name, sampler, budget) for name, sampler in SAMPLERS.items() for budget in BUDGETS]
    rows = []
    for name, sampler, budget in track([*jobs, (PAIR, permutation, pair)], f"{places[0].layer}: estimators"):
        trials = [trial(place, sampler, budget) for place in places]
        rows.append({"layer": places[0].layer, "estimator": name, "passes": budget} | summary(trials, places))
    return rows


def summary(trials: Sequence[Trial], places: Sequence[Scene]) -> dict[str, Any]:
    """Over photos."""
    # Dividing by the ceiling gives about the cosine to a reference without noise.
    corrected = [trial.cosine / place.reference.ceiling for trial, place in zip(trials, places, strict=True)]
    return {
        "cosine": asdict(bootstrap_interval([trial.cosine for trial in trials])),
        "worst": min(trial.cosine for trial in trials),
        "corrected": float(np.mean(corrected)),
        "gap": asdict(bootstrap_interval([trial.gap for trial in trials])),
        "noise": float(np.mean([trial.noise for trial in trials])),
        "seconds": float(np.median([trial.seconds for trial in trials])),
    }


def method_similarities(clf: Classifier, places: Sequence[Scene], key: str) -> list[Fidelity] | str:
    """The similarities of one method to the references of all scenes, or why it has none."""
    similarities = []
    for place in places:
        try:
            alpha = explain(
                clf, place.image, method=key, layer=place.layer, target=place.target, seed=SEED
            ).coefficients
        except MethodError as refusal:
            return f"refused: {str(refusal).splitlines()[0][:80]}"
        if alpha is None:
            return "no coefficients"
        similarities.append(fidelity(alpha, place.means, place.reference))
    return similarities


def method_rows(clf: Classifier, places: Sequence[Scene], keys: Sequence[str]) -> tuple[list[dict[str, Any]], Any]:
    """One row per method, and LIFT-CAM against its rivals by paired differences, at one layer."""
    layer = places[0].layer
    similarities = {key: method_similarities(clf, places, key) for key in track(keys, f"{layer}: methods")}
    rows = [{"layer": layer, "method": key} | readings(values) for key, values in similarities.items()]
    lift = similarities.get("lift-cam")
    claims = [
        {"layer": layer, "rival": rival, "reading": reading} | asdict(advantage(lift, similarities[rival], reading))
        for rival in RIVALS
        for reading in ("coefficients", "contributions", "better of the two")
        if isinstance(lift, list) and isinstance(similarities.get(rival), list)
    ]
    return rows, claims


def readings(values: list[Fidelity] | str) -> dict[str, Any]:
    """Means and intervals of both readings of a method's coefficients, or its refusal."""
    if isinstance(values, str):
        return {"refused": values}
    measures = ("cosine", "spearman", "kendall", "overlap")
    return {
        reading: {
            measure: asdict(bootstrap_interval([getattr(getattr(value, reading), measure) for value in values]))
            for measure in measures
        }
        for reading in ("coefficients", "contributions")
    }


def advantage(lift: Any, rival: Any, reading: str) -> Interval:
    """LIFT-CAM's cosine, coefficients as they are, less the rival's, photo by photo."""
    rival_cosines = [cosine_of(value, reading) for value in rival]
    return bootstrap_interval(
        [own.coefficients.cosine - cosine for own, cosine in zip(lift, rival_cosines, strict=True)]
    )


def cosine_of(value: Fidelity, reading: str) -> float:
    """Of one reading, or of whichever is the better on this photo."""
    both = {"coefficients": value.coefficients.cosine, "contributions": value.contributions.cosine}
    return both.get(reading, max(both.values()))


def interval(record: Mapping[str, float], digits: int = 4) -> str:
    """As in 0.9876 [0.9812, 0.9901]."""
    return f"{record['mean']:.{digits}f} [{record['low']:.{digits}f}, {record['high']:.{digits}f}]"


def ceiling_row(places: Sequence[Scene]) -> dict[str, Any]:
    """The certainty of the references of one layer."""
    return {
        "layer": places[0].layer,
        "channels": len(places[0].means),
        "exact": places[0].reference.exact,
        "split_half": asdict(bootstrap_interval([place.reference.split_half.cosine for place in places])),
        "ceiling": asdict(bootstrap_interval([place.reference.ceiling for place in places])),
    }


def publish_estimators(rows: Sequence[Mapping[str, Any]], ceilings: Sequence[Mapping[str, Any]], record: Any) -> None:
    """shapley_estimators: cosine and gap against passes."""
    columns = ["layer", "estimator", "passes", "cosine to SHAP", "worst photo", "÷ ceiling", "gap %", "noise", "CPU s"]
    cells: list[list[Any]] = [
        [c["layer"], "reference, half against half", "", interval(c["split_half"]), "", "", "", "", ""]
        for c in ceilings
        if not c["exact"]
    ] + [
        [
            row["layer"],
            row["estimator"],
            row["passes"],
            interval(row["cosine"]),
            f"{row['worst']:.4f}",
            f"{row['corrected']:.4f}",
            interval({k: 100 * v for k, v in row["gap"].items()}, 1),
            row["noise"],
            f"{row['seconds']:.2f}",
        ]
        for row in rows
    ]
    publish("shapley_estimators", "SHAP coefficients: estimators", columns, cells, record)


def publish_methods(rows: Sequence[Mapping[str, Any]], ceilings: Sequence[Mapping[str, Any]], record: Any) -> None:
    """shapley_methods: every method that has coefficients."""
    columns = ["layer", "method", "cosine of α", "cosine of α · mean A", "Spearman of α", "Kendall of α", "top 10 of α"]
    cells: list[list[Any]] = [
        [c["layer"], "ceiling: the true values", interval(c["ceiling"], 3), "", "", "", ""] for c in ceilings
    ]
    for row in rows:
        if "refused" in row:
            cells.append([row["layer"], row["method"], row["refused"], "", "", "", ""])
            continue
        alpha = row["coefficients"]
        texts = [interval(alpha["cosine"], 3), interval(row["contributions"]["cosine"], 3)]
        ranks = [interval(alpha[measure], 2) for measure in ("spearman", "kendall", "overlap")]
        cells.append([row["layer"], METHODS[row["method"]].title, *texts, *ranks])
    publish("shapley_methods", "SHAP coefficients: methods", columns, cells, record)


def publish_claims(claims: Sequence[Mapping[str, Any]], record: Any) -> None:
    """shapley_lift_claim: LIFT-CAM against the methods that its paper compares it with."""
    columns = ["layer", "against", "read as", "LIFT-CAM's advantage in cosine [95 %]", "photos", "closer to SHAP"]
    cells = [
        [
            claim["layer"],
            METHODS[claim["rival"]].title,
            {"coefficients": "α", "contributions": "α · mean A"}.get(claim["reading"], claim["reading"]),
            interval(claim, 3),
            claim["count"],
            "LIFT-CAM" if claim["low"] > 0 else METHODS[claim["rival"]].title if claim["high"] < 0 else "undecided",
        ]
        for claim in claims
    ]
    publish("shapley_lift_claim", "LIFT-CAM's claim: closest to SHAP", columns, cells, record)


def with_coefficients(without: Sequence[str]) -> list[str]:
    """Keys of the methods to compare."""
    return [key for key, method in METHODS.items() if method.unit and not method.multi_layer and key not in without]


def main(
    model: str = "efficientnet_lite0",
    layer: Annotated[list[str] | None, typer.Option(help="several times for several")] = None,
    photos: Annotated[int, typer.Option(help="the first so many of assets/eval, by name")] = 20,
    pairs: Annotated[int, typer.Option(help="antithetic pairs of permutations in a reference")] = 100,
    without: Annotated[list[str] | None, typer.Option(help="methods to leave out, beside the slowest")] = None,
    references_only: Annotated[bool, typer.Option(help="compute and keep the references, and stop")] = False,
) -> None:
    """Compute, print, and write benchmarks/results/shapley_*."""
    torch.set_num_threads(1)
    clf = load_model(model, device="cpu")
    files = sorted((ASSETS / "eval").glob("*.jpg"))[:photos]
    settings = {"model": model, "photos": [photo.stem for photo in files], "pairs": pairs} | machine("cpu")
    estimators: list[dict[str, Any]] = []
    methods: list[dict[str, Any]] = []
    claims: list[dict[str, Any]] = []
    ceilings: list[dict[str, Any]] = []
    for name in layer or ["blocks.5", "blocks.6"]:
        places = scenes(clf, files, name, pairs)
        if references_only:
            continue
        ceilings.append(ceiling_row(places))
        if not places[0].reference.exact:
            estimators += estimator_rows(places)
        rows, layer_claims = method_rows(clf, places, with_coefficients([*TEDIOUS, *(without or [])]))
        methods, claims = methods + rows, claims + layer_claims
    if references_only:
        return
    record = {"settings": settings, "ceilings": ceilings}
    publish_estimators(estimators, ceilings, record | {"rows": estimators})
    publish_methods(methods, ceilings, record | {"rows": methods})
    publish_claims(claims, record | {"rows": claims})


if __name__ == "__main__":
    typer.run(main)
