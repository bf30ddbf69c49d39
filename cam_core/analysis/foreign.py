"""Maps from elsewhere, beside ours."""

from __future__ import annotations

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
    if not title.strip() or title in METHODS:
        raise MethodError(f"a map from elsewhere needs a name that no method has, not {title!r}")
    raw = np.asarray(values)
    if raw.ndim != 2 or not raw.size or raw.dtype.kind not in "fiub":
        raise MethodError(f"{title}: a map is an array (h, w) of real numbers, not {raw.dtype} of shape {raw.shape}")
    if not np.isfinite(raw).all():
        raise MethodError(f"{title}: the map has values that are not finite")
    return np.ascontiguousarray(raw, dtype=np.float32)
