"""Which method, with which parameters, at which layers: read from `--method`, `--param` and `--layer`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cam_core.methods import METHODS, Method
from cam_core.parameters import Parameter
from cam_core.types import MethodError

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class Request:
    """One method with its parameters, defaults filled in; `layers` is None for the method's default."""

    method: Method
    params: dict[str, Any]
    layers: list[str] | None


def read_requests(methods: Sequence[str], params: Iterable[str], layers: Iterable[str]) -> list[Request]:
    """One request a method, in the order given; a method named twice counts once.

    Args:
        params: "KEY=VALUE" for every method that has such a parameter, "METHOD:KEY=VALUE" for one, which wins.
        layers: "NAME" for every method, "METHOD:NAME" for one, which takes those alone.
    Raises:
        MethodError: unknown method or parameter, a wrong value, or an address that is not among the methods.
    """
    chosen = {key: METHODS[key] for key in methods}
    values = _read_params(params, chosen)
    places: dict[str | None, list[str]] = {}
    for layer in layers:
        owner, name = _address(layer, chosen) if layer.split(":")[0] in METHODS else (None, layer)
        places.setdefault(owner, []).append(name)
    return [
        Request(method, method.validate(values[key]), places.get(key, places.get(None)))
        for key, method in chosen.items()
    ]


def _read_params(params: Iterable[str], chosen: dict[str, Method]) -> dict[str, dict[str, Any]]:
    common: dict[str, dict[str, Any]] = {key: {} for key in chosen}
    own: dict[str, dict[str, Any]] = {key: {} for key in chosen}
    for entry in params:
        left, equals, text = entry.partition("=")
        if not equals:
            raise MethodError(f"--param takes KEY=VALUE or METHOD:KEY=VALUE, not {entry!r}")
        owner, name = _address(left, chosen)
        takers = [owner] if owner else [key for key, method in chosen.items() if _declared(method, name)]
        if not takers:
            offered = sorted({p.name for method in chosen.values() for p in method.parameters})
            raise MethodError(
                f"none of {', '.join(chosen)} has a parameter {name!r}; they have: {', '.join(offered) or 'none'}"
            )
        for key in takers:
            (own if owner else common)[key][name] = _typed(_declared(chosen[key], name), text)
    return {key: common[key] | own[key] for key in chosen}


def _address(entry: str, chosen: dict[str, Method]) -> tuple[str | None, str]:
    """ "METHOD:rest" → (method, rest); without a colon, (None, entry)."""
    owner, colon, rest = entry.partition(":")
    if not colon:
        return None, entry
    if METHODS[owner].key not in chosen:
        raise MethodError(f"{entry!r} concerns {owner}, which is not among the methods: {', '.join(chosen)}")
    return owner, rest


def _declared(method: Method, name: str) -> Parameter | None:
    return next((parameter for parameter in method.parameters if parameter.name == name), None)


def _typed(parameter: Parameter | None, text: str) -> Any:
    """Truth values from words; everything else the parameter reads by itself, and the method checks."""
    if parameter is not None and parameter.kind == "bool":
        return _TRUTH.get(text.strip().lower(), text)
    return text
