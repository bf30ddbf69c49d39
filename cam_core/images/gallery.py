"""The sample photos, with the credits to be shown beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from cam_core.images.files import load_image
from cam_core.types import ImageError


@dataclass(frozen=True)
class Sample:
    """One photo of the gallery, with the credit to be shown beside it.

    Attributes:
        key: the file's name without its ending; stands in links.
        predictions: what the bundled model says of it by the credits file, (class name, probability), most probable
            first; of a collage it says so of the whole, squeezed to a square and not cropped.
        collage: whether two photos were joined: two subjects, for class-against-class views.
    """

    key: str
    title: str
    path: Path
    licence: str
    author: str
    source: str
    predictions: tuple[tuple[str, float], ...] = ()
    collage: bool = False

    @property
    def credit(self) -> str:
        """One line: "Dog. Photo: Hans Kemperman. Public Domain."."""
        if self.collage:
            return f"{self.title}. Collage of two photos of this gallery, licensed {self.licence}."
        return f"{self.title}. Photo: {self.author}. {self.licence}."

    def open(self) -> Image.Image:
        """The photo as RGB."""
        return load_image(self.path)


ASSETS: Final = Path(__file__).resolve().parents[2] / "assets"

# The gallery's order and the titles that a file name does not give: a single clear animal first, collages last.
_TITLES: Final = {
    "dog": "Dog",
    "chelsea": "Cat",
    "panda": "Giant panda",
    "coffee": "Cup of coffee",
    "pair_dog_chelsea": "Dog and cat",
    "pair_dog_panda": "Dog and panda",
    "pair_polar_bear_panda": "Polar bear and panda",
}


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """The photos of a folder that its CREDITS.md gives a licence for, in the gallery's order.

    A photo without a credit is left out, and so is a credit without a photo.

    Args:
        folder: holds the photos and CREDITS.md, whose table has the columns file, licence, author and source, and
            one that names the three classes that the bundled model finds most probable.
    """
    credits_file = folder / "CREDITS.md"
    if not credits_file.is_file():
        return ()
    rows = _table(credits_file.read_text(encoding="utf-8"))
    samples = [_sample(row, folder) for row in rows if row.get("licence") and (folder / row.get("file", "/")).is_file()]
    order = list(_TITLES)
    return tuple(sorted(samples, key=lambda s: (s.collage, order.index(s.key) if s.key in order else len(order))))


def _table(markdown: str) -> Iterator[dict[str, str]]:
    """The rows of the first table, by lower-case column name; a row of another length is passed over."""
    lines = [line.strip().strip("|").split("|") for line in markdown.splitlines() if line.strip().startswith("|")]
    if lines:
        names = [name.strip().lower() for name in lines[0]]
        yield from (
            dict(zip(names, map(str.strip, cells), strict=True)) for cells in lines[2:] if len(cells) == len(names)
        )


def _sample(row: dict[str, str], folder: Path) -> Sample:
    path = folder / row["file"]
    top = next((cell for name, cell in row.items() if "top-3" in name), "")
    return Sample(
        key=path.stem,
        title=_TITLES.get(path.stem, path.stem.replace("_", " ").capitalize()),
        path=path,
        licence=row["licence"],
        author=row.get("author", ""),
        source=row.get("source", ""),
        predictions=tuple(_predictions(top)),
        collage=path.stem.startswith("pair_"),
    )


def _predictions(cell: str) -> Iterator[tuple[str, float]]:
    """ "giant panda 0.97; lesser panda 0.00" → pairs; what does not read so is passed over."""
    for prediction in cell.split(";"):
        name, _, probability = prediction.strip().rpartition(" ")
        if name and probability.replace(".", "", 1).isdigit():
            yield name, float(probability)


SAMPLES: Final = read_samples(ASSETS / "samples")
"""The gallery, in order; empty where the assets folder is missing (the core needs none of it)."""


def sample(key: str) -> Sample:
    """A photo of the gallery.

    Raises:
        ImageError: no such sample, or the assets folder is missing.
    """
    photo = next((photo for photo in SAMPLES if photo.key == key), None)
    if photo is not None:
        return photo
    if not SAMPLES:
        raise ImageError(f"the sample photos are missing: there is no {ASSETS / 'samples' / 'CREDITS.md'}")
    raise ImageError(f"unknown sample {key!r}; there are: {', '.join(photo.key for photo in SAMPLES)}")
