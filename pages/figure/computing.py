"""The maps and curves of a figure: each kept by itself, so that another column or title computes nothing anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from PIL import Image

from cam_core import Explanation
from cam_core.figures import FigureSpec, Network, explain_grid
from cam_core.figures.grid.explained import T
from cam_core.figures.grid.spec import Cell, CurveCell
from cam_core.images import Preprocessing
from cam_core.methods import METHODS
from cam_core.metrics.curves.points import Curve
from pages.runtime import compute, devices
from pages.runtime.compute import ModelSpec, Task
from pages.runtime.jobs import Job
from pages.runtime.limits import limits

Photos: TypeAlias = Mapping[str, Image.Image]
"""By the name that stands in the spec."""
Networks: TypeAlias = Mapping[Network, ModelSpec]
"""What is loaded for a network of the spec, which names no folder of this machine."""


@dataclass(frozen=True)
class Made:
    """What was computed for a figure: its maps and curves, and how each of its networks sees a photo."""

    framing: Mapping[Network, Preprocessing]
    maps: dict[Cell, Explanation] = field(default_factory=dict)
    curves: dict[CurveCell, Curve] = field(default_factory=dict)

    def add(self, asked: Cell | CurveCell, made: Explanation | Curve) -> None:
        """Take in one of them."""
        if isinstance(asked, Cell) and isinstance(made, Explanation):
            self.maps[asked] = made
        elif isinstance(asked, CurveCell) and isinstance(made, Curve):
            self.curves[asked] = made


def begin(spec: FigureSpec, photos: Photos, digests: Mapping[str, str], networks: Networks) -> Made | Job:
    """The maps and curves, or the job that computes those that nobody has computed yet."""
    cells = [spec.cell(shown, column, digests[shown.image]) for shown in spec.images for column in spec.columns]
    asked: list[Cell | CurveCell] = [*cells, *(curve for cell in cells for curve in spec.curve_cells(cell))]
    keys = {each: compute.digest("figure", each, networks[_network(each)]) for each in asked}
    work = partial(_compute, spec, photos, networks, keys, compute.owner(), limits().results)
    slow = any(METHODS[column.method].expensive for column in spec.columns)
    task = Task(compute.digest("figure", *keys.values()), work, "Figure", slow=slow)
    outcome: Made | Job = compute.outcomes("figure", [task])[0]
    return outcome


def _network(asked: Cell | CurveCell) -> Network:
    return asked.network if isinstance(asked, Cell) else asked.cell.network


def _compute(
    spec: FigureSpec,
    photos: Photos,
    networks: Networks,
    keys: Mapping[Cell | CurveCell, str],
    owner: str,
    most: int,
    job: Job,
) -> Made:
    loaded = {network: compute.classifier(model) for network, model in networks.items()}
    made = Made({network: clf.preprocessing for network, clf in loaded.items()})

    def keep(asked: Cell | CurveCell, work: Callable[[], T], /) -> T:
        kept: T | None = compute.results().get(keys[asked], owner, most)
        result = work() if kept is None else kept
        made.add(asked, result)
        job.check()  # whose visit is over leaves nothing
        compute.results().put(keys[asked], result, owner, most)
        return result

    device = str(next(iter(loaded.values())).device)
    with devices.computing(device, job) as progress:
        explain_grid(spec, progress=progress, open_image=photos.__getitem__, open_network=loaded.__getitem__, keep=keep)
    return made
