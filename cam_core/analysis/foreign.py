"""Maps from elsewhere, beside ours."""

from __future__ import annotations

import io
import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from cam_core import maps
from cam_core.explain import array_of, input_digest
from cam_core.methods import METHODS
from cam_core.models.classifier import Classifier
from cam_core.targets.asking import Target, answer, ask
from cam_core.types import Explanation, FloatArray, MethodError

LARGEST_SIDE: Final = 4096
"""Values that a map in a file has at most from left to right, or from top to bottom."""


def read_map(content: bytes, *, magnitude: bool = False) -> FloatArray:
    """The map (h, w) in a file of NumPy's own format, `.npy`; leading axes of length 1 are dropped.

    Nothing of the file is run, and it is believed to hold no more than it does.

    Args:
        content: of the file.
        magnitude: what is below 0 counts as much as what is above.
    Raises:
        MethodError: no such file, or no map: not (h, w) real, finite numbers, too many of them, or all the same.
    """
    raw = _array_in(content)
    while raw.ndim > 2 and raw.shape[0] == 1:
        raw = raw[0]
    drawn = _checked_map(raw, "the file")
    if max(drawn.shape) > LARGEST_SIDE:
        height, width = drawn.shape
        raise MethodError(f"the map has {height} × {width} values; at most {LARGEST_SIDE} × {LARGEST_SIDE} are read")
    if np.ptp(drawn) == 0:
        raise MethodError(f"all values of the map are {drawn.flat[0]:g}: it marks nothing")
    return np.abs(drawn) if magnitude else drawn


def _array_in(content: bytes) -> npt.NDArray[Any]:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, columns_first, kind = read_header(file)
    except ValueError as error:
        raise MethodError("it is no file of NumPy’s own format: save the map by numpy.save") from error
    if kind.hasobject:
        raise MethodError("the array holds objects, which are never read: save real numbers")
    if len(content) - file.tell() != math.prod(shape) * kind.itemsize:
        raise MethodError("the file is cut off, or holds more than one array")
    values = np.frombuffer(content, kind, offset=file.tell())
    return values.reshape(shape, order="F" if columns_first else "C")


def explanation_from_array(
    clf: Classifier,
    image: Image.Image | Tensor,
    values: npt.ArrayLike,
    *,
    title: str,
    target: Target = None,
) -> Explanation:
    """A map that was made elsewhere, as an explanation that stands beside ours in comparisons, curves and metrics.

    Args:
        image: the one that the map was made for.
        values: (h, w), any resolution, over what the network sees of the image; signed where it has negative values.
        title: how it is called, instead of a method's key.
        target: as of `explain`.
    Raises:
        MethodError: no map of numbers, or a title that is a method's key.
        CamError: wrong image or target.
    Examples:
        >>> import numpy as np
        >>> from cam_core import SAMPLES, evaluate, explanation_from_array, load_model
        >>> clf, photo = load_model("efficientnet_lite0"), SAMPLES[0].open()
        >>> mine = explanation_from_array(clf, photo, np.outer(np.arange(7), np.arange(7)), title="my own")
        >>> mine.method, mine.label, mine.saliency.shape
        ('my own', 'German shepherd', (224, 224))
        >>> 0 <= evaluate(clf, photo, mine, metric="average-drop").value <= 100
        True
    """
    if not title.strip() or title in METHODS:
        raise MethodError(f"a map from elsewhere needs a name that no method has, not {title!r}")
    raw = _checked_map(values, title)
    clf, asked_class = ask(clf, target)
    batch = clf.as_batch(image)
    logits = clf.logits(batch)[0]
    told = answer(clf, clf.resolve_target(asked_class, logits), logits)
    size, picture, drawn = (batch.shape[-2], batch.shape[-1]), clf.picture(image), torch.from_numpy(raw)[None]
    shown = maps.saliency(drawn, size) if picture is None else maps.saliency_within(drawn, size, picture)
    return Explanation(
        method=title,
        model=clf.name,
        layer="",
        **told._asdict(),
        map=raw,
        saliency=array_of(shown[0]),
        picture=picture,
        device=str(clf.device),
        image_sha256=input_digest(batch[0]),
        trained=clf.trained,
    )


def _checked_map(values: npt.ArrayLike, title: str) -> FloatArray:
    raw = np.asarray(values)
    if raw.ndim != 2 or not raw.size or raw.dtype.kind not in "fiub":
        raise MethodError(f"{title}: a map is an array (h, w) of real numbers, not {raw.dtype} of shape {raw.shape}")
    with np.errstate(over="ignore"):
        drawn = np.ascontiguousarray(raw, dtype=np.float32)
    if not np.isfinite(drawn).all():
        raise MethodError(f"{title}: the map has values that are not finite")
    return drawn
