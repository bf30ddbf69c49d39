"""The inputs of commands, opened: the photo, the network, the class or what else is asked about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from PIL import Image

from cam_core.cli.progress import watching
from cam_core.images import SAMPLES, Fit, load_image, sample
from cam_core.models.classifier import Classifier
from cam_core.models.load import load_model
from cam_core.targets.asking import resolve
from cam_core.targets.reading import read_target
from cam_core.targets.scores import Custom, TargetScore
from cam_core.types import ImageError, TargetError


def open_photo(source: str) -> Image.Image:
    """An image file, or a sample by name where there is no such file.

    Raises:
        ImageError: neither of the two, or a file that cannot be used.
    """
    samples = [photo.key for photo in SAMPLES]
    if not Path(source).exists():
        if source in samples:
            return sample(source).open()
        if not Path(source).suffix and source == Path(source).name:
            raise ImageError(f"there is no file {source!r}, and no sample of that name; samples: {', '.join(samples)}")
    return load_image(source)


def open_classifier(model: str, weights: str, weights_seed: int, device: str, resize: str = "") -> Classifier:
    """The network, ready; a download shows its progress.

    Args:
        resize: how photos are fitted to its input; as the network states it where empty.
    Raises:
        ModelError: no such network, or no such fit.
    """
    with watching(f"Loading {model}", in_bytes=True) as progress:
        clf = load_model(model, weights=weights, seed=weights_seed, device=device, progress=progress)
    return clf.refitted(cast(Fit, resize)) if resize else clf


def resolve_target(
    clf: Classifier, photo: Image.Image, asked_class: str | None, written: str | None
) -> int | TargetScore:
    """What is explained: a class, or the target that is written.

    Raises:
        TargetError: both are given, there is no such class, or the target cannot be read.
    """
    if written is None:
        return resolve_class(clf, photo, asked_class)
    if asked_class is not None:
        raise TargetError(f"--class {asked_class} and --target {written} ask about two things: give one of them")
    text = written.strip()
    if re.fullmatch("[0-9]+", text):
        return resolve_class(clf, photo, text)
    if text not in clf.labels and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        return Custom.named(text)
    target = read_target(text, clf.labels)
    meant = resolve(clf, target)
    assert isinstance(meant, int | TargetScore), "a class is known by its index by now"
    return meant


def resolve_class(clf: Classifier, photo: Image.Image, asked_class: str | None) -> int:
    """The index of the class that is meant, decided once, so that all methods explain the same one.

    Args:
        asked_class: an index, a label, or None for the most probable class.
    Raises:
        TargetError: there is no such class.
    """
    index = asked_class is not None and re.fullmatch(r"[+-]?[0-9]+", asked_class.strip())
    return clf.resolve_target(
        int(asked_class) if asked_class and index else asked_class, clf.logits(clf.as_batch(photo))[0]
    )
