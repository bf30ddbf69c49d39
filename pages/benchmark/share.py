"""A benchmark, to be taken along: the same tables by Python, from a shell, as one zip."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cam_core import METHODS, METRICS
from cam_core.declarations.registered import Registry
from cam_core.evaluation.report.exports import standings_csv, standings_latex
from cam_core.evaluation.report.opening import Results
from cam_core.evaluation.statistics import Comparison
from cam_core.files import safe_stem
from pages.benchmark.files import facts
from pages.benchmark.photos import PhotoSet
from pages.benchmark.shown import Shown
from pages.runtime import served
from pages.runtime.compute import ModelSpec
from pages.shared.sharing import section
from pages.shared.sharing.script import (
    PROGRAM,
    assembled,
    network_imports,
    network_options,
    opened_network,
    written_call,
)

_IMPORTS: Final = [
    ("pathlib", "Path"),
    ("cam_core.evaluation.folder", "evaluate_folder"),
    ("cam_core.evaluation.results", "read_table"),
    ("cam_core.evaluation.statistics", "compare_runs"),
]
_PRINTED: Final = [
    "for comparison in compare_runs(tables):",
    "    for standing in comparison.standings:",
    "        print(comparison.metric, standing.column.name, standing.interval, standing.rank)",
]


def share(shown: Shown, comparisons: Sequence[Comparison]) -> None:
    """The last part of the page."""
    section.draw(
        f"{shown.images} images",
        "benchmark",
        facts(shown),
        script=python(shown),
        command=command(shown),
        pictures=dict,
        files=lambda: _files(shown, comparisons),
    )


def python(shown: Shown) -> str:
    """The script: `tables` by network."""
    asset = shown.photos.asset if shown.photos else ""
    folder = [f'folder = ASSETS / "{asset}"'] if asset else [f"folder = {_folder(shown.photos)!r}"]
    specs = [_spec(shown, run) for run in shown.runs]
    opened = [f"    {run!r}: {_call(run, spec, results)}," for (run, results), spec in zip(
        shown.runs.items(), specs, strict=True)]  # fmt: skip
    told = _truth(shown)
    imports = [*_IMPORTS, *told.imports, *(each for spec in specs for each in network_imports(spec))]
    return assembled(
        "Benchmark",
        f"{shown.images} images by {len(shown.runs)} network{'s' if len(shown.runs) != 1 else ''}",
        [*imports, *([("cam_core.images", "ASSETS")] if asset else [])],
        [*folder, *_evaluated(told), "tables = {", *opened, "}", *_PRINTED],
    )


@dataclass(frozen=True)
class _Truth:
    """How it is said where objects are: imports and arguments in Python, words of a shell's command as they stand."""

    imports: Sequence[tuple[str, str]] = ()
    source: str = "folder"
    argument: str = ""
    command: str = ""


def _truth(shown: Shown) -> _Truth:
    """By the file that the photos have, where the tables were made with one."""
    boxes = shown.photos.boxes if shown.photos else None
    made_with = {name for results in shown.runs.values() for name, value in results.settings.items() if value}
    if boxes is not None and boxes.bundled and "ground_truth" in made_with:
        code = "from cam_core.metrics.ground_truth import SAMPLE_BOXES; print(SAMPLE_BOXES)"
        return _Truth(
            [("cam_core.metrics.ground_truth", "SAMPLE_BOXES")],
            argument=", ground_truth=SAMPLE_BOXES",
            command=f" --ground-truth \"$(python -c '{code}')\"",
        )
    if boxes is not None and boxes.ground_truth and "ground_truth" in made_with:
        return _Truth(
            argument=f", ground_truth={boxes.written!r}", command=f" --ground-truth {shlex.quote(boxes.written)}"
        )
    if boxes is not None and boxes.annotations and "labels" in made_with:
        return _Truth(
            [("cam_core.evaluation.sources", "open_source")],
            source=f"open_source(folder, clf.labels, {boxes.written!r})",
            command=f" --labels {shlex.quote(boxes.written)}",
        )
    return _Truth()


def _evaluated(told: _Truth) -> list[str]:
    return [
        "",
        "",
        "def evaluated(clf, out, **how):",
        f"    for step in evaluate_folder(clf, {told.source}, out=out{told.argument}, **how):",
        '        print(step.done, "of", step.total)',
        "    return read_table(Path(out))",
        "",
        "",
    ]


def command(shown: Shown) -> str:
    """A line for each network; "" where a shell cannot have one of them."""
    specs = [_spec(shown, run) for run in shown.runs]
    if any(served.network(spec.name) is not None for spec in specs):
        return ""
    return "\n".join(_command(shown, run, spec) for run, spec in zip(shown.runs, specs, strict=True))


def _command(shown: Shown, run: str, spec: ModelSpec) -> str:
    how = _how(shown.runs[run])
    words = ["--out", _file(run), *network_options(spec)]
    words += [word for method in how["methods"] for word in ("--method", method)]
    words += [word for metric in how["metrics"] for word in ("--metric", metric)]
    words += _params("--param", how.get("method_params")) + _params("--metric-param", how.get("metric_params"))
    words += [word for name in ("layer", "seed", "precision") if name in how for word in (f"--{name}", str(how[name]))]
    return f"{PROGRAM} evaluate {_folder_word(shown.photos)} {shlex.join(words)}{_truth(shown).command}"


def _folder_word(photos: PhotoSet | None) -> str:
    if photos is None or not photos.asset:
        return shlex.quote(_folder(photos))
    return photos.written  # a command in itself


def _folder(photos: PhotoSet | None) -> str:
    return "photos" if photos is None else photos.written


def _params(option: str, params: Mapping[str, Mapping[str, Any]] | None) -> list[str]:
    changed = [(key, name, value) for key, own in (params or {}).items() for name, value in own.items()]
    return [word for key, name, value in changed for word in (option, f"{key}:{name}={value}")]


def _call(run: str, spec: ModelSpec, results: Results) -> str:
    return f"evaluated({opened_network(spec)}, {_file(run)!r}, {written_call(_how(results))})"


def _how(results: Results) -> dict[str, Any]:
    """Arguments of `evaluate_folder` beyond network, folder and table; what is the default is left out."""
    settings = results.settings
    how: dict[str, Any] = {"methods": results.names("method"), "metrics": results.names("metric")}
    if results.layer:
        how["layer"] = results.layer
    for kind, registry in (("method", METHODS), ("metric", METRICS)):
        params = settings.get(f"{kind}s")
        own = _changed(registry, how[f"{kind}s"], params if isinstance(params, Mapping) else {})
        if own:
            how[f"{kind}_params"] = own
    return how | {name: settings[name] for name, usual in _USUAL.items() if settings.get(name, usual) != usual}


def _changed(registry: Registry[Any], keys: Sequence[str], params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Parameters that are not the default, by key."""
    changed = {}
    for key in keys:
        usual = registry[key].validate({})
        said = params.get(key)
        own = (
            {name: value for name, value in said.items() if usual.get(name) != value} if isinstance(said, dict) else {}
        )
        if own:
            changed[key] = own
    return changed


_USUAL: Final = {"seed": 0, "precision": "float32"}


def _spec(shown: Shown, run: str) -> ModelSpec:
    """The network as it is loaded; of one that is not to be had here, by its name."""
    if run in shown.networks:
        return shown.networks[run].spec
    return ModelSpec(str(shown.runs[run].settings.get("model") or run))


def _file(run: str) -> str:
    return f"{safe_stem(run, 'results')}.parquet"


def _files(shown: Shown, comparisons: Sequence[Comparison]) -> Mapping[str, bytes]:
    from cam_core.figures import encode_figure, standings_figure  # late: see `downloads.figures`

    return {
        **{_file(run): path.read_bytes() for run, path in shown.files.items()},
        "benchmark.csv": standings_csv(comparisons),
        "benchmark.tex": standings_latex(comparisons).encode(),
        "benchmark.pdf": encode_figure(standings_figure(comparisons), "pdf"),
    }
