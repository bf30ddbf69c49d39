"""Figure, to be taken along: the same bytes by Python and from a shell, and the maps behind them, as one zip."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from cam_core.figures import FORMATS, ExplainedGrid, Network, bibliography, grid_file, latex_snippet
from pages.figure.columns import Columns
from pages.figure.files import name_of
from pages.figure.rows import RowPhoto
from pages.runtime.compute import ModelSpec
from pages.shared import provenance
from pages.shared.scene import Scene
from pages.shared.sharing.script import PROGRAM, assembled, network_imports, opened_network, opened_photo, photo_import
from pages.shared.sharing.section import arrays, draw


def share(seen: Scene, photos: Sequence[RowPhoto], chosen: Columns, grid: ExplainedGrid) -> None:
    """The last part of the page."""
    asked = json.loads(grid.description)["figure"]
    draw(
        f"A figure of {len(grid.rows)} × {len(grid.spec.columns)} maps",
        "figure",
        provenance.facts(seen, {"figure": asked}),
        script=python(seen, chosen, grid),
        command=shell(seen, chosen, grid),
        said="It reads the JSON file. Photos of your own are looked for beside that, under the names that they were "
        "uploaded with.",
        pictures=lambda: {f"images/{row}.png": photo.image for row, photo in enumerate(photos, 1)},
        files=lambda: _files(grid),
    )


def python(seen: Scene, chosen: Columns, grid: ExplainedGrid) -> str:
    """The script: `grid`, drawn into a file."""
    spec, name = grid.spec, name_of(grid)
    openers, imports, lines = [], [("pathlib", "Path")], []
    imports += [("cam_core.figures", used) for used in ("explain_grid", "grid_file", *_kinds(spec))]
    if _is_made_here(seen):
        imports += [photo_import(seen), ("cam_core.figures.grid.explained", "image_opener")]
        lines += [f"first = {opened_photo(seen)}", "others = image_opener(Path())"]
        openers += [f"open_image=lambda name: first if name == {spec.images[0].image!r} else others(name)"]
    if _special(chosen):
        imports += [each for model in chosen.networks.values() for each in network_imports(model)]
        opened = ", ".join(f"{written(network)}: {opened_network(model)}" for network, model in chosen.networks.items())
        imports += [("cam_core.figures", "Network")]
        lines += [f"networks = {{{opened}}}"]
        openers += ["open_network=networks.__getitem__"]
    lines += [
        "spec = FigureSpec(",
        *(f"    {line}," for line in _arguments(spec)),
        ")",
        f"grid = explain_grid({', '.join(['spec', *openers])})",
        f'Path("{name}.pdf").write_bytes(grid_file(grid, "pdf"))',
    ]
    return assembled("Figure", f"{len(grid.rows)} × {len(spec.columns)} maps", imports, lines)


def shell(seen: Scene, chosen: Columns, grid: ExplainedGrid) -> str:
    """The command that draws the same from the spec; "" where a shell cannot have the same photo or network."""
    if _is_made_here(seen) or _special(chosen):
        return ""
    name = name_of(grid)
    return f"{PROGRAM} figure {name}.json --out {name}.pdf --tex {name}.tex --bib {name}.bib"


def written(value: Any) -> str:
    """A spec, or a part of it, as Python writes it; what has its default is left out."""
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' if len(value) == 1 else ''})"
    if not is_dataclass(value):
        return repr(value)
    return f"{type(value).__name__}({', '.join(_arguments(value))})"


def _arguments(record: Any) -> list[str]:
    values = [(field, getattr(record, field.name)) for field in fields(record)]
    return [f"{field.name}={written(value)}" for field, value in values if value != _default(field)]


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _kinds(value: Any) -> set[str]:
    """The names of all records in a spec that are written down."""
    if isinstance(value, tuple):
        return set().union(*map(_kinds, value))
    if not is_dataclass(value):
        return set()
    parts = (getattr(value, field.name) for field in fields(value) if getattr(value, field.name) != _default(field))
    return {type(value).__name__}.union(*map(_kinds, parts))


def _is_made_here(seen: Scene) -> bool:
    """Whether the first row's photo is in no file: a digit, or a part that was cut out."""
    return seen.photo.source == "digits" or seen.photo.whole is not None


def _special(chosen: Columns) -> bool:
    """Whether a network is none that `load_model` gives by what stands in the spec."""
    return any(not _is_plain(network, model) for network, model in chosen.networks.items())


def _is_plain(network: Network, model: ModelSpec) -> bool:
    plain = ModelSpec(network.name, network.weights, network.seed, model.device)
    return model == plain and not _is_served(model)


def _is_served(model: ModelSpec) -> bool:
    return network_imports(model) != [("cam_core", "load_model")]


def _files(grid: ExplainedGrid) -> Mapping[str, bytes]:
    name = name_of(grid)
    texts = {
        f"{name}.json": grid.spec.to_json(),
        f"{name}.tex": latex_snippet(grid, f"{name}.pdf"),
        f"{name}.bib": bibliography(column.method for column in grid.spec.columns),
    }
    maps = {
        f"{row}-{column}-{made.method}": made
        for row, each in enumerate(grid.rows, 1)
        for column, made in enumerate(each.explanations, 1)
    }
    figures = {f"{name}.{form}": grid_file(grid, form) for form in FORMATS}
    return {**{file: text.encode() for file, text in texts.items()}, **figures, **arrays(maps)}
