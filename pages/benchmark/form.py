"""What is to be evaluated: photos, networks, methods, metrics, as the widgets have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from cam_core import METRICS
from cam_core.metrics import Metric
from pages.benchmark import boxes, networks, photos
from pages.benchmark.boxes import Boxes
from pages.benchmark.networks import Network
from pages.benchmark.photos import PhotoSet
from pages.runtime import compute
from pages.runtime.compute import Request
from pages.runtime.limits import limits
from pages.shared import links, pickers, style

METHODS_KEY: Final = "benchmark-methods"
_FIRST_METHODS: Final = (*pickers.FIRST_METHODS, "random")
_FIRST_METRICS: Final = ("average-drop", "average-increase", "average-gain", "average-drop-in-deletion")
_OFFERED: Final = [metric for metric in METRICS.values() if not metric.needs_boxes]
_OF_BOXES: Final = [metric for metric in METRICS.values() if metric.needs_boxes]


@dataclass(frozen=True)
class Benchmark:
    """Everything that is evaluated, and how."""

    photos: PhotoSet
    networks: tuple[Network, ...]
    requests: tuple[Request, ...]
    metrics: tuple[str, ...]
    seed: int
    precision: str

    @property
    def identity(self) -> str:
        """The same for the same work: what was done of it is found again by it."""
        specs = tuple(network.spec for network in self.networks)
        how = (self.requests, self.metrics, self.seed, self.precision)
        return compute.digest("benchmark", str(self.photos.source), specs, *how, *self._boxes_digest)[:16]

    @property
    def _boxes_digest(self) -> tuple[str, ...]:
        return () if self.boxes is None else (self.boxes.digest,)

    @property
    def boxes(self) -> Boxes | None:
        """Where objects are; None where no metric asks."""
        return self.photos.boxes if any(METRICS[key].needs_boxes for key in self.metrics) else None

    @property
    def maps(self) -> int:
        """How many maps are computed."""
        return len(self.photos.names) * len(self.networks) * len(self.requests)

    @property
    def values(self) -> int:
        """How many values there will be: one per map and metric."""
        return self.maps * len(self.metrics)

    @property
    def params(self) -> dict[str, dict[str, Any]]:
        """The methods' own parameters, by key."""
        return {request.method: dict(request.params) for request in self.requests}


def choose() -> Benchmark | str:
    """The benchmark that is asked for, or what is still missing."""
    with st.container(key="benchmark-form"):
        with st.container():
            chosen_photos = photos.choose()
        with st.container():
            chosen_networks = networks.choose()
        with st.container():
            methods = pickers.methods(_FIRST_METHODS, key=METHODS_KEY)
        with st.container():
            metrics = _metrics(chosen_photos)
    requests = pickers.parameters(methods)
    seed, precision = _computation()
    missing = [
        ("photos", chosen_photos is None),
        ("a network", not chosen_networks),
        ("a method", not requests),
        ("a metric", not metrics),
    ]
    if chosen_photos is None or any(absent for _, absent in missing):
        return f"Choose {style.listed([what for what, absent in missing if absent])}."
    return Benchmark(chosen_photos, chosen_networks, tuple(requests), tuple(metrics), seed, precision)


def _metrics(chosen: PhotoSet | None) -> list[str]:
    """Those that need boxes are offered where the photos have some; without, it is said which these are."""
    known = None if chosen is None else chosen.boxes
    offered = _OFFERED if known is None else [*_OFFERED, *_OF_BOXES]
    metrics = links.choices(
        "metrics",
        "Metrics",
        {metric.key: metric.title for metric in offered},
        default=_FIRST_METRICS,
        placeholder="Choose at least one metric",
        help=_told(offered),
    )
    if chosen is not None:
        st.html(boxes.said(known, len(chosen.names), [metric.title for metric in _OF_BOXES]))
    return metrics


def _told(offered: Sequence[Metric]) -> str:
    lines = (f"- **{metric.title}**: {metric.plain.lower()}; {metric.direction} is better" for metric in offered)
    return "\n".join([*lines, "", "ROAD, Max-sensitivity, Infidelity and Parameter randomisation take long."])


def _computation() -> tuple[int, str]:
    """Seed and precision: the sidebar's, which does not stand beside this page."""
    with st.expander("Computation", icon=":material/memory:"), st.container(horizontal=True, key="benchmark-how"):
        return pickers.seed(), pickers.precision()


def cost(benchmark: Benchmark) -> str:
    """ "45 photos × 3 methods × 1 network: 135 maps, each by 4 metrics."."""
    parts = [(len(benchmark.photos.names), "photo"), (len(benchmark.requests), "method")]
    parts += [(len(benchmark.networks), "network")]
    product = " × ".join(f"{count:,} {what}{'s' if count != 1 else ''}" for count, what in parts)
    metrics = f"{len(benchmark.metrics)} metric{'s' if len(benchmark.metrics) != 1 else ''}"
    return f"{product}: {benchmark.maps:,} maps, each by {metrics}."


def refusal(benchmark: Benchmark) -> str:
    """Why it is not evaluated here; "" where it is."""
    most = limits().benchmark_maps
    if benchmark.maps <= most:
        return ""
    return f"{benchmark.maps:,} maps would be computed, and at most {most:,} are here: choose fewer photos or methods."
