"""Side by side with the peers in one run: PyPI grad-cam, torchcam, captum, and a literal Opti-CAM.

    python benchmarks/peers.py                      # two CPU threads, a quarter of an hour
    python benchmarks/peers.py --device cuda --suffix h200

Each row is one comparison; its ratio is the peer's median over ours. Networks have seeded random weights and look at
noise, for time hardly depends on what they have learned. It does for Score-CAM, which scores no mask twice, and in
bfloat16 scores again what matters: so it is timed on trained weights and a photo too.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pytorch_grad_cam as pgc
import torch
import torchcam.methods as tcam
import typer
from captum.attr import DeepLift
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, fx, nn

from benchmarks.common import machine, median, publish, side_by_side
from cam_core import Classifier, explain, load_model
from cam_core.images import sample
from cam_core.models.split.halves import TracedHalves, build_halves

CLASS = 207
warnings.filterwarnings("ignore")


@dataclass
class Row:
    """One comparison: times of ours and of the peers, and what was asked of the ratio."""

    what: str
    network: str
    times: dict[str, list[float]]
    ours: str
    wanted: float
    note: str = ""
    ratios: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        mine = median(self.times[self.ours])
        self.ratios = {name: median(times) / mine for name, times in self.times.items() if name != self.ours}

    @property
    def cells(self) -> list[str]:
        peers = ", ".join(
            f"{name} {median(times):.3g} s ({self.ratios[name]:.2f}×)"
            for name, times in self.times.items()
            if name != self.ours
        )
        runs = len(self.times[self.ours])
        verdict = "yes" if min(self.ratios.values()) >= self.wanted else "NO"
        mine = f"{median(self.times[self.ours]):.3g} s"
        return [self.what, self.network, mine, peers, f"≥ {self.wanted:g}×", verdict, str(runs), self.note]


@dataclass
class Bench:
    """One network with its peers' view of it."""

    name: str
    clf: Classifier
    layer: str
    device: str
    runs: int
    photo: bool = False

    def __post_init__(self) -> None:
        self.module = copy.deepcopy(self.clf.module).eval().to(self.device)
        self.target_layer = self.module.get_submodule(self.layer)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(1, 3, *self.clf.input_size, generator=generator)
        self.image = (self.clf.preprocess(sample("dog").open())[None] if self.photo else noise).to(self.device)

    def ours(self, method: str, **options: object) -> Callable[[], np.ndarray]:
        return lambda: explain(self.clf, self.image, method=method, layer=self.layer, target=CLASS, **options).map

    def grad_cam(self, name: str, batch: int = 32) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            with getattr(pgc, name)(model=self.module, target_layers=[self.target_layer]) as cam:
                cam.batch_size = batch
                return cam(input_tensor=self.image, targets=[ClassifierOutputTarget(CLASS)])

        return run

    def torchcam(self, name: str, **options: object) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with getattr(tcam, name)(self.module, target_layer=self.layer, **options) as extractor:
                image = self.image.clone().requires_grad_()
                return extractor(CLASS, self.module(image))[0]

        return run

    def row(
        self, what: str, jobs: dict[str, Callable[[], object]], wanted: float, note: str = "", runs: int = 0
    ) -> Row:
        times = side_by_side(jobs, runs or self.runs, self.device)
        row = Row(what, self.name, times, next(iter(jobs)), wanted, note)
        print(*row.cells, sep=" | ", flush=True)
        return row


def gradient_rows(bench: Bench) -> list[Row]:
    """The one-pass methods: not slower than the faster peer."""
    pairs = [
        ("grad-cam", "GradCAM", "GradCAM"),
        ("layer-cam", "LayerCAM", "LayerCAM"),
        ("shapley-cam", "ShapleyCAM", ""),
    ]
    rows = []
    for ours, theirs, torchcams in pairs:
        jobs: dict[str, Callable[[], object]] = {"ours": bench.ours(ours), "grad-cam": bench.grad_cam(theirs)}
        if torchcams:
            jobs["torchcam"] = bench.torchcam(torchcams)
        rows.append(bench.row(ours, jobs, 1.0, runs=4 * bench.runs))
    return rows


def score_rows(bench: Bench, compiled: bool) -> list[Row]:
    """Score-CAM in float32 and bfloat16, as the app runs it and as a long job that compiles first."""
    with torch.no_grad():
        exact = bench.ours("score-cam")()
    peers = {"grad-cam": bench.grad_cam("ScoreCAM"), "torchcam": bench.torchcam("ScoreCAM", batch_size=32)}
    peer_times = side_by_side(peers, bench.runs, bench.device, warm=False)
    rows = []
    for precision, jit, wanted in _score_settings(compiled):
        job = bench.ours("score-cam", precision=precision, compiled=jit)
        approximate = job()  # compiles, where asked to
        mine = side_by_side({"ours": job}, bench.runs, bench.device, warm=False)
        bare = forward_ratio(bench, precision, jit)
        closeness = float(np.corrcoef(exact.ravel(), approximate.ravel())[0, 1])
        note = f"bare forward {bare:.2f}×; correlation with float32 map {closeness:.5f}"
        label = f"score-cam {precision}{' compiled' if jit else ''}"
        row = Row(label, bench.name, mine | peer_times, "ours", wanted, note)
        print(*row.cells, sep=" | ", flush=True)
        rows.append(row)
    return rows


def _score_settings(compiled: bool) -> list[tuple[str, bool, float]]:
    plain = [("float32", False, 1.3), ("bfloat16", False, 2.2)]
    return plain + ([("float32", True, 1.8), ("bfloat16", True, 3.5)] if compiled else [])


def forward_ratio(bench: Bench, precision: str, compiled: bool) -> float:
    """Bare forward passes of 16 images: the plain module's time over the prepared network's."""
    images = torch.randn(16, *bench.image.shape[1:]).to(bench.device)
    net = bench.clf.split(bench.layer, precision, compiled=compiled)
    with torch.no_grad():
        times = side_by_side(
            {"plain": lambda: bench.module(images), "prepared": lambda: net.model(images)}, 5, bench.device
        )
    return median(times["plain"]) / median(times["prepared"])


def ablation_row(bench: Bench, share: float) -> Row:
    """One pass of the tail per channel, or none, against one pass of the network per channel (or a share of them)."""

    def peer() -> np.ndarray:
        layers = [bench.target_layer]
        with pgc.AblationCAM(bench.module, layers, ratio_channels_to_ablate=share) as cam:
            return cam(input_tensor=bench.image, targets=[ClassifierOutputTarget(CLASS)])

    jobs = {"ours": bench.ours("ablation-cam"), "grad-cam": peer}
    note = "" if share == 1 else f"the peer ablated {share:.0%} of the channels, we all: the ratio is a lower bound"
    times = side_by_side({"grad-cam": jobs["grad-cam"]}, 1, bench.device, warm=False)
    times |= side_by_side({"ours": jobs["ours"]}, 4 * bench.runs, bench.device)
    row = Row("ablation-cam", bench.name, times, "ours", 100.0, note)
    print(*row.cells, sep=" | ", flush=True)
    return row


def lift_row(bench: Bench) -> Row:
    """LIFT-CAM against Captum's DeepLIFT on the same tail, neither counting the head."""
    halves = build_halves(bench.module, bench.layer, bench.image, prepared=False)
    assert isinstance(halves, TracedHalves)
    acts, _ = halves.head(bench.image)
    captum = DeepLift(_unshared(halves.tail_graph))
    net = bench.clf.split(bench.layer)
    with torch.no_grad():
        net.head(bench.image)
    from cam_core.deeplift import contributions

    target = torch.tensor([CLASS], device=bench.device)
    jobs = {
        "ours": lambda: contributions(net, acts, None, target).values.sum((2, 3)),
        "captum": lambda: captum.attribute(acts, torch.zeros_like(acts), target=CLASS).sum((2, 3)),
    }
    closeness = float(np.corrcoef(jobs["ours"]().flatten().cpu(), jobs["captum"]().detach().flatten().cpu())[0, 1])
    return bench.row(f"lift-cam at {bench.layer}", jobs, 2.0, f"correlation {closeness:.5f}", runs=4 * bench.runs)


def _unshared(tail: fx.GraphModule) -> fx.GraphModule:
    """Captum needs one module per call, none of them in place."""
    tail = copy.deepcopy(tail)
    for position, node in enumerate(tail.graph.nodes):
        if node.op == "call_module" and isinstance(tail.get_submodule(node.target), nn.ReLU):
            tail.add_submodule(f"relu_{position}", nn.ReLU())
            node.target = f"relu_{position}"
    tail.recompile()
    return tail


def opti_row(bench: Bench, steps: int) -> Row:
    """Opti-CAM against the published recipe taken literally."""
    jobs = {
        "ours": bench.ours("opti-cam", steps=steps, early_stop=False, mask_space="normalized"),
        "literal": lambda: literal_opti_cam(bench, steps),
    }
    return bench.row(f"opti-cam, {steps} steps", jobs, 2.0)


def literal_opti_cam(bench: Bench, steps: int) -> Tensor:
    """Parameters keep their gradients, activations are not detached, the graph is retained: as published."""
    kept: list[Tensor] = []
    handle = bench.target_layer.register_forward_hook(lambda _m, _i, output: kept.append(output))
    bench.module(bench.image)
    handle.remove()
    features = kept[0].relu()
    weights = torch.full((1, features.shape[1], 1, 1), 0.5, device=bench.device, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=0.1)
    for _ in range(steps):
        combined = (weights.softmax(1) * features).sum(1, keepdim=True)
        large = nn.functional.interpolate(combined, size=bench.image.shape[-2:], mode="bilinear", align_corners=False)
        mask = (large - large.min()) / (large.max() - large.min())
        loss = -bench.module(bench.image * mask)[:, CLASS].sum()
        adam.zero_grad()
        loss.backward(retain_graph=True)
        adam.step()
    return mask.detach()


# Not getrusage: a process inherits that peak from the one that started it.
_MEMORY = """
import torch
from pathlib import Path
from cam_core import explain, load_model
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 2**20
torch.set_num_threads({threads})
clf = load_model("resnet50", weights="random", device="cpu")
image = torch.randn(1, 3, 224, 224)
explain(clf, image, "grad-cam", target=0)
before = peak()
channels = len(explain(clf, image, "score-cam", target=0).coefficients)
print(channels, before, peak())
"""


def score_memory() -> dict[str, float]:
    """Peak memory of a whole process that runs Score-CAM over the 2048 channels of ResNet-50 on the CPU, in GiB."""
    code = _MEMORY.format(threads=torch.get_num_threads())
    root = Path(__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    channels, before, after = map(float, out.stdout.split()[-3:])
    return {"channels": channels, "GiB before": before, "GiB peak": after}


def main(
    device: str = "cpu",
    threads: int = 2,
    runs: int = 5,
    suffix: str = "cpu",
    only: str = "",
    networks: str = "",
    ablated: float = 1.0,
) -> None:
    """Run every comparison, or those whose group is named in `only` (gradient, score, ablation, lift, opti, memory)."""
    torch.set_num_threads(threads)
    groups = only.split(",") if only else ["gradient", "score", "ablation", "lift", "opti", "memory"]
    places = {"resnet18": "layer4", "resnet50": "layer4", "efficientnet_lite0": "bn2"}
    places = {name: layer for name, layer in places.items() if name in (networks or ",".join(places)).split(",")}
    benches = {
        n: Bench(n, load_model(n, weights="random", device=device), at, device, runs) for n, at in places.items()
    }
    rows: list[Row] = []
    for bench in benches.values():
        rows += gradient_rows(bench) if "gradient" in groups else []
        rows += [opti_row(bench, 20)] if "opti" in groups else []
    if "lift" in groups:
        for network, layer in (
            ("resnet18", "layer4"),
            ("resnet18", "layer3"),
            ("resnet50", "layer4"),
            ("vgg16", "features.29"),
        ):
            clf = benches[network].clf if network in benches else load_model(network, weights="random", device=device)
            rows.append(lift_row(Bench(network, clf, layer, device, runs)))
    if "ablation" in groups:
        rows.append(ablation_row(benches["resnet50"], ablated))
    if "score" in groups:
        for network, bench in benches.items():
            rows += score_rows(bench, compiled=network == "resnet50")
        if "efficientnet_lite0" in benches:
            clf = load_model("efficientnet_lite0", device=device)
            trained = Bench("efficientnet_lite0, trained, a photo", clf, "bn2", device, runs, photo=True)
            rows += score_rows(trained, compiled=False)
    memory = score_memory() if "memory" in groups and device == "cpu" else {}
    print(memory)
    columns = ["method", "network", "ours", "peers (ratio)", "wanted", "reached", "runs", "note"]
    record = {"machine": machine(device), "rows": [asdict(row) for row in rows], "memory": memory}
    publish(f"peers-{suffix}", f"Time against the peers, {suffix}", columns, [row.cells for row in rows], record)


if __name__ == "__main__":
    typer.run(main)
