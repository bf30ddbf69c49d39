"""Behind a cell: the images on which a method does worst and best, with their maps; each opens on another page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import streamlit as st

from cam_core import METHODS, METRICS, Explanation
from cam_core.analysis.comparison import drawn_maps
from cam_core.evaluation.report.images import ImageScore, extremes
from cam_core.evaluation.report.opening import Results
from cam_core.metrics import Metric
from cam_core.overlay import SEQUENTIAL, close_up, overlay
from cam_core.types import MethodError
from pages.benchmark.evaluating import has_weights
from pages.benchmark.networks import Network, explain_with
from pages.benchmark.shown import Shown
from pages.runtime import compute, devices
from pages.runtime.compute import Question, Request, Task
from pages.runtime.jobs import Job
from pages.shared import links, messages, photo, pickers, pictures, style
from pages.shared.scene import FRAME_SIDE, Photo

_EACH: Final = 3  # images from either end
_OPACITY: Final = 0.5
_PAGES: Final = {"Compare": "pages/compare/page.py", "Deletion": "pages/deletion/page.py"}


@dataclass(frozen=True)
class Cell:
    """A method of a network by a metric."""

    run: str
    method: str
    metric: str

    @property
    def title(self) -> str:
        """ "Grad-CAM · Average drop"."""
        return f"{METHODS[self.method].title} · {METRICS[self.metric].title}"


def cells(shown: Shown) -> dict[str, Cell]:
    """All that there are, by what stands in the address."""
    return {
        f"{run}|{method}|{metric}": Cell(run, method, metric)
        for run, results in shown.runs.items()
        for method in sorted(results.names("method"), key=lambda method: METHODS[method].control)
        for metric in results.names("metric")
    }


def choice_key(shown: Shown) -> str:
    """Where the chosen cell stands in the session state."""
    return links.widget_key("cell", shown.key)


def section(shown: Shown) -> None:
    """The picker of a cell, and what is behind it."""
    offered = cells(shown)
    several = len(shown.runs) > 1
    st.header("Worst and best images")
    names = {key: f"{cell.title}{f' · {cell.run}' if several else ''}" for key, cell in offered.items()}
    key = links.choice(
        "cell", "Of", names, default=next(iter(names)), scope=shown.key, width=420,
        help="A click on a cell of the table chooses it, too.",
    )  # fmt: skip
    cell = offered[key]
    results = shown.runs[cell.run]
    best, worst = extremes(results, cell.method, cell.metric, _EACH)
    if not best:
        messages.empty(f"{cell.title} has no value on any image.")
        return
    with st.container(key="benchmark-images"):
        places = [_row("worst", worst, METRICS[cell.metric]), _row("best", best, METRICS[cell.metric])]
    _maps(shown, cell, results, [*worst, *best], [place for row in places for place in row])


def _row(which: str, scores: Sequence[ImageScore], metric: Metric) -> list[tuple[Any, Any]]:
    """A line of tiles, each with an image's name and value; in each a place for its map, and one for what leads on."""
    if not scores:
        return []
    places = []
    with st.container():
        st.html(style.name_line(which.capitalize()))
        with st.container(key=f"tiles-benchmark-{which}"):
            for place, score in enumerate(scores):
                with st.container(key=f"tile-{which}-{place}"):
                    above, below = st.container(), st.container()
                    with above:
                        picture = st.container()
                        st.html(style.quiet(_said(score, metric)))
                    places.append((picture, below))
    return places


def _said(score: ImageScore, metric: Metric) -> str:
    """ "owl.jpg: 12.3 %, explained as great grey owl, 87.1 %"."""
    unit = f" {metric.unit}" if metric.unit else ""
    value = ("yes" if score.value > 0 else "no") if metric.indicator else f"{style.significant(score.value, 3)}{unit}"
    belief = "" if score.probability is None else f", {style.percent(score.probability)}"
    explained = f", explained as {score.label}{belief}" if score.label else ""
    return f"{score.image}: {value}{explained}"


def _maps(
    shown: Shown, cell: Cell, results: Results, scores: Sequence[ImageScore], places: Sequence[tuple[Any, Any]]
) -> None:
    """The maps in their places, computed again as they were evaluated; or why there are none."""
    network = shown.networks.get(cell.run)
    photos_here = [shown.photos.photo(score) if shown.photos else None for score in scores]
    if network is None:
        st.html(style.quiet(f"No maps: {cell.run} is not among the networks here."))
    elif not any(photos_here):
        st.html(style.quiet("No maps: choose the photos of this table above, and they are shown here."))
    known = [(score, each, place) for score, each, place in zip(scores, photos_here, places, strict=True)
             if each and score.target is not None]  # fmt: skip
    if network is None or not known:
        return
    tasks = [_task(network, cell, results, score, each) for score, each, _ in known]
    for (_, each, (picture, below)), outcome in zip(known, compute.outcomes("cell-map", tasks), strict=True):
        if isinstance(outcome, Job):
            with picture:
                pictures.show(each.image, alt=f"{each.title}: no map yet")
            with below:
                key = f"cell-{outcome.key[-12:]}"
                messages.pending(outcome, "Computing", "No map.", messages.again(outcome), key=key)
            continue
        with picture:
            _map(network, cell, outcome, each)
        with below:
            _ways(network, cell, results, outcome, each)


def _task(network: Network, cell: Cell, results: Results, score: ImageScore, each: Photo) -> Task:
    """The map of one image: what the metric has measured."""
    request = Request(cell.method, tuple(results.params(cell.method).items()))
    settings = results.settings
    seed, precision = settings.get("seed"), settings.get("precision")
    question = Question(
        each.digest,
        network.spec,
        results.layer,
        score.target or 0,
        precision if isinstance(precision, str) else "float32",
        seed if isinstance(seed, int) else 0,
    )
    return Task(
        compute.digest("cell map", question, request, settings.get("weights")),
        partial(_explain, question, each, request, settings.get("weights")),
        f"{request.title} of {each.title}",
        slow=METHODS[cell.method].expensive,
    )


def _explain(question: Question, each: Photo, request: Request, weights: object, job: Job) -> Explanation:
    """In the worker's thread: by the weights that were evaluated, or not at all."""
    clf = compute.classifier(question.model)
    if not has_weights(clf, weights):
        raise MethodError(f"{clf.name} has other weights here than where the table was made")
    question = replace(question, layer=question.layer or clf.default_layer)
    with devices.computing(str(clf.device), job) as progress:
        return compute.explained(clf, question, each.image, request, progress)


def _map(network: Network, cell: Cell, explanation: Explanation, each: Photo) -> None:
    preprocessing = compute.classifier(network.spec).preprocessing
    frame = close_up(each.image, preprocessing.shown(each.image.size), FRAME_SIDE)
    (drawn,) = drawn_maps([explanation], (frame.height, frame.width))
    picture = overlay(frame, drawn.values, _OPACITY, SEQUENTIAL[0], drawn.limits)
    title = METHODS[cell.method].title
    pictures.show(picture, alt=f"{title} heatmap for {explanation.label} over {each.title}")
    st.html(style.colour_bar(SEQUENTIAL[0], *drawn.limits, drawn.unit))


def _ways(network: Network, cell: Cell, results: Results, explanation: Explanation, each: Photo) -> None:
    """Buttons to the pages that look closer."""
    layer = results.layer or explanation.layer
    with st.container(horizontal=True, gap="small", key=f"ways-{each.digest[:12]}"):
        for title, page in _PAGES.items():
            if st.button(
                f"{title} :small[{style.plain(each.title)}]",
                key=f"open-{title}-{each.digest[:12]}",
                type="tertiary",
                help=f"This photo on the page {title}.",
            ):
                _open(page, network, cell, layer, each)


def _open(page: str, network: Network, cell: Cell, layer: str, each: Photo) -> None:
    """To another page, which explains this photo as one of the visitor's own, by the same method, network and layer."""
    photo.show_own(each)
    state: Mapping[str, Any] = explain_with(network, layer)
    for key, value in state.items():
        st.session_state[key] = value
    titles = [METHODS[key].title for key in dict.fromkeys((cell.method, *pickers.FIRST_METHODS))]
    pickers.choose_methods(titles[:2])
    st.switch_page(page, query_params={"upload": each.title})
