"""Every family of timm: is its smallest classifier explained, on the fast path, and is LIFT-CAM complete there?

    python benchmarks/timm_families.py                         # goes on where it was left
    python benchmarks/timm_families.py --only swin_transformer --only beit --again
    python benchmarks/timm_families.py --minutes 5
    python benchmarks/timm_families.py --only gemma4_vit --pixels 192    # too slow on images of 768 × 768

A family is one module of timm's models; its smallest variant that has a classifier gets seeded random weights. At its
default layer and at the one halfway: the halves make the network (to 1e-4 of the largest |logit|), Grad-CAM gives a map
that is not constant, and LIFT-CAM's contributions sum to the change in logit that two plain passes of the tail show (to
1e-3 of it, or of a thousandth of the largest |logit|). What is missed is listed with its reason. Each family is written
down when it is done.
"""

from __future__ import annotations

import copy
import gc
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import timm
import torch
import typer

from benchmarks.common import RESULTS, machine, publish
from cam_core import SAMPLES, Classifier, explain, load_image, load_model
from cam_core.deeplift import contributions
from cam_core.models.split.sized_tracing import trace_at_size
from cam_core.models.split.tracing import private_copy, trace
from cam_core.models.zoo.random_weights import PrivateRandomness, calibrate
from cam_core.types import CamError, MethodError

NAME = "timm-families"
LARGE = ("base", "large", "huge", "giant", "gigant", "enormous", "xlarge", "so400m", "so150m", "7b", "_h_", "_g_")
COLUMNS = ("family", "network", "layer", "explained", "fast path", "LIFT-CAM", "gap", "reason")
NOTES = (
    "Explained: the halves make the network to 1e-4 of the largest |logit|, and Grad-CAM's map is not constant.",
    "Fast path: torch.fx traced the network, so that the tail runs alone.",
    "Gap: |Σ contributions − Δlogit| / max(|Δlogit|, 1e-3 · largest |logit|); complete below 1e-3.",
)


def families() -> dict[str, list[str]]:
    """Names of networks by the module of timm that builds them."""
    named: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        named[timm.model_entrypoint(name).__module__.rpartition(".")[2]].append(name)
    return dict(sorted(named.items()))


def smallest(names: list[str]) -> str:
    """The one with the fewest parameters among those with a classifier; the first where none has one."""
    modest = [name for name in names if not any(part in name for part in LARGE)]
    for choice in (modest, names):
        sizes = {name: size for name in choice if (size := parameters(name))}
        if sizes:
            return min(sizes, key=lambda name: sizes[name])
    return names[0]


def parameters(name: str) -> int:
    """How many a network has; 0 for one without a classifier, or one that cannot be built without weights."""
    config = timm.get_pretrained_cfg(name)
    if config is not None and not config.num_classes:
        return 0
    try:
        with torch.device("meta"):
            module = timm.create_model(name, pretrained=False)
    except Exception:  # of timm's networks, or of what they need
        return 0
    return sum(p.numel() for p in module.parameters()) if getattr(module, "num_classes", 0) else 0


def measure(family: str, network: str, pixels: int | None) -> list[dict[str, Any]]:
    """One row per layer, or one with the reason why there is none."""
    said_network = network if pixels is None else f"{network} at {pixels} × {pixels}"
    row = {"family": family, "network": said_network, "layer": "", "explained": False}
    try:
        clf = loaded(network, pixels)
        names = [layer.name for layer in clf.layers]
    except Exception as error:  # a refusal in words, or a failure that has to be seen
        return [row | {"reason": said(error)}]
    before = names[: names.index(clf.default_layer)]
    depths = [before[len(before) // 2]] if before else []
    return [row | {"layer": name} | at_layer(clf, name) for name in [*depths, clf.default_layer]]


def loaded(network: str, pixels: int | None) -> Classifier:
    """The network with seeded random weights, for images of its own size or of another one."""
    if pixels is None:
        return load_model(f"timm:{network}", weights="random", device="cpu")
    with PrivateRandomness(seed=0):
        module = timm.create_model(network, pretrained=False)
    calibrate(module, (pixels, pixels), seed=0)
    return Classifier(module, input_size=(pixels, pixels), device="cpu", trained=False)


def at_layer(clf: Classifier, layer: str) -> dict[str, Any]:
    """The findings at one layer."""
    started = time.perf_counter()
    row: dict[str, Any] = {"explained": False, "traced": None, "complete": None, "gap": None, "reason": ""}
    try:
        image = clf.as_batch(load_image(SAMPLES[0].path))
        net = clf.split(layer)
        row["traced"] = net.halves.traced
        with torch.no_grad():
            acts, whole = net.head(image), clf.module(image)
            logits, nothing = net.tail(acts), net.tail(torch.zeros_like(acts))
        row["error"] = float((logits - whole).abs().max() / whole.abs().max())
        found = explain(clf, image[0], method="grad-cam", layer=layer)
        row["explained"] = row["error"] <= 1e-4 and float(found.map.max() - found.map.min()) > 0
        row["reason"] = "" if row["explained"] else differing(clf, image, row["error"])
        row |= lift(net, acts, logits, nothing)
        row["reason"] = row["reason"] or ("" if row["complete"] else row["warnings"])
        row["reason"] = row["reason"] or ("" if row["traced"] else untraced(clf))
    except MethodError as error:
        row |= {"complete": False, "reason": said(error)}
    except Exception as error:
        row["reason"] = said(error)
    return row | {"seconds": time.perf_counter() - started}


def untraced(clf: Classifier) -> str:
    """What stands in the way of the fast path."""
    size = clf.input_shape
    for attempt in (lambda: trace(clf.module, size), lambda: trace_at_size(private_copy(clf.module, size), size)):
        try:
            attempt()
        except Exception as error:  # torch.fx raises many kinds
            reason = f"torch.fx stops: {said(error)}"
        else:
            return "torch.fx traces it, but the halves differ from the network in their last bits"
    return reason


def differing(clf: Classifier, image: torch.Tensor, error: float) -> str:
    """By how much the halves differ from the network, and the network from itself in float64."""
    with torch.no_grad():
        exact = copy.deepcopy(clf.module).double()(image.double())
        own = float((clf.module(image) - exact).abs().max() / exact.abs().max())
    if error > 1e-4:
        return f"halves differ by {error:.0e}; float32 itself differs from float64 by {own:.0e} in this network"
    return "a constant map"


def lift(net: Any, acts: torch.Tensor, logits: torch.Tensor, nothing: torch.Tensor) -> dict[str, Any]:
    """LIFT-CAM's completeness, the change in logit taken from passes without any rule."""
    target = logits.argmax(1)
    found = contributions(net, acts, None, target)
    change = float((logits - nothing)[0, target])
    scale = max(abs(change), 1e-3 * float(logits.abs().max()), torch.finfo(logits.dtype).tiny)
    gap = abs(float(found.values.sum()) - change) / scale
    return {
        "gap": gap,
        "complete": gap <= 1e-3,
        "silent": not gap <= 1e-3 and not any("incomplete" in sentence for sentence in found.warnings[0]),
        "magnitude": float(found.values.sum((2, 3)).abs().sum()) / scale,
        "warnings": " ".join(found.warnings[0]),
    }


def said(error: BaseException) -> str:
    """The first line of a message, and of what kind it is if nobody meant it."""
    line = (str(error).strip() or "no message").splitlines()[0]
    return line if isinstance(error, CamError) else f"{type(error).__name__}: {line}"


def cells(row: dict[str, Any]) -> list[object]:
    """One line of the table."""
    words = {True: "yes", False: "no", None: ""}
    gap = "" if row.get("gap") is None else f"{row['gap']:.0e}"
    return [
        row["family"],
        row["network"],
        row["layer"],
        words[row["explained"]],
        words[row.get("traced")],
        {True: "complete", False: "no", None: ""}[row.get("complete")],
        gap,
        row.get("reason", ""),
    ]


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """The shares that the table comes to."""
    walked = {row["family"] for row in rows}
    explained = {row["family"] for row in rows if row["explained"]}
    fast = {row["family"] for row in rows if row.get("traced") and row["explained"]}
    layers = [row for row in rows if row["explained"]]
    complete = [row for row in layers if row.get("complete")]
    silent = [row for row in layers if row.get("silent")]
    return [
        f"Of {len(walked)} families walked, {len(explained)} are explained, {len(fast)} of them on the fast path.",
        f"LIFT-CAM is complete at {len(complete)} of {len(layers)} explained layers, silently incomplete at "
        f"{len(silent)}.",
    ]


def main(
    only: Annotated[list[str] | None, typer.Option(help="These families alone.")] = None,
    again: Annotated[bool, typer.Option(help="Measure anew what is known.")] = False,
    minutes: Annotated[float, typer.Option(help="Begin no further family after so long.")] = 600,
    pixels: Annotated[int | None, typer.Option(help="Height and width of images, not the network's own.")] = None,
) -> None:
    """Walk, print the table and write it."""
    path = RESULTS / f"{NAME}.json"
    known: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in json.loads(path.read_text())["rows"] if path.exists() else []:
        known[row["family"]].append(row)
    started = time.perf_counter()
    for family, names in families().items():
        if (only and family not in only) or (family in known and not again):
            continue
        if time.perf_counter() - started > 60 * minutes:
            break
        known[family] = measure(family, smallest(names), pixels)
        gc.collect()
        print(*(cells(row) for row in known[family]), sep="\n", flush=True)
        write(known)
    print(*summary(write(known)), sep="\n")


def write(known: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What is known so far, as JSON and as a table."""
    rows = [row for family in sorted(known) for row in known[family]]
    record = {"machine": machine("cpu"), "rows": rows}
    notes = (*summary(rows), *NOTES)
    publish(NAME, "Families of timm", list(COLUMNS), [cells(row) for row in rows], record, notes)
    return rows


if __name__ == "__main__":
    typer.run(main)
