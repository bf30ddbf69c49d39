"""The gallery: every photo has its credit, and a folder that is not as it should be does no harm."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from cam_core import Classifier, load_model
from cam_core.images import ASSETS, SAMPLES, gallery, load_image, read_samples, sample
from cam_core.types import ImageError

HEAD = "# Samples\n\n|file|EfficientNet-Lite0 top-3|licence|author|source|package|\n|-|-|-|-|-|-|\n"


def test_every_photo_of_the_folder_is_in_the_gallery_with_its_credit() -> None:
    assert {entry.path.name for entry in SAMPLES} == {path.name for path in (ASSETS / "samples").glob("*.jpg")}
    for entry in SAMPLES:
        assert entry.licence, entry.key
        assert entry.author, entry.key
        assert entry.source, entry.key
        assert entry.title in entry.credit
        assert len(entry.predictions) == 3


def test_order_begins_with_one_clear_animal_and_ends_with_the_collages() -> None:
    assert SAMPLES[0].key == "dog"
    assert SAMPLES[0].predictions[0] == ("German shepherd", 0.97)
    assert [entry.collage for entry in SAMPLES] == [False] * 13 + [True] * 3
    assert len({entry.key for entry in SAMPLES}) == len({entry.title for entry in SAMPLES}) == len(SAMPLES)


@pytest.mark.parametrize("entry", SAMPLES, ids=lambda entry: entry.key)
def test_samples_open(entry: gallery.Sample) -> None:
    assert min(entry.open().size) >= 224


@pytest.fixture(scope="module")
def bundled() -> Classifier:
    return load_model("efficientnet_lite0", device="cpu")


@pytest.mark.parametrize("entry", [entry for entry in SAMPLES if not entry.collage], ids=lambda entry: entry.key)
def test_bundled_model_names_what_the_credits_say(bundled: Classifier, entry: gallery.Sample) -> None:
    """Wrong normalisation, channel order or framing would change some name, and every probability."""
    seen = bundled.predict(entry.open(), top=1)[0]
    name, probability = entry.predictions[0]
    assert seen.label == name
    assert seen.probability == pytest.approx(probability, abs=0.01)


def test_credit_in_words() -> None:
    assert sample("dog").credit == "Dog. Photo: Hans Kemperman. Public Domain."
    assert sample("pair_dog_panda").credit.startswith("Dog and panda. Collage of two photos of this gallery")


def test_unknown_sample_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ImageError, match=r"unknown sample 'unicorn'; there are: dog, "):
        sample("unicorn")


def test_missing_assets_are_spoken_of_only_when_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read_samples(tmp_path / "nowhere") == ()
    monkeypatch.setattr(gallery, "SAMPLES", ())
    with pytest.raises(ImageError, match="sample photos are missing"):
        sample("dog")


def test_broken_credits_leave_out_what_they_break(tmp_path: Path) -> None:
    for name in ("good.jpg", "no_licence.jpg", "uncredited.jpg"):
        Image.new("RGB", (20, 20)).save(tmp_path / name)
    rows = [
        "|gone.jpg|cat 0.9|CC0|A|s|p|",
        "|no_licence.jpg|cat 0.9||A|s|p|",
        "|short row|",
        "|good.jpg| tabby cat 0.9; nonsense; ; 0.3; lynx 0.05|CC0|A. Author|https://example.org|p|",
    ]
    (tmp_path / "CREDITS.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    (entry,) = read_samples(tmp_path)
    assert (entry.key, entry.title, entry.author) == ("good", "Good", "A. Author")
    assert entry.predictions == (("tabby cat", 0.9), ("lynx", 0.05))


@pytest.mark.parametrize("text", ["", "no table", "|file|\n", "|x|y|\n|-|-|\n|1|2|\n"])
def test_credits_without_the_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "CREDITS.md").write_text(text, encoding="utf-8")
    assert read_samples(tmp_path) == ()


def test_evaluation_photos_are_credited_and_open() -> None:
    folder = ASSETS / "eval"
    with (folder / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {path.name for path in folder.glob("*.jpg")}
    for row in rows:
        assert row["licence"]
        assert row["author"]
        assert load_image(folder / row["file"]).mode == "RGB"
