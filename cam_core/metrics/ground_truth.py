"""Where the object is: boxes or masks on a photo, and what of them the network sees."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cam_core.images import ASSETS, Preprocessing
from cam_core.types import MetricError

Box: TypeAlias = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels, right and bottom exclusive."""
Mask: TypeAlias = npt.NDArray[np.bool_]

SAMPLE_BOXES = ASSETS / "samples" / "boxes.json"

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)


@dataclass(frozen=True)
class Region:
    """One object of an image as the network sees it.

    Attributes:
        boxes: one per instance, in pixels of the network's input.
        mask: (H, W), true on the object.
        classes: the names under which the object is known; empty where it was not said.
    """

    boxes: tuple[Box, ...]
    mask: Mask
    classes: tuple[str, ...] = ()

    @classmethod
    def from_boxes(cls, boxes: Iterable[Sequence[float]], size: tuple[int, int], classes: Sequence[str] = ()) -> Region:
        """Of the union of `boxes`, cut to the image. A pixel belongs to a box that holds its centre.

        Args:
            size: (H, W) of the network's input.
        Raises:
            MetricError: a box is not four finite numbers in order, or no pixel lies in any.
        """
        height, width = size
        inside = np.zeros(size, dtype=bool)
        kept = []
        for box in boxes:
            left, top, right, bottom = cut = _cut(_checked(box), size)
            if left < right and top < bottom:
                kept.append(cut)
            across = (np.arange(width) + 0.5 >= left) & (np.arange(width) + 0.5 < right)
            down = (np.arange(height) + 0.5 >= top) & (np.arange(height) + 0.5 < bottom)
            inside |= down[:, None] & across
        if not inside.any():
            raise MetricError(f"no pixel of the {height} × {width} input lies in the boxes given as ground truth")
        return cls(tuple(kept), inside, tuple(classes))

    @classmethod
    def from_mask(cls, mask: npt.ArrayLike, classes: Sequence[str] = ()) -> Region:
        """Of a mask (H, W), true on the object; one box around each connected part of it.

        Raises:
            MetricError: it is not a plane, or nowhere true.
        """
        inside = np.asarray(mask, dtype=bool)
        if inside.ndim != 2 or not inside.any():
            raise MetricError(f"a ground-truth mask must be (H, W) and somewhere true, not {inside.shape}")
        parts, _ = ndimage.label(inside, _EIGHT_NEIGHBOURS)
        return cls(tuple(box_around(part) for part in ndimage.find_objects(parts)), inside, tuple(classes))


def box_around(part: tuple[slice, slice]) -> Box:
    """The slices (rows, columns) of a connected part, as `ndimage.find_objects` gives them, as a box."""
    rows, columns = part
    return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)


def read_ground_truth(path: Path = SAMPLE_BOXES) -> dict[str, dict[str, Any]]:
    """The photos of a boxes file by name: {"size": [W, H], "regions": [{"classes": […], "boxes": […]}, …]}.

    Raises:
        MetricError: there is no such file, or it is not of this form.
    """
    try:
        photos = json.loads(Path(path).read_text(encoding="utf-8"))["photos"]
        for photo in photos.values():
            assert len(photo["size"]) == 2
            assert all(isinstance(r["classes"], list) and isinstance(r["boxes"], list) for r in photo["regions"])
    except OSError as error:
        raise MetricError(f"cannot read the ground truth {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError):
        raise MetricError(f"{path} is not a file of boxes: see assets/samples/boxes.json for the form") from None
    return dict(photos)


def by_path(photos: Mapping[str, Mapping[str, Any]], paths: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The photos of a boxes file by the path of the image in a folder that each is of; the others are left out.

    A photo is named by its path within the folder, with forward slashes, or by its mere file name where one image alone
    has that.

    Args:
        photos: of `read_ground_truth`.
        paths: of all images in the folder.
    Raises:
        MetricError: a mere file name that several images in subfolders have.
    """
    known = set(paths)
    of_name: dict[str, list[str]] = {}
    for path in paths:
        of_name.setdefault(path.rpartition("/")[2], []).append(path)
    named = {name: photo for name, photo in photos.items() if name in known}
    for name, photo in photos.items():
        bearing = of_name.get(name, [])
        if name not in named and len(bearing) > 1:
            raise MetricError(f"boxes for {name!r}, but that is the name of {' and '.join(bearing)}: give the path")
        if name not in named and bearing:
            named.setdefault(bearing[0], photo)
    return named


def framed(photo: Mapping[str, Any], preprocessing: Preprocessing) -> list[Region]:
    """The regions of a photo (an entry of `read_ground_truth`) as the network sees them: scaled and cut to its frame.

    A region that the crop leaves nothing of is left out.
    """
    box = preprocessing.box((photo["size"][0], photo["size"][1]))
    return _within(photo, box, preprocessing.input_size)


def sample_regions(key: str, frame: Box, size: tuple[int, int]) -> list[Region]:
    """The regions of a sample photo, which is called `key`, as the network sees them; none where none are known.

    Args:
        frame: what the network sees of it, in pixels of the photo.
        size: (H, W) of the network's input.
    """
    entry = next((entry for name, entry in read_ground_truth().items() if Path(name).stem == key), None)
    return [] if entry is None else _within(entry, frame, size)


def mask_region(mask: npt.ArrayLike, frame: Box, size: tuple[int, int], classes: Sequence[str]) -> Region:
    """The region of an object whose mask on the whole photo is known, as the network sees it; padding is no part of it.

    Each pixel of the network's input has the value of the mask's pixel that its centre lies in.

    Args:
        mask: (H, W) of the photo, true on the object.
        frame, size: as of `sample_regions`.
    Raises:
        MetricError: as `Region.from_mask`, of what the frame leaves of it.
    """
    inside = np.asarray(mask, dtype=bool)
    left, top, right, bottom = frame
    across = np.floor(left + (np.arange(size[1]) + 0.5) * (right - left) / size[1]).astype(int)
    down = np.floor(top + (np.arange(size[0]) + 0.5) * (bottom - top) / size[0]).astype(int)
    height, width = inside.shape
    known = ((down >= 0) & (down < height))[:, None] & (across >= 0) & (across < width)
    seen = inside[down.clip(0, height - 1)][:, across.clip(0, width - 1)]
    return Region.from_mask(seen & known, classes)


def _within(photo: Mapping[str, Any], frame: Box, size: tuple[int, int]) -> list[Region]:
    """The regions of a photo in a frame of it that is scaled to `size`."""
    left, top, right, bottom = frame
    height, width = size
    across, down = width / (right - left), height / (bottom - top)
    regions = []
    for region in photo["regions"]:
        boxes = [
            ((b[0] - left) * across, (b[1] - top) * down, (b[2] - left) * across, (b[3] - top) * down)
            for b in map(_checked, region["boxes"])
        ]
        try:
            regions.append(Region.from_boxes(boxes, size, region["classes"]))
        except MetricError:
            continue
    return regions


def own_and_other(regions: Sequence[Region], label: str) -> tuple[Region | None, Region | None]:
    """The region of the class called `label`, and the first region of another object; None where there is none."""
    own = next((r for r in regions if label in r.classes), None)
    other = None if own is None else next((r for r in regions if label not in r.classes), None)
    return own, other


def _checked(box: Sequence[float]) -> Box:
    values = tuple(float(v) for v in box)
    if len(values) != 4 or not np.isfinite(values).all() or values[0] >= values[2] or values[1] >= values[3]:
        raise MetricError(f"a box is [left, top, right, bottom] with left < right and top < bottom, not {list(box)}")
    return values


def _cut(box: Box, size: tuple[int, int]) -> Box:
    height, width = size
    left, top, right, bottom = box
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
