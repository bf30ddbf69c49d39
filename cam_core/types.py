"""The shapes that travel through the house, and the errors it raises. Nothing below them but how results are drawn.

Letters in shapes: B images, K channels of the layer, h × w its positions, H × W the network's input, C classes.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cam_core.notebooks.drawn import Drawn

Images: TypeAlias = Tensor  # (B, n, H, W) float, normalised; n channels, 3 in photos
Activations: TypeAlias = Tensor  # (B, K, h, w) float, a layer's output
Logits: TypeAlias = Tensor  # (B, C) float
ClassIndex: TypeAlias = Tensor  # (B,) int64
Coefficients: TypeAlias = Tensor  # (B, K) float, one weight per channel
RawMap: TypeAlias = Tensor  # (B, h, w) float, signed, before ReLU
FloatArray: TypeAlias = npt.NDArray[np.float32]

IMPROBABLE: Final = 0.01
"""Below this probability the network does not hold the class to be there: a map for it explains very little, a change
of its score says little, and a share of it still less."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called as `progress(done, total)` between batches; it may raise `Cancelled` to stop the work."""


class CamError(Exception):
    """Base of every error that the core raises on purpose: its message is fit to be shown to a user as it is.

    Examples:
        >>> from cam_core import SAMPLES, CamError, explain, load_model
        >>> try:
        ...     explain(load_model("efficientnet_lite0"), SAMPLES[0].open(), method="grad-cam", target=1000)
        ... except CamError as error:
        ...     print(error)
        target 1000 is out of range for 1000 classes (0–999)
    """


class ImageError(CamError, ValueError):
    """The image cannot be used: not an image, truncated, too large, too small."""


class ModelError(CamError, ValueError):
    """The model is unknown, or is of a kind that class-activation maps do not apply to."""


class WeightsError(CamError, ValueError):
    """The weights cannot be had or do not fit: missing file, wrong shapes, NaN, unsafe pickle, wrong checksum."""


class LayerError(CamError, ValueError):
    """The layer does not exist, or does not yield one feature map (B, K, h, w)."""


class TargetError(CamError, ValueError):
    """The class does not exist, or what else is asked about cannot be understood."""


class MethodError(CamError, ValueError):
    """The method is unknown, one of its parameters is wrong, or it does not apply to this model and layer."""


class MetricError(CamError, ValueError):
    """The metric is unknown, one of its parameters is wrong, or it lacks what it needs, such as a ground truth."""


class DeviceError(CamError, RuntimeError):
    """The device does not exist or has run out of memory even for one image."""


class UnsupportedOperation(MethodError):
    """The tail contains an operation that the method has no rule for; the message names it."""


class Cancelled(CamError):
    """Raised by a progress callback to stop; never caught by the core.

    Examples:
        >>> from cam_core import SAMPLES, Cancelled, explain, load_model
        >>> def stop(done, total):
        ...     raise Cancelled("enough")
        >>> try:
        ...     explain(load_model("efficientnet_lite0"), SAMPLES[0].open(), method="score-cam", progress=stop)
        ... except Cancelled as reason:
        ...     print(reason)
        enough
    """


Picture: TypeAlias = tuple[int, int, int, int]
"""The part of a network's input that shows the photo, where the rest is padding: (left, top, right, bottom), pixels."""
Part: TypeAlias = tuple[float, float, float, float]
"""The same as shares of the input's width and height."""


def shares(picture: Picture, size: tuple[int, int]) -> Part:
    """A part of an input of `size` (H, W) as shares of it."""
    left, top, right, bottom = picture
    height, width = size
    return left / width, top / height, right / width, bottom / height


class Passes(NamedTuple):
    """Images pushed through each half of the split network: the honest cost of a method.

    Examples:
        One image through the head; through the tail once to predict, and once more for the gradient:

        >>> from cam_core import SAMPLES, explain, load_model
        >>> explain(load_model("efficientnet_lite0"), SAMPLES[0].open(), method="grad-cam").passes
        Passes(head=1, tail=2)
    """

    head: int = 0
    tail: int = 0


@dataclass(frozen=True)
class LayerInfo:
    """One layer that can be explained. `label` is plain language: "layer4 · 2048 × 7 × 7 · last".

    Examples:
        >>> from cam_core import load_model
        >>> load_model("efficientnet_lite0").layers[-1]
        LayerInfo(name='bn2', channels=1280, height=7, width=7, label='bn2 · 1280 × 7 × 7 · last', default=True)
    """

    name: str
    channels: int
    height: int
    width: int
    label: str
    default: bool = False


@dataclass
class Explanation(Drawn):
    """A method's explanation of one image, and everything needed to compute it again. A notebook shows its heatmap.

    Attributes:
        map: (h, w), raw and signed, at the layer's own resolution.
        saliency: (H, W) in [0, 1]: ReLU, bilinear, min-max; zeros where the map is constant or nowhere positive.
        coefficients: (K,) in the method's own unit, or None where the method has no channel weights.
        stderr: standard error of the coefficients (K,), or of the map (h, w) where the map is what is estimated.
        target, label: the explained class; of another target how it is written, and its title.
        score, probability: its logit and its softmax probability on the unmasked image; of another target its value,
            and no probability unless it is one.
        trained: whether the network has learnt its weights; False for random ones.
        passes: images pushed through head and tail.
        warnings: what the reader should know before trusting the map, one sentence each.
        extras: further arrays by name, such as the optimisation trace of Opti-CAM.
        picture: the part of the network's input that shows the photo, (left, top, right, bottom) in pixels of
            `saliency`, which is 0 outside; None where all of it does.
    Examples:
        It can be written down, and read again:

        >>> import json
        >>> from cam_core import SAMPLES, Explanation, explain, load_model
        >>> explanation = explain(load_model("efficientnet_lite0"), SAMPLES[2].open(), method="grad-cam")
        >>> again = Explanation.from_dict(json.loads(json.dumps(explanation.to_dict())))
        >>> again.method, again.layer, again.label, bool((again.map == explanation.map).all())
        ('grad-cam', 'bn2', 'giant panda', True)

        With its arrays for other programs:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "panda.npz"
        >>> explanation.save(path)
        >>> sorted(np.load(path))
        ['coefficients', 'manifest', 'map', 'saliency']
        >>> Explanation.load(path).label
        'giant panda'
    """

    method: str
    model: str
    layer: str
    target: int | str
    label: str
    score: float
    probability: float | None
    map: FloatArray
    saliency: FloatArray
    coefficients: FloatArray | None = None
    stderr: FloatArray | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    precision: str = "float32"
    device: str = "cpu"
    image_sha256: str = ""
    trained: bool = True
    seconds: float = 0.0
    passes: Passes = Passes()
    warnings: tuple[str, ...] = ()
    extras: Mapping[str, FloatArray] = field(default_factory=dict)
    picture: Picture | None = None

    @property
    def part(self) -> Part | None:
        """`picture` as shares of the input's width and height."""
        if self.picture is None:
            return None
        height, width = self.saliency.shape
        return shares(self.picture, (height, width))

    @property
    def evaluations(self) -> Passes:
        """The former name of `passes`."""
        warnings.warn("Explanation.evaluations is called passes now", DeprecationWarning, stacklevel=2)
        return self.passes

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values only (arrays as nested lists): ready for `json.dump`."""
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return plain | {"passes": self.passes._asdict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Explanation:
        """The inverse of `to_dict`.

        Raises:
            TypeError: a field is missing or unknown.
        """
        values = dict(record)
        for name in _ARRAYS:
            if values.get(name) is not None:
                values[name] = np.asarray(values[name], dtype=np.float32)
        values["extras"] = {k: np.asarray(v, dtype=np.float32) for k, v in values.get("extras", {}).items()}
        # Their name in records written before it was changed.
        values["passes"] = Passes(**values.pop("evaluations", values.get("passes", {})))
        values["warnings"] = tuple(values.get("warnings", ()))
        values["picture"] = tuple(values["picture"]) if values.get("picture") else None
        return cls(**values)

    def save(self, path: str | Path) -> None:
        """Write it as an `.npz` file: its arrays by name, and the text `manifest`, which is JSON, with all the rest.

        Any program that has NumPy reads it: extras are called "extras.name".

        Raises:
            OSError: the file cannot be written.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        arrays |= {f"{_EXTRAS}{name}": values for name, values in self.extras.items()}
        rest = {name: value for name, value in self.to_dict().items() if name not in (*_ARRAYS, "extras")}
        manifest = np.array(json.dumps(rest, ensure_ascii=False))
        with Path(path).open("wb") as file:
            np.savez_compressed(file, manifest=manifest, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Explanation:
        """The inverse of `save`.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no such file.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            record = json.loads(str(arrays.pop("manifest")))
            extras = {name.removeprefix(_EXTRAS): arrays.pop(name) for name in list(arrays) if name.startswith(_EXTRAS)}
            return cls.from_dict(record | arrays | {"extras": extras})
        except (KeyError, TypeError, AttributeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not an explanation that was saved: {error}") from error


_ARRAYS: Final = ("map", "saliency", "coefficients", "stderr")
_EXTRAS: Final = "extras."


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
