"""A folder as transformers saves an image classifier: configuration, safetensors, and how images are prepared.

The optional extra `transformers` builds the network, from this machine alone: code that a folder brings is never run,
pickled weights are never read, nothing is downloaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from cam_core.images import Fit, Preprocessing
from cam_core.models.zoo.random_weights import PrivateRandomness
from cam_core.models.zoo.weights import read_state_dict
from cam_core.types import ModelError, WeightsError

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
IMAGES: Final = "preprocessor_config.json"

_PICKLED: Final = "pytorch_model.bin"
_LOCAL: Final = {"local_files_only": True, "trust_remote_code": False}
# Those that do no more than resize, crop, rescale and normalise.
_PLAIN: Final = (
    "Beit",
    "Bit",
    "CLIP",
    "ConvNext",
    "DeiT",
    "EfficientNet",
    "MobileNetV1",
    "MobileNetV2",
    "Siglip",
    "ViT",
)
_RESAMPLING: Final = {2: "bilinear", 3: "bicubic"}  # by Pillow's numbers
_SQUASHED: Final = 384  # pixels: from there on ConvNeXT's images are not cropped


def is_folder(name: str) -> bool:
    """Whether a network's name means a folder: it is a path to one, or the name of one here that holds a network."""
    path = Path(name).expanduser()
    return path.is_dir() and (path.name != name or (path / CONFIG).is_file())


def check_folder(folder: Path) -> None:
    """Refuse a folder that lacks what is needed, before anything of it is loaded.

    Raises:
        ModelError: there is no such folder, a file is missing, or the network is quantised.
        WeightsError: its weights are pickled, in several parts, or not there.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder}")
    for name, what in ((CONFIG, "says what the network is"), (IMAGES, "says how its images are prepared")):
        if not (folder / name).is_file():
            raise ModelError(f"{folder} has no {name}, which {what}: save network and image processor there")
    if not (folder / WEIGHTS).is_file():
        pickled = f": {_PICKLED} is a pickle, which can hold code" if (folder / _PICKLED).is_file() else ""
        raise WeightsError(f"{folder} has no {WEIGHTS}{pickled}; save it again by save_pretrained, in one file")
    if "quantization_config" in _json(folder / CONFIG):
        raise ModelError(
            f"the network in {folder} is quantised, and no gradient passes through integers: bring the float network "
            "that it was made from"
        )


def open_folder(folder: Path) -> tuple[nn.Module, Preprocessing]:
    """The network with its weights, and how photos become its images.

    Raises:
        ModelError: see `check_folder`; transformers is not installed; no image classifier that it knows; images that
            are prepared in a way of their own.
        WeightsError: weights that do not fit, or none of its classifier.
    """
    check_folder(folder)
    try:
        import transformers
    except ImportError:
        raise ModelError(
            f"{folder} is a network of transformers, which is not installed: pip install camscope[transformers]"
        ) from None
    state = read_state_dict(folder / WEIGHTS)
    try:
        # Drawn and thrown away: the weights come from the file.
        with PrivateRandomness(seed=None):
            config = transformers.AutoConfig.from_pretrained(folder, **_LOCAL)
            settings = transformers.AutoImageProcessor.from_pretrained(folder, **_LOCAL).to_dict()
            with torch.device("meta"):
                outline = transformers.AutoModelForImageClassification.from_config(config, trust_remote_code=False)
            # Not from the folder, where an adapter could name another place.
            module, info = type(outline).from_pretrained(
                None, config=config, state_dict=state, output_loading_info=True, attn_implementation="eager"
            )
    except Exception as error:  # a foreign library may raise anything on a foreign folder
        raise ModelError(f"transformers cannot load {folder} as an image classifier: {_first_line(error)}") from error
    _check_complete(info, folder)
    return module.eval(), preprocessing_of(settings)


def preprocessing_of(settings: Mapping[str, Any]) -> Preprocessing:
    """How photos become images, by the settings of an image processor of transformers.

    Raises:
        ModelError: a processor with rules of its own, or settings that no `Preprocessing` has.
    """
    kind = str(settings.get("image_processor_type") or settings.get("feature_extractor_type") or "")
    name = re.sub(r"(ImageProcessor|FeatureExtractor)(Fast|Pil)?$", "", kind)
    if name not in _PLAIN:
        raise ModelError(_own_rules(f"by {kind or 'a processor without a name'}"))
    input_size, resize, fit = _geometry(settings)
    resample = settings.get("resample")
    if resample not in _RESAMPLING:
        raise ModelError(_own_rules(f"with resample={resample}, which is neither bilinear nor bicubic"))
    mean, std = _statistics(settings)
    return Preprocessing(input_size, resize, _RESAMPLING[resample], mean, std, fit)


def _geometry(settings: Mapping[str, Any]) -> tuple[tuple[int, int], int, Fit]:
    """Input size (H, W), the length that the shorter side is scaled to, and the fit."""
    size, crop = settings.get("size") or {}, settings.get("crop_size") or {}
    if not settings.get("do_resize"):
        raise ModelError(_own_rules("without being scaled"))
    cropped = bool(settings.get("do_center_crop"))
    shorter = size.get("shortest_edge")
    if settings.get("crop_pct") and shorter:  # ConvNeXT's: the middle, or all of it where the input is large
        ratio = settings["crop_pct"]
        return (shorter, shorter), int(shorter / ratio), "crop" if shorter < _SQUASHED else "stretch"
    if cropped and shorter and "height" in crop:
        return (crop["height"], crop["width"]), shorter, "crop"
    if not cropped and size.get("height") and size.get("width"):
        return (size["height"], size["width"]), min(size["height"], size["width"]), "stretch"
    raise ModelError(_own_rules(f"to size={dict(size)} and crop_size={dict(crop) if cropped else None}"))


def _statistics(settings: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation for pixels in [0, 1], where the settings may be for another range."""
    scale = 255 * settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale") else 255.0
    offset = -1.0 if settings.get("do_rescale") and settings.get("rescale_offset") else 0.0
    mean, std = [0.0] * 3, [1.0] * 3
    if settings.get("do_normalize"):
        mean, std = settings["image_mean"], settings["image_std"]
    again = settings["image_std"] if settings.get("include_top") else [1.0] * 3  # EfficientNet's, for classifiers
    means = tuple((m - offset) / scale for m in mean)
    return means, tuple(s * further / scale for s, further in zip(std, again, strict=True))


def _check_complete(info: Mapping[str, Any], folder: Path) -> None:
    lacking = sorted(map(str, info.get("missing_keys", ()))) + sorted(map(str, info.get("mismatched_keys", ())))
    if lacking:
        raise WeightsError(
            f"{folder / WEIGHTS} does not have all weights of an image classifier: {len(lacking)} are missing or of "
            f"another shape, such as {lacking[0]}. Was the network saved without its classifier?"
        )


def _own_rules(how: str) -> str:
    return (
        f"the folder's images are prepared {how}: load the network yourself, and bring it as Classifier(module, "
        "preprocessing=…)"
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(content, dict)
    except (OSError, ValueError, RecursionError, AssertionError):
        raise ModelError(f"{path} cannot be read as a configuration") from None
    return content


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
