"""The methods asked for, with their parameters and layers: read from `--method`, `--param` and `--layer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cam_core.declarations.parameters import DeclaredParameter
from cam_core.declarations.registered import Registered
from cam_core.methods import METHODS, Method
from cam_core.types import CamError, MethodError, MetricError

_OWNER: dict[type[CamError], str] = {MethodError: "METHOD", MetricError: "METRIC"}
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class Request:
    """One method with its parameters, defaults filled in; `layers` is None for the method's default."""

    method: Method
    params: dict[str, Any]
    layers: list[str] | None


def read_requests(methods: Sequence[str], params: Iterable[str], layers: Iterable[str]) -> list[Request]:
    """One request per method, in the order given; a method named twice counts once.

    Args:
        params: "KEY=VALUE" for every method that has such a parameter, "METHOD:KEY=VALUE" for one, which wins.
        layers: "NAME" for every method, "METHOD:NAME" for one, which takes those alone.
    Raises:
        MethodError: unknown method or parameter, a wrong value, or an address that is not among the methods.
    """
    chosen = {key: METHODS[key] for key in methods}
    values = read_params(params, chosen, METHODS)
    places: dict[str | None, list[str]] = {}
    for layer in layers:
        owner, name = _address(layer, chosen, METHODS) if layer.split(":")[0] in METHODS else (None, layer)
        places.setdefault(owner, []).append(name)
    return [
        Request(method, method.validate(values[key]), places.get(key, places.get(None)))
        for key, method in chosen.items()
    ]


def read_params(
    params: Iterable[str],
    chosen: Mapping[str, Registered[Any]],
    registry: Mapping[str, Registered[Any]],
    option: str = "--param",
    wrong: type[CamError] = MethodError,
) -> dict[str, dict[str, Any]]:
    """The parameters of every chosen entry, as far as they were given and not yet checked.

    Args:
        params: "KEY=VALUE" for all that have such a parameter, "ENTRY:KEY=VALUE" for one, which wins.
        registry: what the chosen ones were chosen from.
        option: the name of the option that gave them, for messages.
        wrong: the error to raise.
    Raises:
        CamError: `wrong`, for an entry that is not among the chosen, or a parameter that none of them has.
    """
    common: dict[str, dict[str, Any]] = {key: {} for key in chosen}
    own: dict[str, dict[str, Any]] = {key: {} for key in chosen}
    for assignment in params:
        left, equals, text = assignment.partition("=")
        if not equals:
            raise wrong(f"{option} takes KEY=VALUE or {_OWNER[wrong]}:KEY=VALUE, not {assignment!r}")
        owner, name = _address(left, chosen, registry, wrong)
        takers = [owner] if owner else [key for key, entry in chosen.items() if _declared(entry, name)]
        if not takers:
            offered = sorted({p.name for entry in chosen.values() for p in entry.parameters})
            raise wrong(
                f"none of {', '.join(chosen)} has a parameter {name!r}; they have: {', '.join(offered) or 'none'}"
            )
        for key in takers:
            (own if owner else common)[key][name] = _typed(_declared(chosen[key], name), text)
    return {key: common[key] | own[key] for key in chosen}


def _address(
    address: str,
    chosen: Mapping[str, Registered[Any]],
    registry: Mapping[str, Registered[Any]],
    wrong: type[CamError] = MethodError,
) -> tuple[str | None, str]:
    """ "METHOD:NAME" → (method, name); without a colon, (None, address)."""
    owner, colon, name = address.partition(":")
    if not colon:
        return None, address
    if registry[owner].key not in chosen:
        what = _OWNER[wrong].lower()
        raise wrong(f"{address!r} concerns {owner}, which is not among the {what}s: {', '.join(chosen)}")
    return owner, name


def _declared(entry: Registered[Any], name: str) -> DeclaredParameter | None:
    return next((parameter for parameter in entry.parameters if parameter.name == name), None)


def _typed(parameter: DeclaredParameter | None, text: str) -> Any:
    """Truth values from words; everything else the parameter reads by itself, and the method checks."""
    if parameter is not None and parameter.kind == "bool":
        return _TRUTH.get(text.strip().lower(), text)
    return text
