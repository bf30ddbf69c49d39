"""A list of images: its columns, what is relative to what, and every row that is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cam_core.evaluation.sources import open_source
from cam_core.evaluation.sources.entries import with_size
from cam_core.types import MetricError
from tests.evaluation.sources.files import LABELS, photo, write


def listed(folder: Path, text: str) -> Path:
    (folder / "list.csv").write_text(text, encoding="utf-8-sig")
    return folder / "list.csv"


def test_a_list_gives_its_images_in_its_order_with_labels_and_boxes(tmp_path: Path) -> None:
    write(tmp_path, "in/b.png", "a.png")
    path = listed(
        tmp_path,
        "path,label,boxes,who\n"
        'in/b.png,Bee,"[[1, 2, 3, 4], [5, 6, 7.5, 8]]",me\n'
        "./a.png,,,\n"
        "gone.png,ant,,\n"
        "in/c.png,crane,,\n",
    )
    source = open_source(path, LABELS)
    first, second, gone, crane = source.entries
    assert (first.name, first.label, first.size) == ("in/b.png", 1, len(photo()))
    assert first.truth == {"size": None, "regions": [{"classes": ["bee"], "boxes": [[1, 2, 3, 4], [5, 6, 7.5, 8]]}]}
    assert (second.name, second.label, second.truth, second.problem) == (
        *("a.png", None, None),
        "a.png has no label in the table",
    )
    assert (gone.name, gone.label, gone.size) == ("gone.png", 0, -1)
    assert crane.label is None and "is the name of 2 classes" in crane.problem
    assert source.reader.read("in/b.png") == photo()
    with pytest.raises(MetricError, match=r"cannot read gone.png: No such file or directory"):
        source.reader.read("gone.png")


def test_parquet_is_the_same(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    table = pa.table({"path": ["a.png"], "label": ["ant"], "boxes": [[[1.0, 2.0, 3.0, 4.0]]]})
    pq.write_table(table, tmp_path / "list.parquet")
    text = 'path,label,boxes\na.png,ant,"[[1, 2, 3, 4]]"\n'
    assert open_source(tmp_path / "list.parquet", LABELS).entries == open_source(listed(tmp_path, text), LABELS).entries


def test_an_index_is_one_of_the_network(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    source = open_source(listed(tmp_path, "path,index\na.png,2\nb.png,\n"), LABELS)
    assert [entry.label for entry in source.entries] == [2, None]
    with pytest.raises(
        MetricError, match=r"row 2 of list.csv: index 5 is out of range .* 5 classes, which count from 0"
    ):
        open_source(listed(tmp_path, "path,index\na.png,4\nb.png,5\n"), LABELS)
    with pytest.raises(MetricError, match="index -1 is out of range"):
        open_source(listed(tmp_path, "path,index\na.png,-1\n"), LABELS)
    with pytest.raises(MetricError, match=r"index 'two' is out of range"):
        open_source(listed(tmp_path, "path,index\na.png,two\n"), LABELS)


def test_a_label_that_is_a_number_says_no_order(tmp_path: Path) -> None:
    (entry,) = open_source(listed(tmp_path, "path,label\na.png,007\n"), LABELS).entries
    assert entry.label is None and entry.problem.startswith("'007' is no class of the network: a number alone")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("file,label\na.png,ant\n", "needs a column path, and rows; its columns: file, label"),
        ("path,label\n", "needs a column path, and rows; its columns: none"),
        ("path,label\na.png\n", "cannot be read as a table"),
        ("path,label\n,ant\n", "row 1 of list.csv has no path"),
        ("path\n/etc/a.png\n", "'/etc/a.png' is not below the folder of the table"),
        ("path\na/../../b.png\n", "is not below the folder"),
        ("path\nC:\\a.png\n", "is not below the folder"),
        ("path\na.png\n./a.png\n", "lists a.png more than once"),
        ('path,boxes\na.png,"[[1,2,3,4]]"\n', "row 1 of list.csv has boxes, and no label"),
        ('path,label,boxes\na.png,ant,"[[1,2,3]]"\n', r"boxes are \[\[left, top"),
        ('path,label,boxes\na.png,ant,"[[3,2,1,4]]"\n', r"boxes are \[\[left, top"),
        ("path,label,boxes\na.png,ant,1 2 3 4\n", r"boxes are .* not '1 2 3 4'"),
        ("path,label,boxes\na.png,ant,7\n", r"boxes are .* not '7'"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        open_source(listed(tmp_path, text), LABELS)


def test_the_digest_is_that_of_labels_and_boxes(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    texts = ("path,label\na.png,ant\n", "path,label\na.png,bee\n", 'path,label,boxes\na.png,bee,"[[1,2,3,4]]"\n')
    digests = [open_source(listed(tmp_path, text), LABELS).digest for text in (*texts, texts[0])]
    assert len(set(digests)) == 3 and digests[0] == digests[3]


def test_boxes_are_on_the_upright_image() -> None:
    truth = {"size": None, "regions": []}
    assert with_size(truth, photo((20, 10)))["size"] == [20, 10]
    assert with_size(truth, photo((20, 10), "JPEG", orientation=6))["size"] == [10, 20]
    assert with_size({"size": [500, 375], "regions": []}, b"not asked")["size"] == [500, 375]
