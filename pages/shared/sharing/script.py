"""What is on a page as a short script with the public API, and as commands for a shell.

line = f"made = {explained(seen, request, target=TARGET)}"
script("Compare", seen, [("cam_core", "explain")], [line])     # opens the network and the photo by itself
command(seen, "explain", [request])
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cam_core import METHODS, SAMPLES
from cam_core.targets import Custom, Similarity, TargetScore
from cam_core.training.digits import gallery_digits
from pages.runtime import served
from pages.runtime.compute import ModelSpec, Question, Request
from pages.shared.scene import Scene
from pages.shared.targets.words import written

PROGRAM: Final = "python -m cam_core"

_COMPUTING: Final = {"seed": 0, "precision": "float32"}  # with their defaults


def script(page: str, seen: Scene, imports: Iterable[tuple[str, str]], lines: Iterable[str]) -> str:
    """A whole script.

    Args:
        imports: (module, name) of all that the lines use beyond the opening.
    """
    imported = [*_opening_imports(seen), *imports]
    return assembled(page, f"{seen.words.name} in “{seen.photo.title}”", imported, [*_opening(seen), *lines])


def assembled(page: str, what: str, imports: Iterable[tuple[str, str]], lines: Iterable[str]) -> str:
    """A whole script that opens what it needs in its own lines.

    Args:
        what: the page is about.
        imports: (module, name) of all that the lines use.
    """
    names: dict[str, set[str]] = {}
    for module, name in imports:
        names.setdefault(module, set()).add(name)
    head = f'"""{page}: {_quiet(what)}."""'
    imported = [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)]
    return "\n".join([head, "", *imported, "", *lines]) + "\n"


def explained(seen: Scene, request: Request, **other: Any) -> str:
    """The call of `explain` for one method's map.

    Args:
        other: arguments beside the method's own, such as another target.
    """
    layer = None if METHODS[request.method].multi_layer else seen.question.layer
    arguments = {"method": request.method, "layer": layer, **other}
    return f"explain(clf, photo, {written_call({**arguments, **computing(seen.question), **dict(request.params)})})"


def written_call(arguments: Mapping[str, Any]) -> str:
    """Arguments as they stand in a call; None is left out. A name of the script's own stands as it is: see `Name`."""
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items() if value is not None)


class Name(str):
    """A name that the script gives something, such as `target`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


TARGET: Final = Name("target")


def computing(question: Question) -> dict[str, Any]:
    """Seed and precision, where they are not the default."""
    return {name: getattr(question, name) for name, usual in _COMPUTING.items() if getattr(question, name) != usual}


def command(
    seen: Scene, name: str, requests: Sequence[Request], options: Iterable[str] = (), *, layer: bool = True
) -> str:
    """A command for a shell that prints what the page shows; "" where a shell cannot have the same photo or network.

    Args:
        name: of the command.
        options: of it beyond photo, network, layer, target and methods.
        layer: whether every method has a layer of its own, for some look at several.
    """
    photo, model = seen.photo, seen.question.model
    if photo.whole is not None or photo.source == "digits" or served.network(model.name) is not None:
        return ""
    if isinstance(seen.question.target, Similarity):  # no shell gives another photo
        return ""
    words = [name, photo.sample or photo.title, *network_options(model), *_layer_options(seen, requests, layer)]
    words += [*_target_options(seen.question), *_request_options(requests)]
    words += [word for option, value in computing(seen.question).items() for word in (f"--{option}", str(value))]
    return f"{PROGRAM} {shlex.join([*words, *options])}"


def _layer_options(seen: Scene, requests: Sequence[Request], own: bool) -> list[str]:
    single = [request.method for request in requests if not METHODS[request.method].multi_layer]
    if not own or len(single) == len(requests):
        return ["--layer", seen.question.layer]
    return [word for method in single for word in ("--layer", f"{method}:{seen.question.layer}")]


def _request_options(requests: Sequence[Request]) -> list[str]:
    """Methods, and the parameters that were changed."""
    methods = [word for request in requests for word in ("--method", request.method)]
    changed = [(request.method, name, value) for request in requests for name, value in request.params]
    return methods + [word for key, name, value in changed for word in ("--param", f"{key}:{name}={value}")]


def network_options(model: ModelSpec) -> list[str]:
    """A network as a command for a shell names it."""
    words = ["--model", _file(model.name), *(["--resize", model.fit] if model.fit else [])]
    if model.weights == "default":
        return words
    seeds = ["--weights-seed", str(model.weights_seed)] if model.weights == "random" else []
    return [*words, "--weights", _file(model.weights), *seeds]


def _target_options(question: Question) -> list[str]:
    kind = "--target" if isinstance(question.target, TargetScore) else "--class"
    return [kind, written(question.target)]


def _opening_imports(seen: Scene) -> list[tuple[str, str]]:
    return [photo_import(seen), *network_imports(seen.question.model), *_target_imports(seen)]


def _target_imports(seen: Scene) -> list[tuple[str, str]]:
    target = seen.question.target
    if isinstance(target, Custom):
        return [("cam_core.targets", "Custom")]
    if not isinstance(target, Similarity):
        return []
    opener = _opened(target.name).partition("(")[0]
    module = {"gallery_digits": "cam_core.training.digits", "sample": "cam_core.images"}.get(opener, "cam_core")
    return [("cam_core.targets", "Similarity"), (module, opener)]


def _opening(seen: Scene) -> list[str]:
    model = seen.question.model
    return [f"clf = {opened_network(model)}", f"photo = {opened_photo(seen)}", f"target = {_target(seen.question)}"]


def photo_import(seen: Scene) -> tuple[str, str]:
    """The module and the name that `opened_photo` uses."""
    if seen.photo.source == "digits":
        return "cam_core.training.digits", "gallery_digits"
    return ("cam_core.images", "sample") if seen.photo.sample else ("cam_core", "load_image")


def network_imports(model: ModelSpec) -> list[tuple[str, str]]:
    """Modules and names that `opened_network` uses."""
    if served.network(model.name) is None:
        return [("cam_core", "load_model")]
    module, _, name = model.name.partition(":")
    return [(module, name), ("cam_core", "Classifier")]


def opened_network(model: ModelSpec) -> str:
    """The expression that gives a classifier."""
    fitted = f".refitted({model.fit!r})" if model.fit else ""
    if (own := served.network(model.name)) is not None:
        built = f"{model.name.partition(':')[2]}()"
        return f"{built if own.name != model.name else f'Classifier({built})'}{fitted}"
    arguments = {
        "weights": None if model.weights == "default" else _file(model.weights),
        "seed": model.weights_seed if model.weights == "random" else None,
        "device": None if model.device == "auto" else model.device,
        "labels": list(model.labels) or None,
    }
    more = written_call(arguments)
    return f"load_model({_file(model.name)!r}{', ' if more else ''}{more}){fitted}"


def opened_photo(seen: Scene) -> str:
    """The expression that gives the photo."""
    photo, whole = seen.photo, seen.whole_photo
    if photo.source == "digits":
        opened = _opened(whole.title)
    elif whole.sample:
        opened = f"sample({whole.sample!r}).open()"
    else:
        opened = f"load_image({whole.title!r})"
    if photo.whole is None:
        return opened
    _, left, top = photo.whole
    return f"{opened}.crop(({left}, {top}, {left + photo.image.width}, {top + photo.image.height}))"


def _target(question: Question) -> str:
    target = question.target
    if isinstance(target, Similarity):
        return f"Similarity.to(clf, {_opened(target.name)}, {target.name!r})"
    if isinstance(target, Custom):
        return f"Custom.named({target.text!r})"
    return repr(written(target)) if isinstance(target, TargetScore) else str(target)


def _opened(title: str) -> str:
    """How a script opens a photo by its title: one of the gallery's, or a file."""
    if title in (digits := {f"Digit {label}": label for label in gallery_digits()}):
        return f"gallery_digits()[{digits[title]!r}]"
    key = next((entry.key for entry in SAMPLES if entry.title == title), "")
    return f"sample({key!r}).open()" if key else f"load_image({title!r})"


def _file(name: str) -> str:
    """Of a file the name alone: its folder is the visitor's."""
    return Path(name).name if Path(name).is_absolute() else name


def _quiet(text: str) -> str:
    """Without what would end the script's first line."""
    return text.replace("\\", "").replace('"', "”").replace("\n", " ")
