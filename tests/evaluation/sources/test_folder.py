"""A folder and a zip of one: what is listed, in which order, with which labels, and how it is read."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
from pyarrow import fs

from cam_core.evaluation.sources import Entry, Source, open_source, places
from cam_core.evaluation.sources import entries as entries_module
from cam_core.evaluation.sources import folder as folder_module
from cam_core.images import ArchiveError, ArchiveLimits
from cam_core.types import MetricError
from tests.evaluation.sources.files import LABELS, packed, photo, write


def named(source: Source) -> dict[str, int | None]:
    return {entry.name: entry.label for entry in source.entries}


def test_a_flat_folder_has_images_and_no_labels(tmp_path: Path) -> None:
    write(tmp_path, "b.png", "a.JPG", "notes.txt")
    source = open_source(tmp_path, LABELS)
    assert named(source) == {"a.JPG": None, "b.png": None}
    assert "in no folder that is called after a class" in source.entries[0].problem
    first = source.entries[0]
    stat = (tmp_path / "a.JPG").stat()
    assert (first.size, first.changed) == (stat.st_size, stat.st_mtime_ns)
    assert source.reader.read("a.JPG") == photo()
    assert source.digest == ""


def test_a_folder_per_class_gives_labels_by_name(tmp_path: Path) -> None:
    write(tmp_path, "train/bee/1.png", "train/Polar_Bear/1.png", "train/crane/1.png", "train/misc/1.png", "ant/1.png")
    write(tmp_path, "train/1/1.png")
    source = open_source(tmp_path, LABELS)
    assert named(source) == {
        "ant/1.png": 0,
        "train/1/1.png": None,
        "train/Polar_Bear/1.png": 4,
        "train/bee/1.png": 1,
        "train/crane/1.png": None,
        "train/misc/1.png": None,
    }
    problems = {entry.name: entry.problem for entry in source.entries}
    assert problems["train/crane/1.png"] == "'crane' is the name of 2 classes of the network (2, 3)"
    assert problems["train/misc/1.png"] == "'misc' is no class of the network"
    assert problems["train/1/1.png"].endswith("a number alone does not say in which order the classes are")


def test_order_is_that_of_the_paths(tmp_path: Path) -> None:
    names = ["z.png", "b/a.png", "b.png", "a/z.png", "a b/c.png"]
    write(tmp_path, *names)
    paths = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.png"))
    assert list(named(open_source(tmp_path, LABELS))) == [path.as_posix() for path in paths]


def test_links_to_folders_are_not_followed_and_links_to_files_are(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert list(named(open_source(tmp_path, LABELS))) == ["a.png", "b.png"]


def test_nothing_to_evaluate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("no source")
    with pytest.raises(MetricError, match=r"there is no image in .*: looked for avif, bmp"):
        open_source(tmp_path, LABELS)
    with pytest.raises(MetricError, match=r"x.txt is not a folder, a zip \(.zip\) or a table \(.csv, .parquet\)"):
        open_source(tmp_path / "x.txt", LABELS)
    with pytest.raises(MetricError, match="there is nothing of that name"):
        open_source(tmp_path / "none", LABELS)
    with pytest.raises(MetricError, match="nowhere://x cannot be opened"):
        open_source("nowhere://x", LABELS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a/a.png")
    (tmp_path / "a").chmod(0)
    with pytest.raises(MetricError, match=r"cannot list .*: Permission denied"):
        open_source(tmp_path, LABELS)
    (tmp_path / "a").chmod(0o700)


def test_files_that_go_or_are_huge_are_errors_when_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.png", "b.png")
    source = open_source(tmp_path, LABELS)
    (tmp_path / "a.png").unlink()
    with pytest.raises(MetricError, match=r"cannot read a.png: No such file or directory"):
        source.reader.read("a.png")
    with (tmp_path / "b.png").open("r+b") as file:
        file.truncate(entries_module.LARGEST + (1 << 20))  # sparse: it takes no room
    with pytest.raises(MetricError, match=r"b.png has 257 MB; at most 256 are read of it"):
        source.reader.read("b.png")


@pytest.mark.parametrize("kind", ["subtree", "mock", "uri"])
def test_any_file_system_of_arrow_will_do(tmp_path: Path, kind: str) -> None:
    write(tmp_path, "ant/1.png", "bee/2.png")
    if kind == "uri":
        source = open_source(tmp_path.as_uri(), LABELS)
    elif kind == "subtree":
        source = open_source("", LABELS, filesystem=fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    else:
        mock = fs._MockFileSystem()
        fs.copy_files(str(tmp_path), "bucket/photos", destination_filesystem=mock)
        source = open_source("bucket/photos", LABELS, filesystem=mock)
    assert named(source) == {"ant/1.png": 0, "bee/2.png": 1}
    assert source.reader.read("bee/2.png") == photo()


def test_a_zip_is_a_folder_that_is_read_where_it_is(tmp_path: Path) -> None:
    path = packed(tmp_path / "z.zip", **{"x/bee/2.png": photo((20, 20)), "x/ant/1.png": photo(), "x/notes.txt": b"no"})
    source = open_source(path, LABELS)
    assert named(source) == {"x/ant/1.png": 0, "x/bee/2.png": 1}
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("x/ant/1.png")
    assert source.entries[0] == Entry("x/ant/1.png", info.file_size, info.CRC, 0)
    assert source.reader.read("x/bee/2.png") == photo((20, 20))
    assert [path.name for path in tmp_path.iterdir()] == ["z.zip"]
    with pytest.raises(MetricError, match=r"cannot read x/c.png: the zip has no such file"):
        source.reader.read("x/c.png")


def test_another_zip_of_the_same_name_is_another_reader(tmp_path: Path) -> None:
    path = packed(tmp_path / "z.zip", **{"a.png": photo()})
    first = open_source(path, LABELS)
    assert first.reader.read("a.png") == photo()
    packed(path, **{"a.png": photo((30, 30))})
    assert open_source(path, LABELS).reader.read("a.png") == photo((30, 30))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_readers_travel_to_workers(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "f", "a.png")
    path = tmp_path / "f" if kind == "folder" else packed(tmp_path / "z.zip", **{"a.png": photo()})
    reader = open_source(path, LABELS).reader
    again = pickle.loads(pickle.dumps(reader))
    assert again == reader and hash(again) == hash(reader)
    assert again.read("a.png") == photo()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"/a.png": b""}, "leads out of its folder"),
        ({"../a.png": b""}, "leads out of its folder"),
        ({"a.png": bytes(20 << 20)}, "more than 200 times as large"),
        ({"a.txt": b"words"}, "there is no image in"),
    ],
)
def test_a_zip_that_means_no_good_is_refused(tmp_path: Path, entries: dict[str, bytes], message: str) -> None:
    with pytest.raises((ArchiveError, MetricError), match=message):
        open_source(packed(tmp_path / "z.zip", **entries), LABELS)


def test_a_file_that_is_no_zip_and_one_with_too_many_entries_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "z.zip").write_bytes(b"no zip at all")
    with pytest.raises(ArchiveError, match="no zip, or a damaged one"):
        open_source(tmp_path / "z.zip", LABELS)
    assert folder_module._LIMITS.files == 100_000
    monkeypatch.setattr(folder_module, "_LIMITS", ArchiveLimits(files=1))
    with pytest.raises(ArchiveError, match="lists 2 files; at most 1 are read"):
        open_source(packed(tmp_path / "y.zip", **{"a.png": photo(), "b.png": photo()}), LABELS)


def test_a_damaged_or_huge_image_in_a_zip_is_an_error_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a.png", photo())
        archive.writestr("b.png", photo())
    data = (tmp_path / "z.zip").read_bytes()
    (tmp_path / "z.zip").write_bytes(data.replace(b"IHDR", b"XHDR", 1))
    source = open_source(tmp_path / "z.zip", LABELS)
    with pytest.raises(MetricError, match=r"cannot read a.png: the zip is damaged"):
        source.reader.read("a.png")
    assert source.reader.read("b.png") == photo()
    monkeypatch.setattr(folder_module, "LARGEST", 10)
    with pytest.raises(MetricError, match=r"b.png has 0 MB; at most 256 are read of it"):
        source.reader.read("b.png")


def test_places_know_their_names() -> None:
    place = places.Place(fs.LocalFileSystem(), "/data/val.ZIP")
    assert (place.name, place.ending, place.parent.path) == ("val.ZIP", ".zip", "/data")
