"""The results on the page: those of a run, of the example that comes along, or of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import streamlit as st

from cam_core.evaluation.report.opening import Results, as_runs, open_results
from cam_core.evaluation.statistics import Comparison, compare_runs
from cam_core.files import write_whole
from cam_core.images import ASSETS
from cam_core.types import CamError
from pages.benchmark import networks, photos
from pages.benchmark.form import Benchmark
from pages.benchmark.networks import Network
from pages.benchmark.photos import PhotoSet
from pages.benchmark.running import Run
from pages.runtime import compute
from pages.runtime.limits import limits
from pages.shared import messages, style

EXAMPLE: Final = ASSETS / "benchmark" / "efficientnet_lite0.parquet"
"""The evaluation photos by the bundled network, as `evaluate` wrote it."""

RUN, EXAMPLE_TITLE, FILE = "Your run", "The example", "A file"
KEY: Final = "benchmark-results"
_MOST_FILES: Final = 8


@dataclass(frozen=True)
class Shown:
    """Tables of results side by side.

    Attributes:
        key: the same for the same tables.
        runs: by the network's name.
        files: the tables as they are on the disk, by the network's name; none of what is not finished.
        photos: where the photos may be found.
        networks: that the maps are computed with, by the name of the run; not of those that are not to be had here.
        benchmark: what was asked for, of a run.
    """

    key: str
    runs: Mapping[str, Results]
    files: Mapping[str, Path]
    photos: PhotoSet | None
    networks: Mapping[str, Network]
    benchmark: Benchmark | None = None

    @property
    def comparisons(self) -> list[Comparison]:
        """Standings and differences by metric.

        Raises:
            CamError: these tables cannot stand side by side.
        """
        return _compared(self.key, self.runs)

    @property
    def images(self) -> int:
        """How many images the largest table names."""
        return max(results.images for results in self.runs.values())


@st.cache_data(max_entries=4, scope="session", show_spinner="Comparing …")  # a visitor's results go with the visitor
def _compared(key: str, _runs: Mapping[str, Results]) -> list[Comparison]:
    return compare_runs({name: results.table for name, results in _runs.items()})


def choose(run: Run | None, chosen: PhotoSet | None) -> str:
    """Which results are shown."""
    offered = [RUN, EXAMPLE_TITLE, FILE] if run else [EXAMPLE_TITLE, FILE]
    if st.session_state.get(KEY) not in offered:
        st.session_state[KEY] = offered[0]
    source: str = st.segmented_control(
        "Results",
        offered,
        required=True,
        key=KEY,
        label_visibility="collapsed",
        persist_state="session",
        help=f"{EXAMPLE_TITLE}: {len(photos.evaluation_photos().names)} photos, evaluated before you came. "
        f"{FILE}: tables that `evaluate` wrote, on this machine or on a cluster.",
    )
    return source


def example() -> Shown:
    """What comes along."""
    return _opened({EXAMPLE.name: EXAMPLE}, photos.evaluation_photos())


def of_run(run: Run) -> Shown:
    """What a run has given, or has given by now."""
    results = run.results()
    rows = tuple(each.table.num_rows for each in results)
    known = {network.title: network for network in run.benchmark.networks}
    key = compute.digest(run.benchmark.identity, rows, sorted(run.files))
    return Shown(key, as_runs(results), run.files, run.benchmark.photos, known, run.benchmark)


def of_files(chosen: PhotoSet | None) -> Shown | None:
    """Tables that the visitor brings; None where there are none yet, or none that can be read.

    Args:
        chosen: the photos of the form, among which those of the tables may be.
    """
    uploads = st.file_uploader(
        "Tables of results",
        type="parquet",
        accept_multiple_files=True,
        max_upload_size=limits().archive_bytes >> 20,
        key="benchmark-files",
        label_visibility="collapsed",
    )
    st.html(
        style.quiet(
            "Parquet, as `evaluate` writes it: one table per network, several side by side. They go when this visit "
            "ends. Photos and maps are shown where the photos are those above."
        )
    )
    paths = {}
    for number, upload in enumerate(uploads[:_MOST_FILES]):
        content = upload.getvalue()
        paths[f"{number}-{upload.name}"] = _kept(content, upload.name)
    if not paths:
        messages.empty("Choose one or more tables of results to read them here.")
        return None
    try:
        return _opened(paths, chosen)
    except CamError as error:
        messages.failure("These tables cannot be read.", str(error), key="benchmark-files")
        return None


def _kept(content: bytes, name: str) -> Path:
    """In the visitor's folder, each content once: it goes with the visit."""
    folder = compute.visitor_folder() / "tables" / hashlib.sha256(content).hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{Path(name).stem[:60] or 'results'}.parquet"
    if not path.exists():
        write_whole(path, lambda draft: draft.write_bytes(content))
    return path


def _opened(paths: Mapping[str, Path], chosen: PhotoSet | None) -> Shown:
    """One table per network.

    Raises:
        CamError: one of them cannot be read.
    """
    opened = [_read(path, limits().benchmark_rows) for path in paths.values()]
    here = [networks.known(results.network) for results in opened]
    titles = [network.title if network else results.network for network, results in zip(here, opened, strict=True)]
    if len(set(titles)) < len(titles):  # checkpoints of one network: their files tell them apart
        titles = [f"{title} · {path.stem}" for title, path in zip(titles, paths.values(), strict=True)]
    runs = as_runs([replace(results, network=title) for results, title in zip(opened, titles, strict=True)])
    files = dict(zip(runs, paths.values(), strict=True))
    known = {name: network for name, network in zip(runs, here, strict=True) if network is not None}
    return Shown(compute.digest(*map(str, paths.values())), runs, files, _whose(opened, chosen), known)


@st.cache_data(max_entries=8, scope="session", show_spinner=False)
def _read(path: Path, rows: int) -> Results:
    return open_results(path, rows)


def _whose(opened: Sequence[Results], chosen: PhotoSet | None) -> PhotoSet | None:
    """The photos among which the first image is: the chosen ones, or some that come along; else the chosen ones."""
    first = opened[0].names("image")[0]
    known = (chosen, photos.evaluation_photos(), photos.sample_photos())
    return next((each for each in known if each is not None and first in each.names), chosen)
