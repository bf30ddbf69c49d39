"""The maps of a figure: each kept by itself, so that another column or title computes nothing anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from PIL import Image

from cam_core import Explanation
from cam_core.figures import FigureSpec, Network, explain_grid
from cam_core.figures.grid.spec import Cell
from cam_core.images import Preprocessing
from cam_core.methods import METHODS
from pages.runtime import compute
from pages.runtime.compute import ModelSpec, Task
from pages.runtime.jobs import Job
from pages.runtime.limits import limits

Photos: TypeAlias = Mapping[str, Image.Image]
"""By the name that stands in the spec."""
Networks: TypeAlias = Mapping[Network, ModelSpec]
"""What is loaded for a network of the spec, which names no folder of this machine."""


@dataclass(frozen=True)
class Made:
    """What was computed for a figure: its maps, and how each of its networks sees a photo."""

    maps: Mapping[Cell, Explanation]
    framing: Mapping[Network, Preprocessing]


def begin(spec: FigureSpec, photos: Photos, digests: Mapping[str, str], networks: Networks) -> Made | Job:
    """The maps, or the job that computes those that nobody has computed yet."""
    cells = [spec.cell(shown, column, digests[shown.image]) for shown in spec.images for column in spec.columns]
    keys = {cell: compute.digest("figure map", cell, networks[_network(cell)]) for cell in cells}
    work = partial(_compute, spec, photos, networks, keys, compute.owner(), limits().results)
    slow = any(METHODS[column.method].expensive for column in spec.columns)
    task = Task(compute.digest("figure", *keys.values()), work, "Figure", slow=slow)
    outcome: Made | Job = compute.outcomes("figure", [task])[0]
    return outcome


def _network(cell: Cell) -> Network:
    assert cell.column.model is not None, "a cell names its network"
    return cell.column.model


def _compute(
    spec: FigureSpec,
    photos: Photos,
    networks: Networks,
    keys: Mapping[Cell, str],
    owner: str,
    most: int,
    job: Job,
) -> Made:
    loaded = {network: compute.classifier(model) for network, model in networks.items()}
    maps: dict[Cell, Explanation] = {}

    def keep(cell: Cell, explain: Callable[[], Explanation]) -> Explanation:
        kept: Explanation | None = compute.results().get(keys[cell], owner, most)
        maps[cell] = explain() if kept is None else kept
        job.check()  # whose visit is over leaves nothing
        compute.results().put(keys[cell], maps[cell], owner, most)
        return maps[cell]

    device = str(next(iter(loaded.values())).device)
    with compute.computing(device, job) as progress:
        explain_grid(spec, progress=progress, open_image=photos.__getitem__, open_network=loaded.__getitem__, keep=keep)
    return Made(maps, {network: clf.preprocessing for network, clf in loaded.items()})
