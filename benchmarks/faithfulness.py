"""Methods by metrics on the evaluation photos, and what becomes of the papers' claims on this model.

    python benchmarks/faithfulness.py                     # 45 minutes of one CPU core; resumes where it was stopped
    python benchmarks/faithfulness.py --device cuda --everything                        # hours on a CPU
    python benchmarks/faithfulness.py --photos 2 --method grad-cam --method opti-cam    # a look

Faithfulness is measured on assets/eval, localisation on the gallery, whose photos have boxes. Every mean has a
bootstrap 95 % interval over photos; claims are tested on paired differences, photo by photo.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import typer
from rich.progress import Progress

from benchmarks.common import RESULTS, machine
from cam_core import METHODS, METRICS, Classifier, load_model
from cam_core.evaluation.folder import evaluate_folder
from cam_core.evaluation.results import Row, Summary, paired_difference, read_rows, summarise
from cam_core.images import ASSETS, EXTENSIONS
from cam_core.metrics.ground_truth import SAMPLE_BOXES
from cam_core.metrics.statistics import Interval
from cam_core.types import MetricError

LOCALISATION = ("ebpg", "class-discrimination", "pointing-game", "max-box-acc")
# Those that the claims are about, their rivals, and the two controls. Of a network that ends in pooling and one linear
# layer, several others draw the same maps as these: CAM and HiResCAM that of Grad-CAM, SHAP that of LIFT-CAM.
METHODS_OF_INTEREST = (
    "grad-cam",
    "grad-cam++",
    "layer-cam",
    "eigen-cam",
    "score-cam",
    "ablation-cam",
    "lift-cam",
    "shap-cam",
    "opti-cam",
    "random",
    "fake-cam",
)
# What asks for no further explanation: that would cost Score-CAM and Opti-CAM as much again.
METRICS_OF_INTEREST = (
    "average-drop",
    "average-increase",
    "average-gain",
    "average-drop-in-deletion",
    "deletion-auc",
    "insertion-auc",
    "road",
    "complexity",
    "sparseness",
    *LOCALISATION,
)
# With --everything: all but ten explanations per value, two halves of a whole, and 35 noisy copies of every mask.
TEDIOUS = ("max-sensitivity", "parameter-randomisation", "road-morf", "road-lerf")
TEDIOUS_METHODS = ("ss-cam",)


@dataclass(frozen=True)
class Claim:
    """`method` is better than each of `rivals` by each of `metrics`: what a paper says of itself."""

    paper: str
    method: str
    metrics: tuple[str, ...]
    rivals: tuple[str, ...]


CLASSIC = ("grad-cam", "grad-cam++", "score-cam")
CLAIMS = (
    Claim("Opti-CAM: wins average drop and gain", "opti-cam", ("average-drop", "average-gain"), (*CLASSIC, "lift-cam")),
    Claim("Opti-CAM: localisation need not agree", "opti-cam", ("ebpg", "max-box-acc"), CLASSIC),
    Claim("LIFT-CAM: wins average drop in deletion", "lift-cam", ("average-drop-in-deletion",), CLASSIC),
    Claim("Shap-CAM: wins average drop and increase", "shap-cam", ("average-drop", "average-increase"), CLASSIC),
    Claim("Shap-CAM: wins localisation", "shap-cam", ("ebpg", "max-box-acc"), CLASSIC),
)


def run(
    clf: Classifier, folder: Path, methods: Sequence[str], metrics: Sequence[str], out: Path, **arguments: Any
) -> list[Row]:
    """The rows of one table, computed as far as they are missing."""
    with Progress() as bars:
        bar = bars.add_task(f"{folder.name}: {len(methods)} methods × {len(metrics)} metrics")
        for step in evaluate_folder(clf, folder, methods=methods, metrics=metrics, out=out, **arguments):
            bars.update(bar, completed=step.done, total=step.total)
    return read_rows(out)


@contextmanager
def first_photos(folder: Path, count: int) -> Iterator[Path]:
    """A folder with copies of the first `count` photos; the folder itself for 0."""
    if not count:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        small = Path(temporary) / folder.name
        small.mkdir()
        photos = sorted(path for path in folder.iterdir() if path.suffix.lstrip(".").lower() in EXTENSIONS)
        for photo in photos[:count]:
            shutil.copy(photo, small)
        yield small


def table(summaries: Sequence[Summary], metrics: Sequence[str]) -> list[str]:
    """Methods by metrics, mean [low, high]; the best that is no control in bold."""
    cells = {(s.method, s.metric): s for s in summaries}
    methods = list(dict.fromkeys(s.method for s in summaries))
    winners = {metric: best([cells[m, metric] for m in methods if not METHODS[m].control]) for metric in metrics}
    arrows = {"higher": "↑", "lower": "↓"}
    heads = [" ".join((METRICS[key].title, METRICS[key].unit, arrows[METRICS[key].direction])) for key in metrics]
    heads = [head.replace("  ", " ") for head in heads]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(metrics) + 1) + "|"]
    for method in methods:
        texts = [cell(cells[method, metric], winners[metric] == method) for metric in metrics]
        lines.append(f"| {METHODS[method].title} | " + " | ".join(texts) + " |")
    return lines


def best(summaries: Sequence[Summary]) -> str | None:
    """The method with the best mean."""
    known = [(s.interval.mean, s.method) for s in summaries if s.interval is not None]
    if not known:
        return None
    return max(known)[1] if summaries[0].direction == "higher" else min(known)[1]


def cell(summary: Summary, winner: bool) -> str:
    """ "12.3 [10.1, 15.0]", bold for the winner, with the number of photos that have no value."""
    if summary.interval is None:
        return "none"
    mean = f"**{summary.interval.mean:.3g}**" if winner else f"{summary.interval.mean:.3g}"
    gap = f", {summary.missing} without" if summary.missing else ""
    return f"{mean} [{summary.interval.low:.3g}, {summary.interval.high:.3g}]{gap}"


def fooled(summaries: Sequence[Summary]) -> list[str]:
    """The metrics by which a control is better than every method."""
    lines = []
    for metric in dict.fromkeys(s.metric for s in summaries):
        winner = best([s for s in summaries if s.metric == metric])
        if winner is not None and METHODS[winner].control:
            lines.append(f"- {METRICS[metric].title}: {METHODS[winner].title}")
    return lines or ["- none"]


def verdicts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each claim against each rival: the paired difference, turned so that above 0 speaks for the claim."""
    comparisons = []
    for claim in CLAIMS:
        for metric in claim.metrics:
            for rival in claim.rivals:
                try:
                    difference = paired_difference(rows, metric, claim.method, rival)
                except MetricError:
                    continue
                turned = difference if METRICS[metric].direction == "higher" else flipped(difference)
                comparisons.append({"claim": claim.paper, "metric": metric, "rival": rival, **asdict(turned)})
    return comparisons


def flipped(interval: Interval) -> Interval:
    """Of the negated values."""
    return Interval(-interval.mean, -interval.high, -interval.low, interval.count)


def verdict_table(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per comparison: holds, fails, or undecided where the interval holds 0."""
    lines = ["| claim | metric | against | advantage [95 %] | photos | |", "|---|---|---|---|---|---|"]
    for claim in comparisons:
        word = "holds" if claim["low"] > 0 else "fails" if claim["high"] < 0 else "undecided"
        advantage = f"{claim['mean']:+.3g} [{claim['low']:+.3g}, {claim['high']:+.3g}]"
        place = METRICS[claim["metric"]].title, METHODS[claim["rival"]].title
        lines.append(f"| {claim['claim']} | {place[0]} | {place[1]} | {advantage} | {claim['count']} | {word} |")
    return lines


def write_report(name: str, tables: Mapping[str, list[Row]], settings: Mapping[str, Any]) -> None:
    """Markdown for readers and JSON for programs, both in benchmarks/results."""
    summaries = {title: summarise(rows) for title, rows in tables.items()}
    comparisons = verdicts([row for rows in tables.values() for row in rows])
    lines = ["# Faithfulness", "", *(f"- {key}: {value}" for key, value in settings.items()), ""]
    for title, group in summaries.items():
        photos = len({row.image for row in tables[title]})
        metrics = list(dict.fromkeys(s.metric for s in group))
        lines += [f"## {title}, {photos} photos", "", "Mean [95 % interval over photos]; bold: best method.", ""]
        lines += [*table(group, metrics), "", "Best by a control, so won without explaining anything:", ""]
        lines += [*fooled(group), ""]
    lines += [
        "## Claims",
        "",
        "Paired differences over photos; above 0 speaks for the claim.",
        "",
        *verdict_table(comparisons),
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    plain = {title: [asdict(s) for s in group] for title, group in summaries.items()}
    record = {"settings": dict(settings), "summaries": plain, "claims": comparisons}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def chosen_keys(
    methods: Sequence[str] | None, metrics: Sequence[str] | None, everything: bool
) -> tuple[list[str], list[str]]:
    """Methods and metrics: what was named, or else all, or else those that the claims need."""
    all_methods = [key for key in METHODS if key not in TEDIOUS_METHODS]
    all_metrics = [key for key in METRICS if key not in TEDIOUS]
    return (
        list(methods or (all_methods if everything else METHODS_OF_INTEREST)),
        list(metrics or (all_metrics if everything else METRICS_OF_INTEREST)),
    )


def main(
    model: str = "efficientnet_lite0",
    device: str = "cpu",
    method: Annotated[list[str] | None, typer.Option(help="several times for several")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="several times for several")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="all methods and metrics but the slowest")] = False,
    photos: Annotated[int, typer.Option(help="the first few of each folder; 0 for all")] = 0,
    steps: Annotated[int, typer.Option(help="points of deletion and insertion curves")] = 28,
    spacing: Annotated[int, typer.Option(help="of the percentiles of ROAD")] = 20,
    precision: str = "float32",
    threads: Annotated[int, typer.Option(help="of the CPU: on a busy machine more of them wait for one another")] = 1,
    name: Annotated[str, typer.Option(help="of the files in benchmarks/results")] = "faithfulness",
    rows: Annotated[
        Path | None, typer.Option(help="folder for the tables of single values; what is there is kept")
    ] = None,
) -> None:
    """Evaluate, summarise, and test the claims."""
    torch.set_num_threads(threads)
    clf = load_model(model, device=device)
    methods, metric_keys = chosen_keys(method, metric, everything)
    own: dict[str, dict[str, Any]] = {"road": {"spacing": spacing}}
    own |= {key: {"steps": steps} for key in ("deletion-auc", "insertion-auc")}
    params = {key: values for key, values in own.items() if key in metric_keys}
    jobs = {
        "Faithfulness": (ASSETS / "eval", [key for key in metric_keys if key not in LOCALISATION], params, None),
        "Localisation": (ASSETS / "samples", [key for key in metric_keys if key in LOCALISATION], {}, SAMPLE_BOXES),
    }
    store = rows or RESULTS / "rows"
    tables = {}
    for title, (folder, metrics, settings, truth) in jobs.items():
        if metrics:
            with first_photos(folder, photos) as small:
                out = store / f"{name}-{title.lower()}.parquet"
                out.parent.mkdir(parents=True, exist_ok=True)
                tables[title] = run(
                    clf, small, methods, metrics, out, ground_truth=truth, metric_params=settings, precision=precision
                )
    facts = {"model": model, "layer": clf.default_layer, "precision": precision}
    facts |= {"curve steps": str(steps), "ROAD percentiles": f"every {spacing} %"}
    write_report(name, tables, facts | machine(device))


if __name__ == "__main__":
    typer.run(main)
