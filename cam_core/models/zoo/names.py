"""The names that networks can be asked for by, how large they are, and whether their weights are here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import timm
import torch
import torchvision

from cam_core.models.zoo.catalog import CATALOG, CatalogEntry
from cam_core.models.zoo.downloads import hub_folder
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.models.zoo.timm_models import PREFIX, is_cached, official_settings
from cam_core.types import ModelError


@dataclass(frozen=True)
class OfficialFile:
    """Where timm's weights of a network come from.

    Attributes:
        source: a repository of the hub, or an address.
        here: whether they are on this machine, so that nothing is downloaded.
    """

    source: str
    here: bool


@cache
def pretrained_names() -> tuple[str, ...]:
    """timm's classifiers with official weights, "timm:resnet18.a1_in1k"; some few cannot be explained."""
    names = timm.list_models(pretrained=True)
    return tuple(f"{PREFIX}{name}" for name in names if official_settings(name)["num_classes"])


@cache
def architecture_names() -> tuple[str, ...]:
    """All that weights of one's own can be of: the catalogue's, torchvision's, then timm's as "timm:resnet18"."""
    others = [name for name in torchvision.models.list_models(module=torchvision.models) if not timm.is_model(name)]
    return tuple(dict.fromkeys([*CATALOG, *others, *(f"{PREFIX}{name}" for name in timm.list_models())]))


@cache
def count_parameters(name: str) -> int:
    """How many weights a network of that name has, which is not made for it.

    Raises:
        ModelError: neither the catalogue nor timm nor torchvision has it.
    """
    bare = name.removeprefix(PREFIX)
    if name in CATALOG:
        return CATALOG[name].parameters
    if timm.is_model(bare):
        official_settings(bare)  # an unknown tag is refused in words
        with torch.device("meta"), PrivateRandomness(seed=None):
            return sum(weight.numel() for weight in timm.create_model(bare, pretrained=False).parameters())
    if name in architecture_names():
        return int(torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"])
    raise ModelError(f"there is no network {name!r} in timm or torchvision")


def is_here(entry: CatalogEntry) -> bool:
    """Whether the weights of a network of the catalogue are on this machine, so that nothing is downloaded."""
    if entry.source == "bundled":
        return True
    url: str = torchvision.models.get_model_weights(entry.key)[entry.weights].url
    return (hub_folder() / Path(urlsplit(url).path).name).is_file()


def official_file(name: str) -> OfficialFile:
    """Where the official weights of one of timm's networks come from; "" where there are none."""
    settings = official_settings(name.removeprefix(PREFIX))
    if repository := settings.get("hf_hub_id"):
        return OfficialFile(repository, is_cached(repository))
    url: str = settings.get("url", "")
    return OfficialFile(url, bool(url) and (hub_folder() / Path(urlsplit(url).path).name).is_file())
