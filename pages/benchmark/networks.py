"""The networks of a benchmark, side by side: architectures, checkpoints, and their untrained twins as a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.runtime.compute import ModelSpec
from pages.shared import links, models
from pages.shared.models import Offer
from pages.shared.networks import dialog

_KEY = "networks"


@dataclass(frozen=True)
class Network:
    """One of them.

    Attributes:
        key: of the sidebar's picker.
        title: as people call it, unlike any other's here.
    """

    key: str
    title: str
    spec: ModelSpec


def choose() -> tuple[Network, ...]:
    """The chosen networks, each with its twin behind it where those are asked for."""
    offers = models.offers()
    added, _ = dialog.chosen()
    if added:
        _add(added)
    keys = links.choices(
        _KEY,
        "Networks",
        {key: offer.line for key, offer in offers.items()},
        default=[models.opening()],
        placeholder="Choose at least one network",
        help="Side by side: other architectures, or several checkpoints of one, such as epochs or seeds. Each is "
        "explained at its own default layer. Checkpoints of yours come by My network ….",
    )
    dialog.button()
    twins = st.toggle(
        "Untrained twins too",
        **links.kept("twins"),
        help="The same architecture with random weights: a control. What a method scores on it has nothing to do with "
        "what was learnt.",
    )
    return _told_apart([network for key in keys for network in _of(offers[key], twins=twins)])


def known(name: str) -> Network | None:
    """A network of the picker by what a table of results calls it; None where there is none."""
    offer = next((offer for offer in models.offers().values() if offer.name == name), None)
    return None if offer is None else _of(offer, twins=False)[0]


def _of(offer: Offer, *, twins: bool) -> list[Network]:
    trained = Network(offer.key, offer.title, ModelSpec(offer.name, offer.weights, labels=offer.labels))
    if not twins or offer.fixed:
        return [trained]
    return [trained, Network(offer.key, f"{offer.title}, untrained", ModelSpec(offer.name, "random"))]


def _add(key: str) -> None:
    """What was chosen in the dialog is one network more."""
    before: Sequence[str] = st.session_state.get(links.widget_key(_KEY)) or [models.opening()]
    st.session_state[links.widget_key(_KEY)] = list(dict.fromkeys([*before, key]))


def _told_apart(networks: Sequence[Network]) -> tuple[Network, ...]:
    """Two checkpoints may have the name of one file."""
    titles: dict[str, Network] = {}
    for network in networks:
        title = network.title if network.title not in titles else f"{network.title} ({network.key})"
        titles[title] = Network(network.key, title, network.spec)
    return tuple(titles.values())


def explain_with(network: Network, layer: str) -> Mapping[str, Any]:
    """What the sidebar's pickers are to be set to for this network, by their keys."""
    return {
        links.widget_key("model"): network.key,
        links.widget_key("weights", network.key): "random" if network.spec.weights == "random" else "default",
        links.widget_key("layer", network.spec.name): layer,
    }
