"""The columns of a figure: methods, or one method at several layers, for several classes, of several networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from cam_core import METHODS
from cam_core.figures import Column, Network
from pages.figure.widgets import several
from pages.runtime.compute import ModelSpec, Request
from pages.shared import links, models, pickers
from pages.shared.models import Offer
from pages.shared.scene import Scene

FIRST_METHODS: Final = ("grad-cam", "lift-cam", "eigen-cam")
_KINDS: Final = ("Methods", "Layers", "Classes", "Networks")
_MOST: Final = 12
_MOST_NETWORKS: Final = 4  # all of them are in memory at once
_AT_FIRST: Final = 3  # layers, or classes


@dataclass(frozen=True)
class Columns:
    """The columns from left to right.

    Attributes:
        network: of all columns that name none.
        layer: the same.
        networks: what is loaded for the networks that are named.
        classes: whether the rows can say which class is explained: not where networks know different ones.
    """

    columns: tuple[Column, ...]
    network: Network
    layer: str
    networks: Mapping[Network, ModelSpec]
    classes: bool = True


def choose(seen: Scene) -> Columns:
    """Widgets that say what stands side by side."""
    kind = st.segmented_control(
        "Columns",
        _KINDS,
        default=_KINDS[0],
        required=True,
        **links.kept("columns"),
        help="What stands side by side: several methods; or one method at several layers, for several classes, or of "
        "several networks, trained or not.",
    )
    own, model, layer = _own(seen), seen.question.model, seen.question.layer
    if kind == "Networks":
        return _of_networks(_method(seen), seen, own)
    if kind == "Layers":
        asked = _method(seen, one_layer=True)
        columns = [Column(asked.method, asked.params, layer) for layer in _layers(seen)]
    elif kind == "Classes":
        asked = _method(seen)
        columns = [Column(asked.method, asked.params, target=target) for target in _classes(seen)]
    else:
        methods = pickers.methods(
            FIRST_METHODS,
            key="shown",
            unfit=seen.unfit,
            misplaced=seen.misplaced,
            unasked=seen.unasked,
            costs=seen.costs,
        )
        columns = [Column(asked.method, asked.params) for asked in pickers.parameters(methods)]
    return Columns(tuple(columns), own, layer, {own: model}, classes=kind != "Classes")


def _method(seen: Scene, *, one_layer: bool = False) -> Request:
    """The one method of all columns; where they are layers, none that combines several."""
    offered = [
        method
        for method in pickers.by_family(METHODS.values())
        if method.key not in seen.unfit and not (one_layer and method.multi_layer)
    ]
    key = links.choice(
        "by",
        "Method of all columns",
        {method.key: method.title for method in offered},
        default=FIRST_METHODS[0],
        width=260,
    )
    return pickers.parameters([METHODS[key]])[0]


def _layers(seen: Scene) -> list[str]:
    names = [layer.name for layer in seen.classifier.layers]
    step = max(1, len(names) // _AT_FIRST)
    return several(
        "layers",
        "Layers",
        names,
        names[::-1][::step][:_AT_FIRST][::-1],
        most=_MOST,
        help="Late layers know what, early ones where.",
    )


def _classes(seen: Scene) -> list[int]:
    """Indices of classes, most probable first for the photo of the sidebar."""
    often = Counter(prediction.label for prediction in seen.predictions)
    indices = {
        entry.label if often[entry.label] == 1 else f"{entry.label} ({entry.index})": entry.index
        for entry in seen.predictions
    }
    chosen = several(
        "classes",
        "Classes",
        list(indices),
        list(indices)[:_AT_FIRST],
        most=_MOST,
        help="Most probable first, for the photo of the sidebar. Type to search.",
    )
    return [indices[name] for name in chosen]


def _of_networks(asked: Request, seen: Scene, own: Network) -> Columns:
    """Each network at its own layer; the sidebar's at that of the sidebar."""
    offers = models.offers()
    known = _known(offers, own)
    untrained = Network(own.name, "random", own.seed)
    names = {network: name for name, network in known.items()}
    chosen = [
        known[name]
        for name in several(
            "networks",
            "Networks",
            list(known),
            [names[network] for network in (own, untrained) if network in names],
            most=_MOST_NETWORKS,
            help="A map that looks the same of an untrained network explains nothing of what was learnt.",
        )
    ]
    layer = seen.question.layer
    columns = [
        Column(asked.method, asked.params, layer if network.name == own.name else "", model=network)
        for network in chosen
    ]
    specs = {network: _spec(offers[network.name], network, seen.question.model.device) for network in chosen}
    return Columns(tuple(columns), own, "", specs, _know_the_same([offers[network.name] for network in chosen]))


def _known(offers: Mapping[str, Offer], own: Network) -> dict[str, Network]:
    """Every network that is offered by its title, trained and, where there is such a one, untrained."""
    often = Counter(offer.title for offer in offers.values())
    known: dict[str, Network] = {}
    for offer in offers.values():
        title = offer.title if often[offer.title] == 1 else f"{offer.title} ({offer.key})"
        known[title] = Network(offer.key)
        if not offer.fixed and offer.weights == "default":
            known[f"{title}, untrained"] = Network(offer.key, "random", own.seed)
    return known


def _know_the_same(offers: Sequence[Offer]) -> bool:
    """Whether their classes are the same: those of one data set, or of ImageNet."""
    return len({(offer.data, offer.labels) for offer in offers}) <= 1


def _own(seen: Scene) -> Network:
    """The sidebar's network as a spec names it: by its key, so without a folder of this machine."""
    model = seen.question.model
    key = next(
        offer.key
        for offer in models.offers().values()
        if offer.name == model.name and model.weights in (offer.weights, "random")
    )
    return Network(key, "random", model.weights_seed) if model.weights == "random" else Network(key)


def _spec(offer: Offer, network: Network, device: str) -> ModelSpec:
    if network.weights == "random":
        return ModelSpec(offer.name, "random", network.seed, device)
    return ModelSpec(offer.name, offer.weights, device=device, labels=offer.labels)
