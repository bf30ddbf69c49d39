"""Checkpoints of trainable networks: weights as `NAME.safetensors`, and beside them a card, `NAME.json`.

The card says how the network is built, what it was trained on and how well it does. Neither file can run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeAlias

from safetensors.torch import save_file

from cam_core.files import write_whole
from cam_core.images import Preprocessing
from cam_core.models.trainable.baseline import Baseline
from cam_core.models.trainable.lfi import build_network
from cam_core.models.trainable.vit import VIT, VisionTransformer, VitRecipe, build_vit
from cam_core.models.zoo.downloads import sha256_of
from cam_core.models.zoo.weights import load_weights, read_state_dict
from cam_core.types import ModelError, WeightsError
from cam_core.version import versions

Trainable: TypeAlias = Baseline | VisionTransformer

FORMAT: Final = 1
SUFFIX: Final = ".safetensors"
_LARGEST_CARD: Final = 4 << 20  # bytes
_STATED: Final = ("labels", "preprocessing", "data", "seed", "accuracy")
_BUILT: Final = ("arch", "backbone", "classes", "options")


def card_path(path: Path) -> Path:
    """Where the card of the checkpoint `path` lies."""
    return path.with_suffix(".json")


def save_checkpoint(path: Path, network: Trainable, card: Mapping[str, Any]) -> None:
    """Write weights and card, each in one step, so that a reader never meets half a file.

    Args:
        path: ends in ".safetensors"; its folder is made where it does not exist.
        card: what the network itself does not know: "labels" (one name per class), "preprocessing" (a `Preprocessing`,
            or its fields), "data", "seed", "accuracy" (a share, or None); and whatever else is worth stating, as plain
            values. How the network is built, versions and the checksum of the weights are added.
    Raises:
        ModelError: another ending, or something missing from the card.
    """
    _check_suffix(path)
    missing = [key for key in _STATED if key not in card]
    if missing:
        raise ModelError(f"the card of {path.name} does not state {', '.join(missing)}")
    recipe = network.recipe
    if len(card["labels"]) != recipe.classes:
        raise ModelError(f"the card of {path.name} names {len(card['labels'])} classes, the network {recipe.classes}")
    preprocessing = card["preprocessing"]
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    write_whole(path, lambda file: save_file(state, file))
    whole = {
        "format": FORMAT,
        "arch": recipe.arch,
        "backbone": recipe.backbone,
        "classes": recipe.classes,
        "options": recipe.options,
        "versions": versions(),
        **card,
        "preprocessing": asdict(preprocessing) if isinstance(preprocessing, Preprocessing) else preprocessing,
        "sha256": sha256_of(path),
    }
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    write_whole(card_path(path), lambda file: file.write_text(text, encoding="utf-8"))


def load_checkpoint(path: str | Path) -> tuple[Trainable, dict[str, Any]]:
    """The network, in evaluation mode on the CPU, and its card.

    Raises:
        ModelError: no card beside the weights, one that cannot be read, or one that describes no network.
        WeightsError: no weights, damaged ones, a pickle, others than the card's, or of shapes that do not fit.
    """
    file = Path(path).expanduser()
    _check_suffix(file)
    if not file.is_file():
        raise WeightsError(f"there is no checkpoint {str(path)!r}")
    card = read_card(card_path(file))
    check_untouched(file, card)
    network = build_from_card(card, card_path(file).name)
    load_weights(network, read_state_dict(file), file.name)
    return network.eval(), card


def check_untouched(path: Path, card: Mapping[str, Any]) -> None:
    """Raises WeightsError where the weights are not those that the card was written for."""
    if sha256_of(path) != card["sha256"]:
        raise WeightsError(
            f"{path.name} is not the file that its card {card_path(path).name} describes (its SHA-256 differs): it is "
            "damaged or was replaced; copy both files again"
        )


def read_card(path: Path) -> dict[str, Any]:
    """A checkpoint's card, its fields checked.

    Raises:
        ModelError: there is none, or it is none.
    """
    if not path.is_file():
        raise ModelError(
            f"there is no card {path.name!r} beside the weights; a checkpoint is a {SUFFIX} file and its .json card"
        )
    if path.stat().st_size > _LARGEST_CARD:
        raise ModelError(f"the card {path.name} is too large to be one")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the card {path.name} is damaged, or no JSON ({error})") from error
    if not isinstance(card, dict):
        raise ModelError(f"the card {path.name} is no JSON object")
    missing = [key for key in ("format", *_BUILT, *_STATED, "sha256") if key not in card]
    if missing:
        raise ModelError(f"the card {path.name} does not state {', '.join(missing)}")
    if card["format"] != FORMAT:
        raise ModelError(f"the card {path.name} has the format {card['format']!r}; this version reads {FORMAT}")
    _check_labels(card, path.name)
    return card


def preprocessing_of(card: Mapping[str, Any]) -> Preprocessing:
    """How the network of `card` sees an image.

    Raises:
        ModelError: the card does not say so, or says something impossible.
    """
    fields = card["preprocessing"]
    try:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in dict(fields).items()}
        return Preprocessing(**values)
    except ModelError:
        raise
    except (TypeError, ValueError) as error:
        raise ModelError(f"the card's preprocessing {fields!r} cannot be used ({error})") from error


def _check_labels(card: Mapping[str, Any], name: str) -> None:
    labels = card["labels"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ModelError(f"the labels of the card {name} are no list of names")
    if len(labels) != card["classes"]:
        raise ModelError(f"the card {name} names {len(labels)} classes of {card['classes']!r}")


def build_from_card(card: Mapping[str, Any], name: str, classes: int | None = None) -> Trainable:
    """The network of a card, without its weights.

    Args:
        name: how messages refer to the card.
        classes: as many as the card says where omitted.
    Raises:
        ModelError: the card describes no network.
    """
    count = card["classes"] if classes is None else classes
    try:
        if card["arch"] == VIT:
            return build_vit(VitRecipe(count, **card["options"]))
        # No official weights for its backbone: those in the checkpoint come next.
        return build_network(card["arch"], card["backbone"], count, pretrained=False, **card["options"])
    except TypeError as error:
        raise ModelError(f"the card {name} describes no network that can be built ({error})") from error


def _check_suffix(path: Path) -> None:
    if path.suffix != SUFFIX:
        raise ModelError(f"{path.name!r} is no checkpoint: its name must end in {SUFFIX}")
